    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT g1.d0 AS g_d0, g1.d1 AS g_d1, g1.findings AS g_findings, g1.occurrences AS g_occurrences, g1.clusters AS g_clusters
              FROM (SELECT (SELECT o.labels ->> $1::text
              FROM cluster o
            WHERE o.id = sc1.cluster_id) AS d0, sc1.category AS d1, coalesce(sum(sc1.findings), 0)::bigint AS findings, coalesce(sum(sc1.occurrences), 0)::bigint AS occurrences, count(DISTINCT sc1.cluster_id) AS clusters
            FROM cluster_severity_count sc1
            WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.findings > 0
          GROUP BY 1, 2) g1
        ORDER BY coalesce(g1.d0::text, '') ASC, coalesce(g1.d1::text, '') ASC, coalesce(g1.d0::text, '') ASC, coalesce(g1.d1::text, '') ASC LIMIT 100) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(json_agg(j3), '[]'::json)
              FROM (SELECT x1.g_d0 AS "label", x1.g_d1 AS "category", x1.g_findings AS "findings", x1.g_occurrences AS "occurrences", x1.g_clusters AS "clusters"
FROM page1 x1 LIMIT 100) j3) AS "nodes") j2) AS "findingGroups") j1)::text, 'UTF8')
