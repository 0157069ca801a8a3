    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT c2.id AS c_id, c2.name AS c_name, c2.labels AS c_labels, c2.uid AS c_uid, c2.kubernetes_version AS c_kubernetes_version, c2.agent_version AS c_agent_version, c2.mode AS c_mode, ses2.last_seen_at AS ses_last_seen_at, ses2.last_full_sync_at AS ses_last_full_sync_at, ses2.clock_skew_ms AS ses_clock_skew_ms
          FROM cluster c2
          LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
            ORDER BY (SELECT coalesce(sum(sc3.findings), 0)::bigint
            FROM cluster_severity_count sc3
        WHERE sc3.cluster_id = c2.id AND sc3.severity = 'CRITICAL' AND sc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) DESC, c2.id DESC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT count(*)
            FROM cluster c1
            LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT encode(convert_to('Cluster:' || x1.c_id, 'UTF8'), 'base64') AS "id", x1.c_name AS "name", x1.c_labels AS "labels", x1.c_uid AS "uid", x1.c_kubernetes_version AS "kubernetesVersion", x1.c_agent_version AS "agentVersion", CASE WHEN x1.c_mode IS NULL THEN 'NEVER_SEEN' WHEN x1.c_mode = 'PUSH' THEN 'PUSHED' WHEN x1.ses_last_seen_at >= now() - interval '45 seconds' THEN 'ONLINE' WHEN x1.ses_last_seen_at >= now() - interval '900 seconds' THEN 'STALE' ELSE 'OFFLINE' END AS "state", x1.ses_last_seen_at AS "lastSeenAt", x1.ses_last_full_sync_at AS "lastFullSyncAt", x1.ses_clock_skew_ms AS "clockSkewMs", (SELECT count(*)
                FROM failed_report fr1
                WHERE fr1.cluster_id = x1.c_id) AS "failedReports", (SELECT coalesce(json_agg(j4), '[]'::json)
                  FROM (SELECT split_part(k1.kind, '/', 1) AS "group", split_part(k1.kind, '/', 2) AS "kind", k1.state AS "state", k1.entries AS "reports", k1.newest_report_at AS "newestReportAt", k1.scanner AS "scanner"
                  FROM sync_root k1
                  WHERE k1.cluster_id = x1.c_id AND k1.kind NOT LIKE 'inventory/%'
                ORDER BY k1.kind LIMIT 200) j4) AS "kinds", (SELECT row_to_json(j5)
                  FROM (SELECT n1.critical AS "critical", n1.high AS "high", n1.total AS "total"
                    FROM (SELECT coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(sc1.findings), 0)::bigint AS total
                    FROM cluster_severity_count sc1
                WHERE sc1.cluster_id = x1.c_id AND sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1) j5) AS "severities", (SELECT row_to_json(j6)
                  FROM (SELECT n2.total AS "total"
                    FROM (SELECT coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(sc2.findings), 0)::bigint AS total
                    FROM severity_count sc2
              WHERE sc2.cluster_id = x1.c_id AND sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc2.category IN ('VULNERABILITY'::finding_category) AND sc2.namespace = $1::text) n2) j6) AS "web"
FROM page1 x1 LIMIT 50) j3) AS "nodes") j2) AS "clusters") j1)::text, 'UTF8')
