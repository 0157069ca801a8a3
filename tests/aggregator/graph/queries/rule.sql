            /* keeps its plan */ SELECT convert_to(concat('{"rule":', coalesce((SELECT concat('{"id":"', encode(convert_to('Rule:' || r1.id, 'UTF8'), 'base64'), '","key":', to_json(r1.key), ',"category":"', r1.category, '","title":', coalesce(to_json(r1.title), 'null'), ',"severity":"', r1.severity, '","score":', coalesce(to_json(r1.score), 'null'), ',"links":', to_json(r1.links), ',"publishedAt":', coalesce(to_json(r1.published_at), 'null'), ',"findingCount":', CASE WHEN (SELECT coalesce(sum(sc1.findings), 0)
            FROM cluster_severity_count sc1) <= 300000 THEN (SELECT coalesce(sum(u2.placements), 0)::bigint
            FROM finding f2
            JOIN usage u2 ON u2.content_id = f2.content_id
            WHERE f2.rule_id = r1.id AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u2.placements > 0) ELSE (SELECT coalesce(sum(o.findings), 0)::bigint
            FROM rule_stat o
            WHERE o.rule_id = r1.id AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END, ',"clusterCount":', CASE WHEN (SELECT coalesce(sum(sc2.findings), 0)
            FROM cluster_severity_count sc2) <= 300000 THEN (SELECT count(DISTINCT u3.cluster_id)
            FROM finding f3
            JOIN usage u3 ON u3.content_id = f3.content_id
            WHERE f3.rule_id = r1.id AND f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u3.placements > 0) ELSE (SELECT coalesce(bit_count(bit_or(o.clusters)), 0)::bigint
            FROM rule_stat o
              WHERE o.rule_id = r1.id AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END, ',"fixedVersions":', to_json(ARRAY(SELECT DISTINCT f4.fixed_version AS v
              FROM finding f4
                WHERE f4.rule_id = r1.id AND f4.fixed_version IS NOT NULL AND f4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND (SELECT true
                FROM usage u4
              WHERE u4.content_id = f4.content_id AND u4.placements > 0 LIMIT 1)
              ORDER BY 1)), ',"clusters":', (WITH page1 AS (SELECT c2.name AS c_name
              FROM cluster c2
              LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
                WHERE c2.id IN (SELECT u6.cluster_id
                FROM finding f6
                JOIN usage u6 ON u6.content_id = f6.content_id
              WHERE f6.rule_id = r1.id AND f6.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u6.placements > 0)
                ORDER BY c2.name ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
                FROM cluster c1
                LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                  WHERE c1.id IN (SELECT u5.cluster_id
                  FROM finding f5
                  JOIN usage u5 ON u5.content_id = f5.content_id
                WHERE f5.rule_id = r1.id AND f5.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u5.placements > 0)), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                  FROM (SELECT concat('{"name":', to_json(x1.c_name), '}') AS o
              FROM page1 x1 LIMIT 50) j1), '}')), ',"images":', (WITH page2 AS (SELECT i2.name AS i_name
              FROM image i2
                WHERE i2.id IN (SELECT pc2.image_id
                FROM placement_content pc2
                JOIN finding f8 ON f8.content_id = pc2.content_id
              WHERE f8.rule_id = r1.id AND f8.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc2.live + pc2.absent > 0)
                ORDER BY i2.name ASC, i2.id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
                FROM image i1
                  WHERE i1.id IN (SELECT pc1.image_id
                  FROM placement_content pc1
                  JOIN finding f7 ON f7.content_id = pc1.content_id
                WHERE f7.rule_id = r1.id AND f7.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0)), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                  FROM (SELECT concat('{"name":', to_json(x3.i_name), '}') AS o
              FROM page2 x3 LIMIT 50) j2), '}')), ',"findings":', (WITH page3 AS (SELECT pl1.pc_cluster_id AS pc_cluster_id, pl1.p_subject_id AS p_subject_id
              FROM finding f10
                CROSS JOIN LATERAL (SELECT pc3.cluster_id AS pc_cluster_id, pc3.placement_id AS pc_placement_id, p1.subject_id AS p_subject_id
                FROM placement_content pc3
                JOIN placement p1 ON p1.id = pc3.placement_id
                WHERE pc3.content_id = f10.content_id AND pc3.live + pc3.absent > 0
              ORDER BY pc3.cluster_id, pc3.placement_id LIMIT 3) pl1
              WHERE f10.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f10.rule_id = r1.id
                ORDER BY f10.severity DESC, f10.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 3) SELECT concat('{"totalCount":', (SELECT coalesce(sum(u7.placements), 0)::bigint
                FROM finding f9
                JOIN usage u7 ON u7.content_id = f9.content_id
                WHERE f9.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f9.rule_id = r1.id), ',"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
                  FROM (SELECT concat('{"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"subject":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.s_name), '}') END, '}') AS o
                  FROM page3 x5
                    LEFT JOIN LATERAL (SELECT true AS found, c3.name AS c_name
                    FROM cluster c3
                    LEFT JOIN agent_session ses3 ON ses3.cluster_id = c3.id
                  WHERE c3.id = x5.pc_cluster_id OFFSET 0) o1 ON true
                    LEFT JOIN LATERAL (SELECT true AS found, s1.name AS s_name
                    FROM subject s1
        WHERE s1.id = x5.p_subject_id OFFSET 0) o2 ON true LIMIT 3) j3), '}')), '}')
        FROM rule r1
          WHERE r1.key = $1::text AND (SELECT true
          FROM finding f1
          JOIN usage u1 ON u1.content_id = f1.content_id
        WHERE f1.rule_id = r1.id LIMIT 1)
            ORDER BY r1.category LIMIT 1), 'null'), ',"shared":', coalesce((SELECT concat('{"category":"', r2.category, '","findingCount":', CASE WHEN (SELECT coalesce(sum(sc3.findings), 0)
            FROM cluster_severity_count sc3) <= 300000 THEN (SELECT coalesce(sum(u9.placements), 0)::bigint
            FROM finding f12
            JOIN usage u9 ON u9.content_id = f12.content_id
            WHERE f12.rule_id = r2.id AND f12.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u9.placements > 0) ELSE (SELECT coalesce(sum(o.findings), 0)::bigint
            FROM rule_stat o
        WHERE o.rule_id = r2.id AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END, '}')
        FROM rule r2
          WHERE r2.key = $2::text AND (SELECT true
          FROM finding f11
          JOIN usage u8 ON u8.content_id = f11.content_id
        WHERE f11.rule_id = r2.id LIMIT 1) AND r2.category IN ('RBAC'::finding_category)
        ORDER BY r2.category LIMIT 1), 'null'), ',"none":', coalesce((SELECT concat('{"key":', to_json(r3.key), '}')
        FROM rule r3
          WHERE r3.key = $3::text AND (SELECT true
          FROM finding f13
          JOIN usage u10 ON u10.content_id = f13.content_id
        WHERE f13.rule_id = r3.id LIMIT 1)
ORDER BY r3.category LIMIT 1), 'null'), '}'), 'UTF8')
