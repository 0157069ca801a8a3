        /* keeps its plan */ SELECT convert_to(concat('{"fleet":', concat('{"clusters":', (SELECT count(*)
        FROM cluster c1
        LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id), ',"pushed":', (SELECT count(*)
        FROM cluster c2
        LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
        WHERE CASE WHEN c2.mode IS NULL THEN 'NEVER_SEEN' WHEN c2.mode = 'PUSH' THEN 'PUSHED' WHEN ses2.last_seen_at >= now() - interval '45 seconds' THEN 'ONLINE' WHEN ses2.last_seen_at >= now() - interval '900 seconds' THEN 'STALE' ELSE 'OFFLINE' END IN ('PUSHED'::text)), ',"reports":', (SELECT count(*)
        FROM report rp1
        JOIN placement p1 ON p1.id = rp1.placement_id), ',"images":', (SELECT count(DISTINCT iu1.image_id)
        FROM image_usage iu1), ',"workloads":', (SELECT count(*)
        FROM subject s1
        WHERE (s1.kind IN ('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'CronJob', 'Pod') OR s1.pods IS NOT NULL)), ',"severities":', (SELECT concat('{"critical":', n1.critical, ',"high":', n1.high, ',"medium":', n1.medium, ',"low":', n1.low, ',"info":', n1.info, ',"unknown":', n1.unknown, ',"total":', n1.total, '}')
          FROM (SELECT coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(sc1.findings), 0)::bigint AS total
          FROM cluster_severity_count sc1
        WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1), ',"secrets":', (SELECT concat('{"total":', n2.total, '}')
          FROM (SELECT coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(sc2.findings) FILTER (WHERE sc2.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(sc2.findings), 0)::bigint AS total
          FROM cluster_severity_count sc2
        WHERE sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc2.category IN ('SECRET'::finding_category)) n2), '}'), ',"prod":', concat('{"clusters":', (SELECT count(*)
        FROM cluster c3
        LEFT JOIN agent_session ses3 ON ses3.cluster_id = c3.id
        WHERE c3.labels ->> $1::text = ANY($2::text[])), ',"reports":', (SELECT count(*)
        FROM report rp2
        JOIN placement p2 ON p2.id = rp2.placement_id
            WHERE rp2.cluster_id = ANY(ARRAY(SELECT c4.id
            FROM cluster c4
        WHERE c4.labels ->> $1::text = ANY($2::text[])))), ',"images":', (SELECT count(DISTINCT iu2.image_id)
        FROM image_usage iu2
            WHERE iu2.cluster_id = ANY(ARRAY(SELECT c5.id
            FROM cluster c5
        WHERE c5.labels ->> $1::text = ANY($2::text[])))), ',"workloads":', (SELECT count(*)
        FROM subject s2
            WHERE s2.cluster_id = ANY(ARRAY(SELECT c6.id
            FROM cluster c6
        WHERE c6.labels ->> $1::text = ANY($2::text[]))) AND (s2.kind IN ('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'CronJob', 'Pod') OR s2.pods IS NOT NULL)), ',"severities":', (SELECT concat('{"total":', n3.total, '}')
          FROM (SELECT coalesce(sum(sc3.findings) FILTER (WHERE sc3.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(sc3.findings) FILTER (WHERE sc3.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(sc3.findings) FILTER (WHERE sc3.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(sc3.findings) FILTER (WHERE sc3.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(sc3.findings) FILTER (WHERE sc3.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(sc3.findings) FILTER (WHERE sc3.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(sc3.findings), 0)::bigint AS total
          FROM cluster_severity_count sc3
              WHERE sc3.cluster_id = ANY(ARRAY(SELECT c7.id
              FROM cluster c7
WHERE c7.labels ->> $1::text = ANY($2::text[]))) AND sc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n3), '}'), '}'), 'UTF8')
