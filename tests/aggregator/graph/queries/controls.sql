        /* keeps its plan */ SELECT convert_to(concat('{"controls":', (WITH page1 AS (SELECT g2.benchmark AS g_benchmark, g2.clusters AS g_clusters, g2.failing AS g_failing, g2.n_pass AS g_n_pass, g2.n_fail AS g_n_fail, g2.n_warn AS g_n_warn, g2.n_error AS g_n_error, g2.n_skip AS g_n_skip, g2.rule_id AS g_rule_id
          FROM (SELECT r3.id AS rule_id, r3.key AS key, split_part(r3.key, '/', 1) AS benchmark, count(DISTINCT u2.cluster_id) AS clusters, count(DISTINCT u2.cluster_id) FILTER (WHERE e2.status IN ('FAIL', 'WARN', 'ERROR')) AS failing, coalesce(sum(u2.placements) FILTER (WHERE e2.status = 'FAIL'), 0)::bigint AS n_fail, coalesce(sum(u2.placements) FILTER (WHERE e2.status = 'WARN'), 0)::bigint AS n_warn, coalesce(sum(u2.placements) FILTER (WHERE e2.status = 'ERROR'), 0)::bigint AS n_error, coalesce(sum(u2.placements) FILTER (WHERE e2.status = 'SKIP'), 0)::bigint AS n_skip, coalesce(sum(u2.placements) FILTER (WHERE e2.status = 'PASS'), 0)::bigint AS n_pass
            FROM (SELECT o.content_id, o.rule_id, o.status
            FROM finding o
            WHERE o.category = 'BENCHMARK' AND o.status IN ('FAIL', 'WARN', 'ERROR') UNION ALL SELECT o.content_id, o.rule_id, o.status
            FROM finding o
          WHERE o.category = 'BENCHMARK' AND o.status IN ('PASS', 'SKIP')) e2
          JOIN usage u2 ON u2.content_id = e2.content_id
          JOIN rule r3 ON r3.id = e2.rule_id
          WHERE u2.placements > 0 AND u2.cluster_id = ANY($1::int[])
        GROUP BY r3.id) g2
          ORDER BY g2.key, g2.rule_id LIMIT 5 + 1) SELECT concat('{"totalCount":', (SELECT count(*)
            FROM (SELECT r1.id AS rule_id, r1.key AS key, split_part(r1.key, '/', 1) AS benchmark, count(DISTINCT u1.cluster_id) AS clusters, count(DISTINCT u1.cluster_id) FILTER (WHERE e1.status IN ('FAIL', 'WARN', 'ERROR')) AS failing, coalesce(sum(u1.placements) FILTER (WHERE e1.status = 'FAIL'), 0)::bigint AS n_fail, coalesce(sum(u1.placements) FILTER (WHERE e1.status = 'WARN'), 0)::bigint AS n_warn, coalesce(sum(u1.placements) FILTER (WHERE e1.status = 'ERROR'), 0)::bigint AS n_error, coalesce(sum(u1.placements) FILTER (WHERE e1.status = 'SKIP'), 0)::bigint AS n_skip, coalesce(sum(u1.placements) FILTER (WHERE e1.status = 'PASS'), 0)::bigint AS n_pass
              FROM (SELECT o.content_id, o.rule_id, o.status
              FROM finding o
              WHERE o.category = 'BENCHMARK' AND o.status IN ('FAIL', 'WARN', 'ERROR') UNION ALL SELECT o.content_id, o.rule_id, o.status
              FROM finding o
            WHERE o.category = 'BENCHMARK' AND o.status IN ('PASS', 'SKIP')) e1
            JOIN usage u1 ON u1.content_id = e1.content_id
            JOIN rule r1 ON r1.id = e1.rule_id
            WHERE u1.placements > 0 AND u1.cluster_id = ANY($1::int[])
              GROUP BY r1.id) g1), ',"pageInfo":', concat('{"hasNextPage":', CASE WHEN ((SELECT count(*)
          FROM page1 ) > 5) THEN 'true' ELSE 'false' END, '}'), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"benchmark":', to_json(x1.g_benchmark), ',"clusters":', x1.g_clusters, ',"failingClusters":', x1.g_failing, ',"passed":', x1.g_n_pass, ',"failed":', x1.g_n_fail, ',"warned":', x1.g_n_warn, ',"errors":', x1.g_n_error, ',"skipped":', x1.g_n_skip, ',"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), ',"title":', coalesce(to_json(o1.r_title), 'null'), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r2.key AS r_key, r2.title AS r_title
              FROM rule r2
        WHERE r2.id = x1.g_rule_id OFFSET 0) o1 ON true LIMIT 5) j1), '}')), ',"failing":', (WITH page2 AS (SELECT g3.rule_id AS g_rule_id, g3.failing AS g_failing
          FROM (SELECT r5.id AS rule_id, r5.key AS key, split_part(r5.key, '/', 1) AS benchmark, count(DISTINCT u3.cluster_id) AS clusters, count(DISTINCT u3.cluster_id) FILTER (WHERE e3.status IN ('FAIL', 'WARN', 'ERROR')) AS failing, coalesce(sum(u3.placements) FILTER (WHERE e3.status = 'FAIL'), 0)::bigint AS n_fail, coalesce(sum(u3.placements) FILTER (WHERE e3.status = 'WARN'), 0)::bigint AS n_warn, coalesce(sum(u3.placements) FILTER (WHERE e3.status = 'ERROR'), 0)::bigint AS n_error, coalesce(sum(u3.placements) FILTER (WHERE e3.status = 'SKIP'), 0)::bigint AS n_skip, coalesce(sum(u3.placements) FILTER (WHERE e3.status = 'PASS'), 0)::bigint AS n_pass
            FROM (SELECT o.content_id, o.rule_id, o.status
            FROM finding o
            WHERE o.category = 'BENCHMARK' AND o.status IN ('FAIL', 'WARN', 'ERROR') UNION ALL SELECT o.content_id, o.rule_id, o.status
            FROM finding o
          WHERE o.category = 'BENCHMARK' AND o.status IN ('PASS', 'SKIP')) e3
          JOIN usage u3 ON u3.content_id = e3.content_id
          JOIN rule r5 ON r5.id = e3.rule_id
          WHERE u3.placements > 0 AND u3.cluster_id = ANY($1::int[])
        GROUP BY r5.id) g3
        WHERE g3.benchmark LIKE $2::text AND g3.failing > 0
          ORDER BY g3.key, g3.rule_id LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
            FROM (SELECT concat('{"rule":', CASE WHEN o2.found THEN concat('{"key":', to_json(o2.r_key), '}') END, ',"failingClusters":', x3.g_failing, '}') AS o
            FROM page2 x3
              LEFT JOIN LATERAL (SELECT true AS found, r4.key AS r_key
              FROM rule r4
WHERE r4.id = x3.g_rule_id OFFSET 0) o2 ON true LIMIT 50) j2), '}')), '}'), 'UTF8')
