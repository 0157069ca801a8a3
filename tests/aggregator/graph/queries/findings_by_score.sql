        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT f2.score AS f_score, f2.rule_id AS f_rule_id
        FROM finding f2
          CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
          FROM placement_content pc1
          WHERE pc1.content_id = f2.content_id AND pc1.live + pc1.absent > 0
        ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 50) pl1
        WHERE f2.score >= $1::real AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
          ORDER BY coalesce(f2.score, '-infinity'::real) DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT coalesce(sum(u1.placements), 0)::bigint
          FROM finding f1
          JOIN usage u1 ON u1.content_id = f1.content_id
          WHERE f1.score >= $1::real AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"score":', coalesce(to_json(x1.f_score), 'null'), ',"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
