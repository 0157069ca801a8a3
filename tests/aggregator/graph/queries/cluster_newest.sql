              SELECT convert_to(concat('{"cluster":', coalesce((SELECT concat('{"newest":', (WITH page1 AS (SELECT pc1.placement_id AS pc_placement_id, f1.key AS f_key, pc1.since AS pc_since, f1.rule_id AS f_rule_id, pc1.cluster_id AS pc_cluster_id
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
                  WHERE tr1.cluster_id = c1.id AND CASE WHEN coalesce((SELECT t.at
                  FROM transition t
                    WHERE t.placement_id = pc1.placement_id AND NOT EXISTS (SELECT
                    FROM keyset ks
                    WHERE ks.id = ANY(t.before) AND f1.key = ANY(ks.keys)) AND EXISTS (SELECT
                    FROM keyset ks
                  WHERE ks.id = ANY(t.after) AND f1.key = ANY(ks.keys))
              ORDER BY t.at DESC LIMIT 1), pc1.since) = tr1.at THEN true ELSE false END AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0 AND pc1.cluster_id = c1.id
                ORDER BY tr1.at DESC, f1.id DESC, pc1.placement_id DESC LIMIT 2) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
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
                    LEFT JOIN LATERAL (SELECT true AS found, c2.name AS c_name
                    FROM cluster c2
                    LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
              WHERE c2.id = x1.pc_cluster_id OFFSET 0) o2 ON true LIMIT 2) j1), '}')), ',"since":', (WITH page2 AS (SELECT pc2.placement_id AS pc_placement_id, f2.key AS f_key, pc2.since AS pc_since, f2.rule_id AS f_rule_id, pc2.cluster_id AS pc_cluster_id
                FROM (SELECT o.placement_id, array_agg(o.key) AS keys, array_agg(o.at) AS times
                  FROM (SELECT tr2.placement_id, op2.key, max(tr2.at) AS at
                  FROM transition tr2
                    CROSS JOIN LATERAL (SELECT unnest(k.keys) AS key
                    FROM keyset k
                    WHERE k.id = ANY(tr2.after) EXCEPT SELECT unnest(k.keys)
                    FROM keyset k
                  WHERE k.id = ANY(tr2.before)) op2
                  WHERE tr2.at >= $1::timestamptz AND tr2.cluster_id = c1.id
                GROUP BY 1, 2) o
              GROUP BY 1) cd2
              JOIN placement_content pc2 ON pc2.placement_id = cd2.placement_id
                CROSS JOIN LATERAL (SELECT o.*, n.at AS opened_at
                FROM finding o
                JOIN unnest(cd2.keys, cd2.times) n (key, at) ON n.key = o.key
              WHERE o.content_id = pc2.content_id OFFSET 0) f2
                CROSS JOIN LATERAL (SELECT *
                FROM placement o
              WHERE o.id = pc2.placement_id OFFSET 0) p2
              WHERE f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.opened_at >= $1::timestamptz AND pc2.live + pc2.absent > 0 AND pc2.cluster_id = c1.id
                ORDER BY f2.severity DESC, f2.id DESC, pc2.cluster_id ASC, pc2.placement_id ASC LIMIT 2) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                          FROM (SELECT concat('{"firstSeenAt":', to_json(coalesce((SELECT t.at
                          FROM transition t
                            WHERE t.placement_id = x3.pc_placement_id AND NOT EXISTS (SELECT
                            FROM keyset ks
                            WHERE ks.id = ANY(t.before) AND x3.f_key = ANY(ks.keys)) AND EXISTS (SELECT
                            FROM keyset ks
                          WHERE ks.id = ANY(t.after) AND x3.f_key = ANY(ks.keys))
                  ORDER BY t.at DESC LIMIT 1), x3.pc_since)), ',"rule":', CASE WHEN o3.found THEN concat('{"key":', to_json(o3.r_key), '}') END, ',"cluster":', CASE WHEN o4.found THEN concat('{"name":', to_json(o4.c_name), '}') END, '}') AS o
                  FROM page2 x3
                    LEFT JOIN LATERAL (SELECT true AS found, r2.key AS r_key
                    FROM rule r2
                  WHERE r2.id = x3.f_rule_id OFFSET 0) o3 ON true
                    LEFT JOIN LATERAL (SELECT true AS found, c3.name AS c_name
                    FROM cluster c3
                    LEFT JOIN agent_session ses3 ON ses3.cluster_id = c3.id
        WHERE c3.id = x3.pc_cluster_id OFFSET 0) o4 ON true LIMIT 2) j2), '}')), '}')
        FROM cluster c1
        LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.name = $2::text), 'null'), '}'), 'UTF8')
