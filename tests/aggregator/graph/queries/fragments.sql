        SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT f1.rule_id AS f_rule_id, f1.status AS f_status, f1.severity AS f_severity
        FROM finding f1
          CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
          FROM placement_content pc1
          WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
        ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 1) pl1
        WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
          ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 1) SELECT concat('{"__typename":"FindingConnection","totalCount":', (SELECT coalesce(sum(sc1.findings), 0)::bigint
          FROM cluster_severity_count sc1
          WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)), ',"edges":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"node":', concat('{"rule":', CASE WHEN o1.found THEN concat('{"id":"', encode(convert_to('Rule:' || o1.r_id, 'UTF8'), 'base64'), '","title":', coalesce(to_json(o1.r_title), 'null'), ',"key":', to_json(o1.r_key), '}') END, '}'), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.id AS r_id, r1.title AS r_title, r1.key AS r_key
              FROM rule r1
          WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true LIMIT 1) j1), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
            FROM (SELECT concat('{"rule":', CASE WHEN o2.found THEN concat('{"key":', to_json(o2.r_key), '}') END, ',"a_response_name_that_is_longer_than_the_sixty_three_bytes_of_postgres":"', x2.f_status, '","__typename":"Finding","severity":"', x2.f_severity, '"}') AS o
            FROM page1 x2
              LEFT JOIN LATERAL (SELECT true AS found, r2.key AS r_key
              FROM rule r2
WHERE r2.id = x2.f_rule_id OFFSET 0) o2 ON true LIMIT 1) j2), '}')), '}'), 'UTF8')
