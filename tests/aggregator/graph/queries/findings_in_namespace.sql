        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT w1.*
          FROM (SELECT DISTINCT pc1.content_id
          FROM placement_content pc1
          JOIN placement p1 ON p1.id = pc1.placement_id
              WHERE pc1.cluster_id = ANY(ARRAY(SELECT c2.id
              FROM cluster c2
        WHERE c2.name = $1::text)) AND p1.namespace = $2::text AND pc1.live + pc1.absent > 0) v1
          CROSS JOIN LATERAL (SELECT pl1.p_namespace AS p_namespace, f2.rule_id AS f_rule_id, f2.severity AS o0, f2.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
          FROM finding f2
            CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id, p2.namespace AS p_namespace
            FROM usage u1
            JOIN placement_content pc2 ON pc2.content_id = u1.content_id AND pc2.cluster_id = u1.cluster_id
            JOIN placement p2 ON p2.id = pc2.placement_id AND p2.namespace = u1.namespace
                WHERE pc2.content_id = f2.content_id AND pc2.cluster_id = ANY(ARRAY(SELECT c3.id
                FROM cluster c3
                WHERE c3.name = $1::text)) AND p2.namespace = $2::text AND pc2.live + pc2.absent > 0 AND u1.content_id = f2.content_id AND u1.cluster_id = ANY(ARRAY(SELECT c4.id
                FROM cluster c4
            WHERE c4.name = $1::text)) AND u1.namespace = $2::text
          ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 50) pl1
          WHERE f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.content_id = v1.content_id
        ORDER BY f2.severity DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) w1
          ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT coalesce(sum(sc1.findings), 0)::bigint
          FROM severity_count sc1
              WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.cluster_id = ANY(ARRAY(SELECT c1.id
              FROM cluster c1
          WHERE c1.name = $1::text)) AND sc1.namespace = $2::text), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"namespace":', coalesce(to_json(nullif(x1.p_namespace, '')), 'null'), ',"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
