    SELECT convert_to(CASE WHEN (SELECT sum(sc1.findings)
    FROM cluster_severity_count sc1
    WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
              FROM unnest(ARRAY(WITH RECURSIVE o AS ((SELECT x.package
              FROM finding x
              WHERE x.package IS NOT NULL
              ORDER BY x.package LIMIT 1) UNION ALL SELECT (SELECT x.package
              FROM finding x
              WHERE x.package > o.package
            ORDER BY x.package LIMIT 1)
            FROM o
          WHERE o.package IS NOT NULL) SELECT o.package
          FROM o
    WHERE o.package LIKE $1::text)) o LIMIT 200 + 1) o) <= 200 THEN '!0' ELSE CASE WHEN (SELECT sum(sc2.findings)
    FROM cluster_severity_count sc2
    WHERE sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
      FROM rule o
    WHERE o.key LIKE $2::text LIMIT 200 + 1) o) <= 200 THEN '!1' ELSE CASE WHEN (SELECT sum(sc3.findings)
    FROM cluster_severity_count sc3
    WHERE sc3.status IN ('FAIL'::finding_status, 'PASS'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
      FROM image o
        WHERE o.name LIKE $3::text LIMIT 200 + 1) o) <= 200 THEN '!2' ELSE concat('{"packages":', (WITH page1 AS (SELECT w1.*
          FROM (SELECT DISTINCT n1 AS package
                  FROM unnest(ARRAY(WITH RECURSIVE o AS ((SELECT x.package
                  FROM finding x
                  WHERE x.package IS NOT NULL
                  ORDER BY x.package LIMIT 1) UNION ALL SELECT (SELECT x.package
                  FROM finding x
                  WHERE x.package > o.package
                ORDER BY x.package LIMIT 1)
                FROM o
              WHERE o.package IS NOT NULL) SELECT o.package
              FROM o
        WHERE o.package LIKE $4::text)) n1) v1
          CROSS JOIN LATERAL (SELECT f1.package AS f_package, pl1.pc_cluster_id AS pc_cluster_id, f1.severity AS o0, f1.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
          FROM finding f1
            CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
            FROM placement_content pc1
            WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
          ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 5) pl1
          WHERE f1.package LIKE $5::text AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f1.package = v1.package
        ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 5) w1
          ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 5) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"package":', coalesce(CASE WHEN x1.f_package IS NOT NULL THEN concat('{"name":', to_json(x1.f_package), '}') END, 'null'), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
        WHERE c1.id = x1.pc_cluster_id OFFSET 0) o1 ON true LIMIT 5) j1), '}')), ',"rules":', (WITH page2 AS (SELECT w2.*
          FROM (SELECT r2.id AS rule_id
          FROM rule r2
        WHERE r2.key LIKE $6::text) v2
          CROSS JOIN LATERAL (SELECT f2.score AS f_score, f2.rule_id AS f_rule_id, coalesce(f2.score, '-infinity'::real) AS o0, f2.id AS o1, pl2.pc_cluster_id AS o2, pl2.pc_placement_id AS o3
          FROM finding f2
            CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id
            FROM placement_content pc2
            WHERE pc2.content_id = f2.content_id AND pc2.live + pc2.absent > 0
          ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 5) pl2
              WHERE f2.rule_id = ANY(ARRAY(SELECT o.id
              FROM rule o
          WHERE o.key LIKE $7::text)) AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.rule_id = v2.rule_id
        ORDER BY coalesce(f2.score, '-infinity'::real) DESC, f2.id DESC, pl2.pc_cluster_id ASC, pl2.pc_placement_id ASC LIMIT 5) w2
          ORDER BY w2.o0 DESC, w2.o1 DESC, w2.o2 ASC, w2.o3 ASC LIMIT 5) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
            FROM (SELECT concat('{"score":', coalesce(to_json(x3.f_score), 'null'), ',"rule":', CASE WHEN o2.found THEN concat('{"key":', to_json(o2.r_key), '}') END, '}') AS o
            FROM page2 x3
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
        WHERE r1.id = x3.f_rule_id OFFSET 0) o2 ON true LIMIT 5) j2), '}')), ',"images":', (WITH page3 AS (SELECT w3.*
          FROM (SELECT DISTINCT pc3.content_id
          FROM placement_content pc3
          JOIN placement p3 ON p3.id = pc3.placement_id
              WHERE pc3.image_id = ANY(ARRAY(SELECT o.id
              FROM image o
        WHERE o.name LIKE $8::text)) AND pc3.live + pc3.absent > 0) v3
          CROSS JOIN LATERAL (SELECT f4.status AS f_status, pl3.pc_image_id AS pc_image_id, f4.severity AS o0, f4.id AS o1, pl3.pc_cluster_id AS o2, pl3.pc_placement_id AS o3
          FROM finding f4
            CROSS JOIN LATERAL (SELECT pc4.cluster_id AS pc_cluster_id, pc4.placement_id AS pc_placement_id, pc4.image_id AS pc_image_id
            FROM placement_content pc4
                WHERE pc4.content_id = f4.content_id AND pc4.image_id = ANY(ARRAY(SELECT o.id
                FROM image o
            WHERE o.name LIKE $9::text)) AND pc4.live + pc4.absent > 0
          ORDER BY pc4.cluster_id, pc4.placement_id LIMIT 5) pl3
          WHERE f4.status IN ('FAIL'::finding_status, 'PASS'::finding_status) AND f4.content_id = v3.content_id
        ORDER BY f4.severity DESC, f4.id DESC, pl3.pc_cluster_id ASC, pl3.pc_placement_id ASC LIMIT 5) w3
          ORDER BY w3.o0 DESC, w3.o1 DESC, w3.o2 ASC, w3.o3 ASC LIMIT 5) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
            FROM (SELECT concat('{"status":"', x5.f_status, '","image":', coalesce(CASE WHEN o3.found THEN concat('{"name":', to_json(o3.i_name), '}') END, 'null'), '}') AS o
            FROM page3 x5
              LEFT JOIN LATERAL (SELECT true AS found, i1.name AS i_name
              FROM image i1
WHERE i1.id = x5.pc_image_id OFFSET 0) o3 ON true LIMIT 5) j3), '}')), '}') END END END, 'UTF8')
