    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT w1.*
            FROM (SELECT DISTINCT n1 AS package
          FROM unnest($1::text[]) n1) v1
            CROSS JOIN LATERAL (SELECT f2.package AS f_package, pl1.pc_cluster_id AS pc_cluster_id, pl1.p_id AS p_id, f2.key AS f_key, f2.ordinal AS f_ordinal, pl1.p_contents AS p_contents, f2.content_id AS f_content_id, f2.severity AS o0, f2.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
            FROM finding f2
              CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id, p1.id AS p_id, p1.contents AS p_contents
              FROM placement_content pc1
              JOIN placement p1 ON p1.id = pc1.placement_id
              WHERE pc1.content_id = f2.content_id AND pc1.live + pc1.absent > 0
            ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 50) pl1
            WHERE f2.package = ANY($1::text[]) AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.package = v1.package
          ORDER BY f2.severity DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) w1
        ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(sum(u1.placements), 0)::bigint
            FROM finding f1
            JOIN usage u1 ON u1.content_id = f1.content_id
            WHERE f1.package = ANY($1::text[]) AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT CASE WHEN x1.f_package IS NOT NULL THEN (SELECT row_to_json(j4)
                FROM (SELECT x1.f_package AS "name") j4) END AS "package", (SELECT row_to_json(j5)
                  FROM (SELECT c1.name AS "name"
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                      WHERE c1.id = x1.pc_cluster_id) j5) AS "cluster", encode(convert_to('Finding:' || x1.p_id || ':' || x1.f_key || ':' || (x1.f_ordinal + CASE WHEN x1.p_contents > 1 THEN (SELECT count(*)
                      FROM placement_content o
                      JOIN finding g ON g.content_id = o.content_id AND g.key = x1.f_key
              WHERE o.placement_id = x1.p_id AND o.content_id < x1.f_content_id) ELSE 0 END), 'UTF8'), 'base64') AS "id"
FROM page1 x1 LIMIT 50) j3) AS "nodes") j2) AS "findings") j1)::text, 'UTF8')
