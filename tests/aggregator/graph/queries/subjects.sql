    SELECT convert_to(CASE WHEN (SELECT sum(sc1.findings)
        FROM cluster_severity_count sc1) > 300000 THEN '!0' ELSE concat('{"subjects":', (WITH page1 AS (SELECT s2.id AS s_id, s2.kind AS s_kind, s2.api_group AS s_api_group, s2.namespace AS s_namespace, s2.name AS s_name, s2.labels AS s_labels, s2.resolved AS s_resolved, s2.pods AS s_pods, s2.scanned AS s_scanned, s2.cluster_id AS s_cluster_id
        FROM subject s2
        WHERE s2.present
          ORDER BY (SELECT coalesce(sum(cc3.findings), 0)::bigint
          FROM placement op3
          JOIN placement_content oc3 ON oc3.placement_id = op3.id
          JOIN content_count cc3 ON cc3.content_id = oc3.content_id
          WHERE op3.subject_id = s2.id AND oc3.live + oc3.absent > 0 AND cc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND cc3.severity = 'CRITICAL') DESC, s2.id DESC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM subject s1
          WHERE s1.present), ',"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
                FROM (SELECT concat('{"id":"', encode(convert_to('Subject:' || x1.s_id, 'UTF8'), 'base64'), '","kind":', to_json(x1.s_kind), ',"apiGroup":', coalesce(to_json(nullif(x1.s_api_group, '')), 'null'), ',"namespace":', coalesce(to_json(nullif(x1.s_namespace, '')), 'null'), ',"name":', to_json(x1.s_name), ',"labels":', to_json(x1.s_labels), ',"resolved":', CASE WHEN x1.s_resolved THEN 'true' ELSE 'false' END, ',"pods":', coalesce((x1.s_pods)::text, 'null'), ',"scanned":', CASE WHEN x1.s_scanned THEN 'true' ELSE 'false' END, ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"images":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                  FROM (SELECT concat('{"name":', to_json(i1.name), '}') AS o
                  FROM image i1
                    WHERE i1.id IN (SELECT iu.image_id
                    FROM image_usage iu
                  WHERE iu.subject_id = x1.s_id)
                ORDER BY i1.name, i1.id LIMIT 100) j1), ',"severities":', (SELECT concat('{"critical":', n1.critical, ',"total":', n1.total, '}')
                  FROM (SELECT coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(cc1.findings), 0)::bigint AS total
                  FROM placement op1
                  JOIN placement_content oc1 ON oc1.placement_id = op1.id
                  JOIN content_count cc1 ON cc1.content_id = oc1.content_id
                WHERE op1.subject_id = x1.s_id AND oc1.live + oc1.absent > 0 AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1), ',"secrets":', (SELECT concat('{"total":', n2.total, '}')
                  FROM (SELECT coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(cc2.findings) FILTER (WHERE cc2.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(cc2.findings), 0)::bigint AS total
                  FROM placement op2
                  JOIN placement_content oc2 ON oc2.placement_id = op2.id
                  JOIN content_count cc2 ON cc2.content_id = oc2.content_id
                WHERE op2.subject_id = x1.s_id AND oc2.live + oc2.absent > 0 AND cc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND cc2.category IN ('SECRET'::finding_category)) n2), ',"reports":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                        FROM (SELECT concat('{"kind":', to_json((SELECT o.kind
                        FROM report_kind o
                  WHERE o.id = rp1.kind_id)), ',"source":', to_json(p1.source), ',"state":"', rp1.state, '"}') AS o
                  FROM report rp1
                  JOIN placement p1 ON p1.id = rp1.placement_id
                  WHERE p1.subject_id = x1.s_id
            ORDER BY rp1.key LIMIT 1000) j2), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
        WHERE c1.id = x1.s_cluster_id OFFSET 0) o1 ON true LIMIT 50) j3), '}')), ',"unscanned":', (WITH page2 AS (SELECT s3.name AS s_name
        FROM subject s3
        WHERE s3.present AND NOT s3.labels ? $1::text AND NOT s3.scanned
          ORDER BY s3.name ASC, s3.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j4.o, ','), ']')
            FROM (SELECT concat('{"name":', to_json(x3.s_name), '}') AS o
FROM page2 x3 LIMIT 50) j4), '}')), '}') END, 'UTF8')
