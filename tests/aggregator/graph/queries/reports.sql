    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT rp2.id AS rp_id, p2.source AS p_source, rp2.api_group AS rp_api_group, rp2.kind AS rp_kind, rp2.namespace AS rp_namespace, rp2.name AS rp_name, rp2.state AS rp_state, p2.container AS p_container, rp2.scanner AS rp_scanner, rp2.scanner_version AS rp_scanner_version, rp2.reported_at AS rp_reported_at, rp2.observed_at AS rp_observed_at, rp2.cluster_id AS rp_cluster_id, p2.subject_id AS p_subject_id, rp2.image_id AS rp_image_id, rp2.content_id AS rp_content_id
          FROM report rp2
          JOIN placement p2 ON p2.id = rp2.placement_id
          WHERE p2.source IS DISTINCT
          FROM $1::text AND rp2.state IN ('LIVE'::report_state, 'ABSENT'::report_state)
        ORDER BY rp2.id ASC LIMIT 100) SELECT row_to_json(j2)
            FROM (SELECT (SELECT count(*)
            FROM report rp1
            JOIN placement p1 ON p1.id = rp1.placement_id
            WHERE p1.source IS DISTINCT
            FROM $2::text AND rp1.state IN ('LIVE'::report_state, 'ABSENT'::report_state)) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT encode(convert_to('Report:' || x1.rp_id, 'UTF8'), 'base64') AS "id", x1.p_source AS "source", x1.rp_api_group AS "group", x1.rp_kind AS "kind", nullif(x1.rp_namespace, '') AS "namespace", x1.rp_name AS "name", x1.rp_state AS "state", nullif(x1.p_container, '') AS "container", x1.rp_scanner AS "scanner", x1.rp_scanner_version AS "scannerVersion", x1.rp_reported_at AS "reportedAt", x1.rp_observed_at AS "observedAt", (SELECT row_to_json(j4)
                  FROM (SELECT c1.name AS "name"
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                WHERE c1.id = x1.rp_cluster_id) j4) AS "cluster", (SELECT row_to_json(j5)
                  FROM (SELECT s1.name AS "name"
                  FROM subject s1
                WHERE s1.id = x1.p_subject_id) j5) AS "subject", (SELECT row_to_json(j6)
                  FROM (SELECT i1.name AS "name"
                  FROM image i1
                WHERE i1.id = x1.rp_image_id) j6) AS "image", (SELECT row_to_json(j7)
                  FROM (SELECT n1.critical AS "critical", n1.high AS "high", n1.total AS "total"
                    FROM (SELECT coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(cc1.findings), 0)::bigint AS total
                    FROM content_count cc1
                WHERE cc1.content_id = x1.rp_content_id AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1) j7) AS "severities", (SELECT row_to_json(j8)
                  FROM (SELECT n2.fail AS "fail", n2.warn AS "warn", n2.error AS "error", n2.skip AS "skip", n2.pass AS "pass"
                    FROM (SELECT coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'FAIL'), 0)::bigint AS fail, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'WARN'), 0)::bigint AS warn, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'ERROR'), 0)::bigint AS error, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'SKIP'), 0)::bigint AS skip, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'PASS'), 0)::bigint AS pass, coalesce(sum(cc2.findings), 0)::bigint AS total
                    FROM content_count cc2
                WHERE cc2.content_id = x1.rp_content_id) n2) j8) AS "statuses", (SELECT $3::text || translate(encode(ct1.body, 'base64'), E'\n', '')
                FROM content ct1
              WHERE ct1.id = x1.rp_content_id) AS "content"
FROM page1 x1 LIMIT 100) j3) AS "nodes") j2) AS "reports") j1)::text, 'UTF8')
