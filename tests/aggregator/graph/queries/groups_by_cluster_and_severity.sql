        SELECT convert_to(concat('{"findingGroups":', (WITH page1 AS (SELECT g2.d0 AS g_d0, g2.d1 AS g_d1, g2.findings AS g_findings, g2.occurrences AS g_occurrences, g2.clusters AS g_clusters
          FROM (SELECT sc2.cluster_id AS d0, sc2.severity AS d1, coalesce(sum(sc2.findings), 0)::bigint AS findings, coalesce(sum(sc2.occurrences), 0)::bigint AS occurrences, 1::bigint AS clusters
          FROM cluster_severity_count sc2
          WHERE sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc2.findings > 0
        GROUP BY 1, 2) g2
        ORDER BY g2.findings DESC, coalesce(g2.d0::bigint, 0) DESC, coalesce(g2.d1::text, '') DESC LIMIT 100), page1_subjects AS MATERIALIZED (SELECT pc1.cluster_id AS d0, f1.severity AS d1, count(DISTINCT p1.subject_id) AS subjects
        FROM finding f1
        JOIN placement_content pc1 ON pc1.content_id = f1.content_id
        JOIN placement p1 ON p1.id = pc1.placement_id
        WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0
          GROUP BY 1, 2) SELECT concat('{"totalCount":', (SELECT count(*)
            FROM (SELECT sc1.cluster_id AS d0, sc1.severity AS d1
            FROM cluster_severity_count sc1
            WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.findings > 0
          GROUP BY 1, 2) g1), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                FROM (SELECT concat('{"cluster":', coalesce(CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, 'null'), ',"severity":', coalesce('"' || (x1.g_d1) || '"', 'null'), ',"rule":null,"findings":', x1.g_findings, ',"occurrences":', x1.g_occurrences, ',"clusters":', x1.g_clusters, ',"subjects":', (SELECT concat('{"value":', n1.value, ',"relation":"', n1.relation, '"}')
                    FROM (SELECT CASE WHEN (SELECT coalesce(sum(u1.reports), 0)
                    FROM usage u1) <= 20000 THEN (SELECT s1.subjects
                    FROM page1_subjects s1
                    WHERE s1.d0 IS NOT DISTINCT
                    FROM x1.g_d0 AND s1.d1 IS NOT DISTINCT
                    FROM x1.g_d1) ELSE x1.g_clusters END AS value, CASE WHEN (SELECT coalesce(sum(u1.reports), 0)
            FROM usage u1) <= 20000 THEN 'EXACT' ELSE 'AT_LEAST' END AS relation) n1), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.id = x1.g_d0 OFFSET 0) o1 ON true LIMIT 100) j1), '}')), '}'), 'UTF8')
