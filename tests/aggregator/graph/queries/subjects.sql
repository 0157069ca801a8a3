    SELECT convert_to(CASE WHEN (SELECT sum(sc1.findings)
    FROM cluster_severity_count sc1) > 300000 THEN '!0' ELSE (SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT s2.id AS s_id, s2.kind AS s_kind, s2.api_group AS s_api_group, s2.namespace AS s_namespace, s2.name AS s_name, s2.labels AS s_labels, s2.resolved AS s_resolved, s2.pods AS s_pods, s2.scanned AS s_scanned, s2.cluster_id AS s_cluster_id
          FROM subject s2
          WHERE s2.present
            ORDER BY (SELECT coalesce(sum(cc3.findings), 0)::bigint
            FROM placement op3
            JOIN placement_content oc3 ON oc3.placement_id = op3.id
            JOIN content_count cc3 ON cc3.content_id = oc3.content_id
        WHERE op3.subject_id = s2.id AND oc3.live + oc3.absent > 0 AND cc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND cc3.severity = 'CRITICAL') DESC, s2.id DESC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT count(*)
            FROM subject s1
            WHERE s1.present) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT encode(convert_to('Subject:' || x1.s_id, 'UTF8'), 'base64') AS "id", x1.s_kind AS "kind", nullif(x1.s_api_group, '') AS "apiGroup", nullif(x1.s_namespace, '') AS "namespace", x1.s_name AS "name", x1.s_labels AS "labels", x1.s_resolved AS "resolved", x1.s_pods AS "pods", x1.s_scanned AS "scanned", (SELECT row_to_json(j4)
                  FROM (SELECT c1.name AS "name"
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                WHERE c1.id = x1.s_cluster_id) j4) AS "cluster", (SELECT coalesce(json_agg(j5), '[]'::json)
                  FROM (SELECT i1.name AS "name"
                  FROM image i1
                    WHERE i1.id IN (SELECT iu.image_id
                    FROM image_usage iu
                  WHERE iu.subject_id = x1.s_id)
                ORDER BY i1.name, i1.id LIMIT 100) j5) AS "images", (SELECT row_to_json(j6)
                  FROM (SELECT n1.critical AS "critical", n1.total AS "total"
                    FROM (SELECT coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(cc1.findings), 0)::bigint AS total
                    FROM placement op1
                    JOIN placement_content oc1 ON oc1.placement_id = op1.id
                    JOIN content_count cc1 ON cc1.content_id = oc1.content_id
                WHERE op1.subject_id = x1.s_id AND oc1.live + oc1.absent > 0 AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1) j6) AS "severities", (SELECT row_to_json(j7)
                  FROM (SELECT n2.total AS "total"
                    FROM (SELECT coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(cc2.findings), 0)::bigint AS total
                    FROM placement op2
                    JOIN placement_content oc2 ON oc2.placement_id = op2.id
                    JOIN content_count cc2 ON cc2.content_id = oc2.content_id
                WHERE op2.subject_id = x1.s_id AND oc2.live + oc2.absent > 0 AND cc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND cc2.category IN ('SECRET'::finding_category)) n2) j7) AS "secrets", (SELECT coalesce(json_agg(j8), '[]'::json)
                  FROM (SELECT rp1.kind AS "kind", p1.source AS "source", rp1.state AS "state"
                  FROM report rp1
                  JOIN placement p1 ON p1.id = rp1.placement_id
                  WHERE p1.subject_id = x1.s_id
              ORDER BY rp1.id LIMIT 1000) j8) AS "reports"
          FROM page1 x1 LIMIT 50) j3) AS "nodes") j2) AS "subjects", (WITH page2 AS (SELECT s3.name AS s_name
          FROM subject s3
          WHERE s3.present AND NOT s3.labels ? $1::text AND NOT s3.scanned
        ORDER BY s3.name ASC, s3.id ASC LIMIT 50) SELECT row_to_json(j9)
            FROM (SELECT (SELECT coalesce(json_agg(j10), '[]'::json)
              FROM (SELECT x3.s_name AS "name"
FROM page2 x3 LIMIT 50) j10) AS "nodes") j9) AS "unscanned") j1)::text END, 'UTF8')
