    SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT f1.rule_id AS f_rule_id, f1.status AS f_status, f1.severity AS f_severity
          FROM finding f1
            CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
            FROM placement_content pc1
            WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
          ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 1) pl1
          WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 1) SELECT row_to_json(j2)
            FROM (SELECT 'FindingConnection'::text AS "__typename", (SELECT coalesce(sum(sc1.findings), 0)::bigint
            FROM cluster_severity_count sc1
            WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT (SELECT row_to_json(j4)
                    FROM (SELECT (SELECT row_to_json(j5)
                      FROM (SELECT encode(convert_to('Rule:' || r1.id, 'UTF8'), 'base64') AS "id", r1.title AS "title", r1.key AS "key"
                      FROM rule r1
              WHERE r1.id = x1.f_rule_id) j5) AS "rule") j4) AS "node"
            FROM page1 x1 LIMIT 1) j3) AS "edges", (SELECT coalesce(json_agg(j6.o), '[]'::json)
                  FROM (SELECT json_build_object('rule', (SELECT row_to_json(j7)
                    FROM (SELECT r2.key AS "key"
                    FROM rule r2
              WHERE r2.id = x2.f_rule_id) j7), 'a_response_name_that_is_longer_than_the_sixty_three_bytes_of_postgres', x2.f_status, '__typename', 'Finding'::text, 'severity', x2.f_severity) AS o
FROM page1 x2 LIMIT 1) j6) AS "nodes") j2) AS "findings") j1)::text, 'UTF8')
