    SELECT convert_to(CASE WHEN (SELECT sum(sc1.findings)
    FROM cluster_severity_count sc1
    WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
        FROM usage u1 LIMIT 20000 + 1) o) <= 20000 THEN '!0' ELSE concat('{"findingGroups":', (WITH page1 AS (SELECT g1.d0 AS g_d0, g1.d1 AS g_d1, g1.findings AS g_findings, g1.occurrences AS g_occurrences, g1.clusters AS g_clusters
            FROM (SELECT (SELECT o.labels ->> $1::text
            FROM subject o
          WHERE o.id = p2.subject_id) AS d0, cc1.severity AS d1, coalesce(sum(cc1.findings), 0)::bigint AS findings, coalesce(sum(cc1.findings * (pc2.live + pc2.absent)), 0)::bigint AS occurrences, count(DISTINCT pc2.cluster_id) AS clusters
          FROM placement_content pc2
          JOIN placement p2 ON p2.id = pc2.placement_id
          CROSS JOIN content_count cc1
          WHERE cc1.content_id = pc2.content_id AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc2.live + pc2.absent > 0
        GROUP BY 1, 2) g1
          ORDER BY coalesce(g1.d0::text, '') ASC, array_position(enum_range(NULL::severity), g1.d1)::text ASC, coalesce(g1.d0::text, '') ASC, coalesce(g1.d1::text, '') ASC LIMIT 100), page1_subjects AS MATERIALIZED (SELECT (SELECT o.labels ->> $1::text
          FROM subject o
        WHERE o.id = p1.subject_id) AS d0, f1.severity AS d1, count(DISTINCT p1.subject_id) AS subjects
        FROM finding f1
        JOIN placement_content pc1 ON pc1.content_id = f1.content_id
        JOIN placement p1 ON p1.id = pc1.placement_id
        WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0
          GROUP BY 1, 2) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                FROM (SELECT concat('{"label":', coalesce(to_json(x1.g_d0), 'null'), ',"severity":', coalesce('"' || (x1.g_d1) || '"', 'null'), ',"findings":', x1.g_findings, ',"occurrences":', x1.g_occurrences, ',"clusters":', x1.g_clusters, ',"subjects":', (SELECT concat('{"value":', n1.value, ',"relation":"', n1.relation, '"}')
                    FROM (SELECT CASE WHEN (SELECT coalesce(sum(u2.reports), 0)
                    FROM usage u2) <= 20000 THEN (SELECT s1.subjects
                    FROM page1_subjects s1
                    WHERE s1.d0 IS NOT DISTINCT
                    FROM x1.g_d0 AND s1.d1 IS NOT DISTINCT
                    FROM x1.g_d1) ELSE x1.g_clusters END AS value, CASE WHEN (SELECT coalesce(sum(u2.reports), 0)
            FROM usage u2) <= 20000 THEN 'EXACT' ELSE 'AT_LEAST' END AS relation) n1), '}') AS o
FROM page1 x1 LIMIT 100) j1), '}')), '}') END, 'UTF8')
