        SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT f1.severity AS f_severity, f1.rule_id AS f_rule_id
        FROM finding f1
          CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
          FROM placement_content pc1
          WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
        ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 4 + 1) pl1
        WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
              ORDER BY f1.severity ASC, f1.id ASC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 4 + 1) SELECT concat('{"pageInfo":', concat('{"hasNextPage":', CASE WHEN ((SELECT count(*)
          FROM page1 ) > 4) THEN 'true' ELSE 'false' END, '}'), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"severity":"', x1.f_severity, '","rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true LIMIT 4) j1), '}')), '}'), 'UTF8')
