    SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT f1.severity AS f_severity, f1.rule_id AS f_rule_id
          FROM finding f1
            CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
            FROM placement_content pc1
            WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
          ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 4 + 1) pl1
          WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        ORDER BY f1.severity ASC, f1.id ASC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 4 + 1) SELECT row_to_json(j2)
            FROM (SELECT (SELECT row_to_json(j3)
                  FROM (SELECT ((SELECT count(*)
            FROM page1 ) > 4) AS "hasNextPage") j3) AS "pageInfo", (SELECT coalesce(json_agg(j4), '[]'::json)
                FROM (SELECT x1.f_severity AS "severity", (SELECT row_to_json(j5)
                  FROM (SELECT r1.key AS "key"
                  FROM rule r1
              WHERE r1.id = x1.f_rule_id) j5) AS "rule"
FROM page1 x1 LIMIT 4) j4) AS "nodes") j2) AS "findings") j1)::text, 'UTF8')
