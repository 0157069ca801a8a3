        /* keeps its plan */ SELECT convert_to(concat('{"findingGroups":', (WITH page1 AS (SELECT g1.d0 AS g_d0, g1.d1 AS g_d1, g1.findings AS g_findings, g1.occurrences AS g_occurrences, g1.clusters AS g_clusters
            FROM (SELECT (SELECT o.labels ->> $1::text
            FROM cluster o
          WHERE o.id = sc1.cluster_id) AS d0, sc1.category AS d1, coalesce(sum(sc1.findings), 0)::bigint AS findings, coalesce(sum(sc1.occurrences), 0)::bigint AS occurrences, count(DISTINCT sc1.cluster_id) AS clusters
          FROM cluster_severity_count sc1
          WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.findings > 0
        GROUP BY 1, 2) g1
          ORDER BY coalesce(g1.d0::text, '') ASC, coalesce(g1.d1::text, '') ASC, coalesce(g1.d0::text, '') ASC, coalesce(g1.d1::text, '') ASC LIMIT 100) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"label":', coalesce(to_json(x1.g_d0), 'null'), ',"category":', coalesce('"' || (x1.g_d1) || '"', 'null'), ',"findings":', x1.g_findings, ',"occurrences":', x1.g_occurrences, ',"clusters":', x1.g_clusters, '}') AS o
FROM page1 x1 LIMIT 100) j1), '}')), '}'), 'UTF8')
