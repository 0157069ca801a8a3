        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT pc1.placement_id AS pc_placement_id, f1.key AS f_key, pc1.since AS pc_since, f1.rule_id AS f_rule_id, pc1.cluster_id AS pc_cluster_id
        FROM transition tr1
            CROSS JOIN LATERAL (SELECT tr1.placement_id, ARRAY(SELECT unnest(k.keys) AS key
            FROM keyset k
            WHERE k.id = ANY(tr1.after) EXCEPT SELECT unnest(k.keys)
            FROM keyset k
        WHERE k.id = ANY(tr1.before)) AS keys, NULL::timestamptz[] AS times) cd1
        JOIN placement_content pc1 ON pc1.placement_id = cd1.placement_id
          CROSS JOIN LATERAL (SELECT o.*, n.at AS opened_at
          FROM finding o
          JOIN unnest(cd1.keys, cd1.times) n (key, at) ON n.key = o.key
        WHERE o.content_id = pc1.content_id OFFSET 0) f1
          CROSS JOIN LATERAL (SELECT *
          FROM placement o
        WHERE o.id = pc1.placement_id OFFSET 0) p1
            WHERE tr1.cluster_id = ANY($1::int[]) AND CASE WHEN coalesce((SELECT t.at
            FROM transition t
              WHERE t.placement_id = pc1.placement_id AND NOT EXISTS (SELECT
              FROM keyset ks
              WHERE ks.id = ANY(t.before) AND f1.key = ANY(ks.keys)) AND EXISTS (SELECT
              FROM keyset ks
            WHERE ks.id = ANY(t.after) AND f1.key = ANY(ks.keys))
        ORDER BY t.at DESC LIMIT 1), pc1.since) = tr1.at THEN true ELSE false END AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0 AND pc1.cluster_id = ANY($1::int[])
          ORDER BY tr1.at DESC, f1.id DESC, pc1.placement_id DESC LIMIT 5) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                    FROM (SELECT concat('{"firstSeenAt":', to_json(coalesce((SELECT t.at
                    FROM transition t
                      WHERE t.placement_id = x1.pc_placement_id AND NOT EXISTS (SELECT
                      FROM keyset ks
                      WHERE ks.id = ANY(t.before) AND x1.f_key = ANY(ks.keys)) AND EXISTS (SELECT
                      FROM keyset ks
                    WHERE ks.id = ANY(t.after) AND x1.f_key = ANY(ks.keys))
            ORDER BY t.at DESC LIMIT 1), x1.pc_since)), ',"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, ',"cluster":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.c_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
            WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.id = x1.pc_cluster_id AND c1.id = ANY($1::int[]) OFFSET 0) o2 ON true LIMIT 5) j1), '}')), '}'), 'UTF8')
