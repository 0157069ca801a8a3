        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT w1.*
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
          ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT coalesce(sum(u1.placements), 0)::bigint
          FROM finding f1
          JOIN usage u1 ON u1.content_id = f1.content_id
          WHERE f1.package = ANY($1::text[]) AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                      FROM (SELECT concat('{"package":', coalesce(CASE WHEN x1.f_package IS NOT NULL THEN concat('{"name":', to_json(x1.f_package), '}') END, 'null'), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"id":"', encode(convert_to('Finding:' || x1.p_id || ':' || x1.f_key || ':' || (x1.f_ordinal + CASE WHEN x1.p_contents > 1 THEN (SELECT count(*)
                      FROM placement_content o
                      JOIN finding g ON g.content_id = o.content_id AND g.key = x1.f_key
            WHERE o.placement_id = x1.p_id AND o.content_id < x1.f_content_id) ELSE 0 END), 'UTF8'), 'base64'), '"}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.id = x1.pc_cluster_id OFFSET 0) o1 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
