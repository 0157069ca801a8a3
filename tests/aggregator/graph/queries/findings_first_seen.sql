        SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT pc2.placement_id AS pc_placement_id, f2.key AS f_key, pc2.since AS pc_since, f2.rule_id AS f_rule_id, pc2.cluster_id AS pc_cluster_id
        FROM transition tr1
            CROSS JOIN LATERAL (SELECT tr1.placement_id, ARRAY(SELECT unnest(k.keys) AS key
            FROM keyset k
            WHERE k.id = ANY(tr1.after) EXCEPT SELECT unnest(k.keys)
            FROM keyset k
        WHERE k.id = ANY(tr1.before)) AS keys, NULL::timestamptz[] AS times) cd1
        JOIN placement_content pc2 ON pc2.placement_id = cd1.placement_id
          CROSS JOIN LATERAL (SELECT o.*, n.at AS opened_at
          FROM finding o
          JOIN unnest(cd1.keys, cd1.times) n (key, at) ON n.key = o.key
        WHERE o.content_id = pc2.content_id OFFSET 0) f2
          CROSS JOIN LATERAL (SELECT *
          FROM placement o
        WHERE o.id = pc2.placement_id OFFSET 0) p2
            WHERE tr1.at >= $1::timestamptz AND CASE WHEN coalesce((SELECT t.at
            FROM transition t
              WHERE t.placement_id = pc2.placement_id AND NOT EXISTS (SELECT
              FROM keyset ks
              WHERE ks.id = ANY(t.before) AND f2.key = ANY(ks.keys)) AND EXISTS (SELECT
              FROM keyset ks
            WHERE ks.id = ANY(t.after) AND f2.key = ANY(ks.keys))
        ORDER BY t.at DESC LIMIT 1), pc2.since) = tr1.at THEN true ELSE false END AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND tr1.at >= $1::timestamptz AND pc2.live + pc2.absent > 0
          ORDER BY tr1.at DESC, f2.id DESC, pc2.placement_id DESC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM finding f1
          JOIN placement_content pc1 ON pc1.content_id = f1.content_id
          JOIN placement p1 ON p1.id = pc1.placement_id
              WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND coalesce((SELECT t.at
              FROM transition t
                WHERE t.placement_id = pc1.placement_id AND NOT EXISTS (SELECT
                FROM keyset ks
                WHERE ks.id = ANY(t.before) AND f1.key = ANY(ks.keys)) AND EXISTS (SELECT
                FROM keyset ks
              WHERE ks.id = ANY(t.after) AND f1.key = ANY(ks.keys))
          ORDER BY t.at DESC LIMIT 1), pc1.since) >= $1::timestamptz AND pc1.live + pc1.absent > 0), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
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
WHERE c1.id = x1.pc_cluster_id OFFSET 0) o2 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
