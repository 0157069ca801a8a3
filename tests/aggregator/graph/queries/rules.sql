      SELECT convert_to(CASE WHEN NOT ((SELECT coalesce(sum(sc1.findings), 0)
      FROM cluster_severity_count sc1) <= 300000 OR EXISTS (SELECT
        FROM finding_stats_taken)) THEN '!0' ELSE concat('{"rules":', (WITH page1 AS (SELECT r2.key AS r_key, r2.category AS r_category, r2.id AS r_id
        FROM rule r2
          WHERE CASE WHEN (SELECT coalesce(sum(sc6.findings), 0)
          FROM cluster_severity_count sc6) <= 300000 THEN (SELECT true
          FROM finding f5
          JOIN usage u5 ON u5.content_id = f5.content_id
          WHERE f5.rule_id = r2.id LIMIT 1) ELSE EXISTS (SELECT
          FROM rule_stat o
        WHERE o.rule_id = r2.id) END
          ORDER BY CASE WHEN (SELECT coalesce(sum(sc5.findings), 0)
          FROM cluster_severity_count sc5) <= 300000 THEN (SELECT coalesce(sum(u4.placements), 0)::bigint
          FROM finding f4
          JOIN usage u4 ON u4.content_id = f4.content_id
          WHERE f4.rule_id = r2.id AND f4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u4.placements > 0) ELSE (SELECT coalesce(sum(o.findings), 0)::bigint
          FROM rule_stat o
          WHERE o.rule_id = r2.id AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END DESC, r2.id DESC LIMIT 5) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM rule r1
            WHERE CASE WHEN (SELECT coalesce(sum(sc2.findings), 0)
            FROM cluster_severity_count sc2) <= 300000 THEN (SELECT true
            FROM finding f1
            JOIN usage u1 ON u1.content_id = f1.content_id
            WHERE f1.rule_id = r1.id LIMIT 1) ELSE EXISTS (SELECT
            FROM rule_stat o
          WHERE o.rule_id = r1.id) END), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                FROM (SELECT concat('{"key":', to_json(x1.r_key), ',"category":"', x1.r_category, '","findingCount":', CASE WHEN (SELECT coalesce(sum(sc3.findings), 0)
                FROM cluster_severity_count sc3) <= 300000 THEN (SELECT coalesce(sum(u2.placements), 0)::bigint
                FROM finding f2
                JOIN usage u2 ON u2.content_id = f2.content_id
                WHERE f2.rule_id = x1.r_id AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u2.placements > 0) ELSE (SELECT coalesce(sum(o.findings), 0)::bigint
                FROM rule_stat o
                WHERE o.rule_id = x1.r_id AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END, ',"clusterCount":', CASE WHEN (SELECT coalesce(sum(sc4.findings), 0)
                FROM cluster_severity_count sc4) <= 300000 THEN (SELECT count(DISTINCT u3.cluster_id)
                FROM finding f3
                JOIN usage u3 ON u3.content_id = f3.content_id
                WHERE f3.rule_id = x1.r_id AND f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u3.placements > 0) ELSE (SELECT coalesce(bit_count(bit_or(o.clusters)), 0)::bigint
                FROM rule_stat o
            WHERE o.rule_id = x1.r_id AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END, '}') AS o
        FROM page1 x1 LIMIT 5) j1), '}')), ',"some":', (WITH page2 AS (SELECT r3.key AS r_key, r3.description AS r_description, r3.remediation AS r_remediation, r3.modified_at AS r_modified_at
        FROM rule r3
          WHERE (SELECT true
          FROM finding f6
          JOIN usage u6 ON u6.content_id = f6.content_id
        WHERE f6.rule_id = r3.id LIMIT 1) AND r3.key LIKE $1::text AND r3.severity IN ('CRITICAL'::severity, 'HIGH'::severity)
          ORDER BY r3.key ASC, r3.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
            FROM (SELECT concat('{"key":', to_json(x3.r_key), ',"description":', coalesce(to_json(x3.r_description), 'null'), ',"remediation":', coalesce(to_json(x3.r_remediation), 'null'), ',"modifiedAt":', coalesce(to_json(x3.r_modified_at), 'null'), '}') AS o
FROM page2 x3 LIMIT 50) j2), '}')), '}') END, 'UTF8')
