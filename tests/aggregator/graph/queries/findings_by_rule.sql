        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT w1.*
          FROM (SELECT r1.id AS rule_id
          FROM rule r1
        WHERE r1.key = $1::text) v1
          CROSS JOIN LATERAL (SELECT f2.severity AS f_severity, f2.package AS f_package, f2.fixed_version AS f_fixed_version, pl1.pc_cluster_id AS pc_cluster_id, pl1.p_subject_id AS p_subject_id, f2.severity AS o0, f2.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
          FROM finding f2
            CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id, p1.subject_id AS p_subject_id
            FROM placement_content pc1
            JOIN placement p1 ON p1.id = pc1.placement_id
            WHERE pc1.content_id = f2.content_id AND pc1.live + pc1.absent > 0
          ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 50) pl1
              WHERE f2.rule_id = ANY(ARRAY(SELECT o.id
              FROM rule o
          WHERE o.key = $1::text)) AND f2.fixed_version IS NOT NULL AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.rule_id = v1.rule_id
        ORDER BY f2.severity DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) w1
          ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT coalesce(sum(u1.placements), 0)::bigint
          FROM finding f1
          JOIN usage u1 ON u1.content_id = f1.content_id
              WHERE f1.rule_id = ANY(ARRAY(SELECT o.id
              FROM rule o
          WHERE o.key = $1::text)) AND f1.fixed_version IS NOT NULL AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"severity":"', x1.f_severity, '","package":', coalesce(CASE WHEN x1.f_package IS NOT NULL THEN concat('{"name":', to_json(x1.f_package), ',"fixedVersion":', coalesce(to_json(x1.f_fixed_version), 'null'), '}') END, 'null'), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"subject":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.s_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
            WHERE c1.id = x1.pc_cluster_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, s1.name AS s_name
              FROM subject s1
WHERE s1.id = x1.p_subject_id OFFSET 0) o2 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
