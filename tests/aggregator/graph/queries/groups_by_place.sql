      SELECT convert_to(CASE WHEN NOT ((SELECT coalesce(sum(sc1.findings), 0)
      FROM cluster_severity_count sc1) <= 300000 OR EXISTS (SELECT
    FROM finding_stats_taken)) THEN '!0' ELSE CASE WHEN (SELECT sum(sc3.findings)
    FROM cluster_severity_count sc3
    WHERE sc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
    FROM usage u1 LIMIT 20000 + 1) o) <= 20000 THEN '!1' ELSE CASE WHEN (SELECT sum(sc4.findings)
    FROM cluster_severity_count sc4
    WHERE sc4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
    FROM usage u2 LIMIT 20000 + 1) o) <= 20000 THEN '!2' ELSE CASE WHEN (SELECT sum(sc5.findings)
    FROM cluster_severity_count sc5
    WHERE sc5.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) > 300000 AND NOT (SELECT count(*)
      FROM (SELECT
        FROM usage u4 LIMIT 20000 + 1) o) <= 20000 THEN '!3' ELSE concat('{"a":', (WITH page1 AS (SELECT g1.d0 AS g_d0, g1.findings AS g_findings
          FROM (SELECT pc1.image_id AS d0, coalesce(sum(cc1.findings), 0)::bigint AS findings
          FROM placement_content pc1
          JOIN placement p1 ON p1.id = pc1.placement_id
          CROSS JOIN content_count cc1
            WHERE (SELECT coalesce(sum(sc2.findings), 0)
          FROM cluster_severity_count sc2) <= 300000 AND cc1.content_id = pc1.content_id AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0
          GROUP BY 1 UNION ALL SELECT st1.image_id AS d0, coalesce(sum(st1.findings), 0)::bigint AS findings
            FROM (SELECT nullif(image_id, 0) AS image_id, category, severity, status, CASE WHEN fixable THEN '' END AS fixed_version, findings, occurrences, clusters
          FROM image_stat) st1
            WHERE NOT (SELECT coalesce(sum(sc2.findings), 0)
          FROM cluster_severity_count sc2) <= 300000 AND st1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        GROUP BY 1) g1
          ORDER BY g1.findings DESC, coalesce(g1.d0::bigint, 0) DESC LIMIT 100) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"image":', coalesce(CASE WHEN o1.found THEN concat('{"name":', to_json(o1.i_name), '}') END, 'null'), ',"findings":', x1.g_findings, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, i1.name AS i_name
              FROM image i1
        WHERE i1.id = x1.g_d0 OFFSET 0) o1 ON true LIMIT 100) j1), '}')), ',"b":', (WITH page2 AS (SELECT g2.d0 AS g_d0, g2.d1 AS g_d1, g2.findings AS g_findings
          FROM (SELECT p2.subject_id AS d0, p2.container AS d1, coalesce(sum(cc2.findings), 0)::bigint AS findings
          FROM placement_content pc2
          JOIN placement p2 ON p2.id = pc2.placement_id
          CROSS JOIN content_count cc2
          WHERE cc2.content_id = pc2.content_id AND cc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc2.live + pc2.absent > 0
        GROUP BY 1, 2) g2
            ORDER BY coalesce((SELECT o.name
            FROM subject o
          WHERE o.id = g2.d0), '') DESC, coalesce(g2.d1::text, '') DESC, coalesce(g2.d0::bigint, 0) DESC, coalesce(g2.d1::text, '') DESC LIMIT 100) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
            FROM (SELECT concat('{"subject":', coalesce(CASE WHEN o2.found THEN concat('{"kind":', to_json(o2.s_kind), ',"name":', to_json(o2.s_name), '}') END, 'null'), ',"container":', coalesce(to_json(nullif(x3.g_d1, '')), 'null'), ',"findings":', x3.g_findings, '}') AS o
            FROM page2 x3
              LEFT JOIN LATERAL (SELECT true AS found, s1.kind AS s_kind, s1.name AS s_name
              FROM subject s1
        WHERE s1.id = x3.g_d0 OFFSET 0) o2 ON true LIMIT 100) j2), '}')), ',"c":', (WITH page3 AS (SELECT g3.d0 AS g_d0, g3.d1 AS g_d1, g3.d2 AS g_d2, g3.findings AS g_findings
            FROM (SELECT (SELECT o.kind
            FROM subject o
          WHERE o.id = p3.subject_id) AS d0, p3.source AS d1, cc3.status AS d2, coalesce(sum(cc3.findings), 0)::bigint AS findings
          FROM placement_content pc3
          JOIN placement p3 ON p3.id = pc3.placement_id
          CROSS JOIN content_count cc3
          WHERE cc3.content_id = pc3.content_id AND cc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc3.live + pc3.absent > 0
        GROUP BY 1, 2, 3) g3
          ORDER BY g3.findings DESC, coalesce(g3.d0::text, '') DESC, coalesce(g3.d1::text, '') DESC, coalesce(g3.d2::text, '') DESC LIMIT 100) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
            FROM (SELECT concat('{"subjectKind":', coalesce(to_json(x5.g_d0), 'null'), ',"source":', coalesce(to_json(x5.g_d1), 'null'), ',"status":', coalesce('"' || (x5.g_d2) || '"', 'null'), ',"findings":', x5.g_findings, '}') AS o
        FROM page3 x5 LIMIT 100) j3), '}')), ',"d":', (WITH page4 AS (SELECT g4.d0 AS g_d0, g4.d1 AS g_d1, g4.findings AS g_findings
          FROM (SELECT f4.package AS d0, n1.namespace AS d1, coalesce(sum(n1.placements), 0)::bigint AS findings
                  FROM (SELECT u6.content_id, u6.namespace, sum(u6.placements) AS placements, sum(u6.reports) AS reports, bit_or(set_bit((SELECT repeat('0', max(o.ordinal) + 1)::bit varying
            FROM cluster o), oc1.ordinal, 1)) AS clusters
            FROM usage u6
            JOIN cluster oc1 ON oc1.id = u6.cluster_id
            WHERE u6.placements > 0
          GROUP BY u6.content_id, u6.namespace) n1
          JOIN finding f4 ON f4.content_id = n1.content_id AND f4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        GROUP BY 1, 2) g4
          ORDER BY g4.findings DESC, coalesce(g4.d0::text, '') DESC, coalesce(g4.d1::text, '') DESC LIMIT 100) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j4.o, ','), ']')
            FROM (SELECT concat('{"package":', coalesce(to_json(x7.g_d0), 'null'), ',"namespace":', coalesce(to_json(nullif(x7.g_d1, '')), 'null'), ',"findings":', x7.g_findings, '}') AS o
FROM page4 x7 LIMIT 100) j4), '}')), '}') END END END END, 'UTF8')
