    SELECT convert_to(CASE WHEN (SELECT sum(sc1.findings)
    FROM cluster_severity_count sc1
    WHERE sc1.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 THEN '!0' ELSE (SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT g2.findings AS t_n0, coalesce(g2.d0::bigint, 0) AS t_n1, g2.d0 AS g_d0, g2.findings AS g_findings, g2.occurrences AS g_occurrences, g2.clusters AS g_clusters
            FROM (SELECT f4.rule_id AS d0, coalesce(sum(u4.placements), 0)::bigint AS findings, coalesce(sum(u4.reports), 0)::bigint AS occurrences, count(DISTINCT u4.cluster_id) AS clusters
            FROM finding f4
            JOIN usage u4 ON u4.content_id = f4.content_id
            WHERE f4.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND f4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u4.placements > 0
          GROUP BY 1) g2
          ORDER BY g2.findings DESC, coalesce(g2.d0::bigint, 0) DESC LIMIT $1::int + 1), page1_subjects AS MATERIALIZED (SELECT f3.rule_id AS d0, count(DISTINCT p1.subject_id) AS subjects
          FROM finding f3
          JOIN placement_content pc1 ON pc1.content_id = f3.content_id
          JOIN placement p1 ON p1.id = pc1.placement_id
          WHERE f3.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0
        GROUP BY 1) SELECT row_to_json(j2)
            FROM (SELECT (SELECT count(*)
              FROM (SELECT f1.rule_id AS d0, coalesce(sum(u1.placements), 0)::bigint AS findings, coalesce(sum(u1.reports), 0)::bigint AS occurrences, count(DISTINCT u1.cluster_id) AS clusters
              FROM finding f1
              JOIN usage u1 ON u1.content_id = f1.content_id
              WHERE f1.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity) AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u1.placements > 0
            GROUP BY 1) g1) AS "totalCount", (SELECT row_to_json(j3)
                  FROM (SELECT ((SELECT count(*)
                  FROM page1 ) > $1::int) AS "hasNextPage", (SELECT (SELECT translate(encode(substring(sha256($2::bytea || sha256($2::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                    FROM page1 x1 OFFSET greatest((SELECT least(count(*), $1::int)
            FROM page1 n1) - 1, 0) LIMIT least(1, $1::int)) AS "endCursor") j3) AS "pageInfo", (SELECT coalesce(json_agg(j4), '[]'::json)
                FROM (SELECT (SELECT row_to_json(j5)
                    FROM (SELECT r1.key AS "key", r1.severity AS "severity", (SELECT coalesce(array_agg(DISTINCT f2.fixed_version) FILTER (WHERE f2.fixed_version IS NOT NULL), '{}')
                    FROM finding f2
                    JOIN usage u2 ON u2.content_id = f2.content_id
                  WHERE f2.rule_id = r1.id AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u2.placements > 0) AS "fixedVersions"
                  FROM rule r1
                WHERE r1.id = x2.g_d0) j5) AS "rule", x2.g_findings AS "findings", x2.g_occurrences AS "occurrences", x2.g_clusters AS "clusters", (SELECT row_to_json(j6)
                  FROM (SELECT n2.value AS "value", n2.relation AS "relation"
                      FROM (SELECT CASE WHEN (SELECT coalesce(sum(u3.reports), 0)
                      FROM usage u3) <= 20000 THEN (SELECT s1.subjects
                      FROM page1_subjects s1
                      WHERE s1.d0 IS NOT DISTINCT
                      FROM x2.g_d0) ELSE x2.g_clusters END AS value, CASE WHEN (SELECT coalesce(sum(u3.reports), 0)
              FROM usage u3) <= 20000 THEN 'EXACT' ELSE 'AT_LEAST' END AS relation) n2) j6) AS "subjects"
FROM page1 x2 LIMIT $1::int) j4) AS "nodes") j2) AS "findingGroups") j1)::text END, 'UTF8')
