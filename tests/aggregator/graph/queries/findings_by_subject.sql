        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT f2.rule_id AS f_rule_id, pl1.pc_live AS pc_live, pl1.pc_absent AS pc_absent, pl1.pc_superseded AS pc_superseded, pl1.pc_cluster_id AS pc_cluster_id
        FROM finding f2
          CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id, pc2.live AS pc_live, pc2.absent AS pc_absent, pc2.superseded AS pc_superseded
          FROM placement_content pc2
          JOIN placement p2 ON p2.id = pc2.placement_id
              WHERE pc2.content_id = f2.content_id AND p2.subject_id = ANY(ARRAY(SELECT s2.id
              FROM subject s2
          WHERE s2.kind = $1::text AND s2.name = $2::text)) AND pc2.superseded > 0
        ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 50) pl1
        WHERE f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
          ORDER BY f2.severity DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM finding f1
          JOIN placement_content pc1 ON pc1.content_id = f1.content_id
          JOIN placement p1 ON p1.id = pc1.placement_id
              WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND p1.subject_id = ANY(ARRAY(SELECT s1.id
              FROM subject s1
          WHERE s1.kind = $1::text AND s1.name = $2::text)) AND pc1.superseded > 0), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, ',"state":"', CASE WHEN x1.pc_live > 0 THEN 'LIVE' WHEN x1.pc_absent > 0 THEN 'ABSENT' ELSE 'SUPERSEDED' END, '","occurrences":', (x1.pc_superseded), ',"cluster":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.c_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
            WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.id = x1.pc_cluster_id OFFSET 0) o2 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
