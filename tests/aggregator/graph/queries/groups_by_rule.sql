      SELECT convert_to(CASE WHEN NOT ((SELECT coalesce(sum(sc1.findings), 0)
      FROM cluster_severity_count sc1) <= 300000 OR EXISTS (SELECT
        FROM finding_stats_taken)) THEN '!0' ELSE concat('{"findingGroups":', (WITH page1 AS (SELECT g2.findings AS t_n0, coalesce(g2.d0::bigint, 0) AS t_n1, g2.d0 AS g_d0, g2.findings AS g_findings, g2.occurrences AS g_occurrences, g2.clusters AS g_clusters
          FROM (SELECT f8.rule_id AS d0, coalesce(sum(n4.placements), 0)::bigint AS findings, coalesce(sum(n4.reports), 0)::bigint AS occurrences, bit_count(bit_or(n4.clusters)) AS clusters
                  FROM (SELECT u6.content_id, sum(u6.placements) AS placements, sum(u6.reports) AS reports, bit_or(set_bit((SELECT repeat('0', max(o.ordinal) + 1)::bit varying
            FROM cluster o), oc2.ordinal, 1)) AS clusters
            FROM usage u6
            JOIN cluster oc2 ON oc2.id = u6.cluster_id
              WHERE (SELECT coalesce(sum(sc3.findings), 0)
            FROM cluster_severity_count sc3) <= 300000 AND u6.placements > 0
          GROUP BY u6.content_id) n4
          JOIN finding f8 ON f8.content_id = n4.content_id AND f8.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND f8.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
          GROUP BY 1 UNION ALL SELECT st2.rule_id AS d0, coalesce(sum(st2.findings), 0)::bigint AS findings, coalesce(sum(st2.occurrences), 0)::bigint AS occurrences, bit_count(bit_or(st2.clusters)) AS clusters
            FROM (SELECT rule_id, category, severity, status, CASE WHEN fixable THEN '' END AS fixed_version, findings, occurrences, clusters
          FROM rule_stat) st2
            WHERE NOT (SELECT coalesce(sum(sc3.findings), 0)
          FROM cluster_severity_count sc3) <= 300000 AND st2.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND st2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        GROUP BY 1) g2
        ORDER BY g2.findings DESC, coalesce(g2.d0::bigint, 0) DESC LIMIT 3 + 1), page1_subjects AS MATERIALIZED (SELECT f5.rule_id AS d0, count(DISTINCT p1.subject_id) AS subjects
        FROM finding f5
        JOIN placement_content pc1 ON pc1.content_id = f5.content_id
        JOIN placement p1 ON p1.id = pc1.placement_id
        WHERE f5.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND f5.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0
          GROUP BY 1) SELECT concat('{"totalCount":', (SELECT count(*)
            FROM (SELECT f3.rule_id AS d0
                    FROM (SELECT u2.content_id, sum(u2.placements) AS placements, sum(u2.reports) AS reports, bit_or(set_bit((SELECT repeat('0', max(o.ordinal) + 1)::bit varying
              FROM cluster o), oc1.ordinal, 1)) AS clusters
              FROM usage u2
              JOIN cluster oc1 ON oc1.id = u2.cluster_id
                WHERE (SELECT coalesce(sum(sc2.findings), 0)
              FROM cluster_severity_count sc2) <= 300000 AND u2.placements > 0
            GROUP BY u2.content_id) n1
            JOIN finding f3 ON f3.content_id = n1.content_id AND f3.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
            GROUP BY 1 UNION ALL SELECT st1.rule_id AS d0
              FROM (SELECT rule_id, category, severity, status, CASE WHEN fixable THEN '' END AS fixed_version, findings, occurrences, clusters
            FROM rule_stat) st1
              WHERE NOT (SELECT coalesce(sum(sc2.findings), 0)
            FROM cluster_severity_count sc2) <= 300000 AND st1.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND st1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
              GROUP BY 1) g1), ',"pageInfo":', concat('{"hasNextPage":', CASE WHEN ((SELECT count(*)
                  FROM page1 ) > 3) THEN 'true' ELSE 'false' END, ',"endCursor":', coalesce(to_json((SELECT (SELECT translate(encode(substring(sha256($1::bytea || sha256($1::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                    FROM page1 x1 OFFSET greatest((SELECT least(count(*), 3)
          FROM page1 n2) - 1, 0) LIMIT least(1, 3))), 'null'), '}'), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                      FROM (SELECT concat('{"rule":', coalesce(CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), ',"severity":"', o1.r_severity, '","fixedVersions":', to_json(ARRAY(SELECT DISTINCT f4.fixed_version AS v
                      FROM finding f4
                        WHERE f4.rule_id = o1.r_id AND f4.fixed_version IS NOT NULL AND f4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND (SELECT true
                        FROM usage u3
                      WHERE u3.content_id = f4.content_id AND u3.placements > 0 LIMIT 1)
                ORDER BY 1)), '}') END, 'null'), ',"findings":', x2.g_findings, ',"occurrences":', x2.g_occurrences, ',"clusters":', x2.g_clusters, ',"subjects":', (SELECT concat('{"value":', n3.value, ',"relation":"', n3.relation, '"}')
                    FROM (SELECT CASE WHEN (SELECT coalesce(sum(u4.reports), 0)
                    FROM usage u4) <= 20000 THEN (SELECT s1.subjects
                    FROM page1_subjects s1
                    WHERE s1.d0 IS NOT DISTINCT
                    FROM x2.g_d0) ELSE x2.g_clusters END AS value, CASE WHEN (SELECT coalesce(sum(u4.reports), 0)
            FROM usage u4) <= 20000 THEN 'EXACT' ELSE 'AT_LEAST' END AS relation) n3), '}') AS o
            FROM page1 x2
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key, r1.severity AS r_severity, r1.id AS r_id
              FROM rule r1
WHERE r1.id = x2.g_d0 OFFSET 0) o1 ON true LIMIT 3) j1), '}')), '}') END, 'UTF8')
