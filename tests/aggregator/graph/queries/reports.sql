        /* keeps its plan */ SELECT convert_to(concat('{"reports":', (WITH page1 AS (SELECT rp2.cluster_id AS rp_cluster_id, rp2.key AS rp_key, p2.source AS p_source, rp2.kind_id AS rp_kind_id, rp2.namespace AS rp_namespace, rp2.name AS rp_name, rp2.state AS rp_state, p2.container AS p_container, rp2.scanner AS rp_scanner, rp2.scanner_version AS rp_scanner_version, rp2.reported_at AS rp_reported_at, rp2.observed_at AS rp_observed_at, p2.subject_id AS p_subject_id, rp2.image_id AS rp_image_id, rp2.content_id AS rp_content_id
        FROM report rp2
        JOIN placement p2 ON p2.id = rp2.placement_id
        WHERE p2.source IS DISTINCT
        FROM $1::text AND rp2.state IN ('LIVE'::report_state, 'ABSENT'::report_state)
          ORDER BY rp2.cluster_id ASC, rp2.key ASC LIMIT 100) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM report rp1
          JOIN placement p1 ON p1.id = rp1.placement_id
          WHERE p1.source IS DISTINCT
          FROM $2::text AND rp1.state IN ('LIVE'::report_state, 'ABSENT'::report_state)), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                  FROM (SELECT concat('{"id":"', encode(convert_to('Report:' || x1.rp_cluster_id || ':' || x1.rp_key, 'UTF8'), 'base64'), '","source":', to_json(x1.p_source), ',"group":', to_json((SELECT o.api_group
                  FROM report_kind o
                  WHERE o.id = x1.rp_kind_id)), ',"kind":', to_json((SELECT o.kind
                  FROM report_kind o
                WHERE o.id = x1.rp_kind_id)), ',"namespace":', coalesce(to_json(nullif(x1.rp_namespace, '')), 'null'), ',"name":', to_json(x1.rp_name), ',"state":"', x1.rp_state, '","container":', coalesce(to_json(nullif(x1.p_container, '')), 'null'), ',"scanner":', coalesce(to_json(x1.rp_scanner), 'null'), ',"scannerVersion":', coalesce(to_json(x1.rp_scanner_version), 'null'), ',"reportedAt":', coalesce(to_json(x1.rp_reported_at), 'null'), ',"observedAt":', to_json(x1.rp_observed_at), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"subject":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.s_name), '}') END, ',"image":', coalesce(CASE WHEN o3.found THEN concat('{"name":', to_json(o3.i_name), '}') END, 'null'), ',"severities":', (SELECT concat('{"critical":', n1.critical, ',"high":', n1.high, ',"total":', n1.total, '}')
                  FROM (SELECT coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(cc1.findings) FILTER (WHERE cc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(cc1.findings), 0)::bigint AS total
                  FROM content_count cc1
                WHERE cc1.content_id = x1.rp_content_id AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1), ',"statuses":', (SELECT concat('{"fail":', n2.fail, ',"warn":', n2.warn, ',"error":', n2.error, ',"skip":', n2.skip, ',"pass":', n2.pass, '}')
                  FROM (SELECT coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'FAIL'), 0)::bigint AS fail, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'WARN'), 0)::bigint AS warn, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'ERROR'), 0)::bigint AS error, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'SKIP'), 0)::bigint AS skip, coalesce(sum(cc2.findings) FILTER (WHERE cc2.status = 'PASS'), 0)::bigint AS pass, coalesce(sum(cc2.findings), 0)::bigint AS total
                  FROM content_count cc2
                  WHERE cc2.content_id = x1.rp_content_id) n2), ',"content":', to_json((SELECT $3::text || translate(encode(ct1.body, 'base64'), E'\n', '')
                  FROM content ct1
            WHERE ct1.id = x1.rp_content_id)), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
            WHERE c1.id = x1.rp_cluster_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, s1.name AS s_name
              FROM subject s1
            WHERE s1.id = x1.p_subject_id OFFSET 0) o2 ON true
              LEFT JOIN LATERAL (SELECT true AS found, i1.name AS i_name
              FROM image i1
WHERE i1.id = x1.rp_image_id OFFSET 0) o3 ON true LIMIT 100) j1), '}')), '}'), 'UTF8')
