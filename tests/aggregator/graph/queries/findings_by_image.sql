        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT w1.*
          FROM (SELECT DISTINCT pc2.content_id
          FROM placement_content pc2
          JOIN placement p2 ON p2.id = pc2.placement_id
              WHERE pc2.image_id = ANY(ARRAY(SELECT o.id
              FROM image o
        WHERE o.name = $1::text)) AND pc2.live + pc2.absent > 0) v1
          CROSS JOIN LATERAL (SELECT f3.rule_id AS f_rule_id, pl1.pc_image_id AS pc_image_id, pl1.pc_cluster_id AS pc_cluster_id, f3.severity AS o0, f3.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
          FROM finding f3
            CROSS JOIN LATERAL (SELECT pc3.cluster_id AS pc_cluster_id, pc3.placement_id AS pc_placement_id, pc3.image_id AS pc_image_id
            FROM placement_content pc3
                WHERE pc3.content_id = f3.content_id AND pc3.image_id = ANY(ARRAY(SELECT o.id
                FROM image o
            WHERE o.name = $1::text)) AND pc3.live + pc3.absent > 0
          ORDER BY pc3.cluster_id, pc3.placement_id LIMIT 50) pl1
          WHERE f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f3.content_id = v1.content_id
        ORDER BY f3.severity DESC, f3.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) w1
          ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM finding f1
          JOIN placement_content pc1 ON pc1.content_id = f1.content_id
          JOIN placement p1 ON p1.id = pc1.placement_id
              WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.image_id = ANY(ARRAY(SELECT o.id
              FROM image o
          WHERE o.name = $1::text)) AND pc1.live + pc1.absent > 0), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, ',"image":', coalesce(CASE WHEN o2.found THEN concat('{"name":', to_json(o2.i_name), '}') END, 'null'), ',"cluster":', CASE WHEN o3.found THEN concat('{"name":', to_json(o3.c_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
            WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, i1.name AS i_name
              FROM image i1
            WHERE i1.id = x1.pc_image_id OFFSET 0) o2 ON true
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.id = x1.pc_cluster_id OFFSET 0) o3 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
