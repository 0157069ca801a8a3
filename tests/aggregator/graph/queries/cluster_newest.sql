    SELECT convert_to((SELECT row_to_json(j1)
        FROM (SELECT (SELECT row_to_json(j2)
              FROM (SELECT (WITH page1 AS (SELECT pc1.placement_id AS pc_placement_id, f1.key AS f_key, pc1.since AS pc_since, f1.rule_id AS f_rule_id, pc1.cluster_id AS pc_cluster_id
              FROM transition tr1
                CROSS JOIN LATERAL (SELECT unnest(k.keys) AS key
                FROM keyset k
                WHERE k.id = ANY(tr1.after) EXCEPT SELECT unnest(k.keys)
                FROM keyset k
              WHERE k.id = ANY(tr1.before)) op1
              CROSS JOIN LATERAL (SELECT tr1.placement_id, op1.key) cd1
              JOIN placement_content pc1 ON pc1.placement_id = cd1.placement_id
                CROSS JOIN LATERAL (SELECT *
                FROM finding o
              WHERE o.key = cd1.key AND o.content_id = pc1.content_id OFFSET 0) f1
                CROSS JOIN LATERAL (SELECT *
                FROM placement o
              WHERE o.id = pc1.placement_id OFFSET 0) p1
                  WHERE tr1.cluster_id = c1.id AND coalesce((SELECT t.at
                  FROM transition t
                    WHERE t.placement_id = pc1.placement_id AND NOT EXISTS (SELECT
                    FROM keyset ks
                    WHERE ks.id = ANY(t.before) AND f1.key = ANY(ks.keys)) AND EXISTS (SELECT
                    FROM keyset ks
                  WHERE ks.id = ANY(t.after) AND f1.key = ANY(ks.keys))
              ORDER BY t.at DESC, t.id DESC LIMIT 1), pc1.since) = tr1.at AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc1.live + pc1.absent > 0 AND pc1.cluster_id = c1.id
            ORDER BY tr1.at DESC, f1.id DESC, pc1.placement_id DESC LIMIT 2) SELECT row_to_json(j3)
                FROM (SELECT (SELECT coalesce(json_agg(j4), '[]'::json)
                      FROM (SELECT coalesce((SELECT t.at
                      FROM transition t
                        WHERE t.placement_id = x1.pc_placement_id AND NOT EXISTS (SELECT
                        FROM keyset ks
                        WHERE ks.id = ANY(t.before) AND x1.f_key = ANY(ks.keys)) AND EXISTS (SELECT
                        FROM keyset ks
                      WHERE ks.id = ANY(t.after) AND x1.f_key = ANY(ks.keys))
                    ORDER BY t.at DESC, t.id DESC LIMIT 1), x1.pc_since) AS "firstSeenAt", (SELECT row_to_json(j5)
                      FROM (SELECT r1.key AS "key"
                      FROM rule r1
                    WHERE r1.id = x1.f_rule_id) j5) AS "rule", (SELECT row_to_json(j6)
                      FROM (SELECT c2.name AS "name"
                      FROM cluster c2
                      LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
                  WHERE c2.id = x1.pc_cluster_id) j6) AS "cluster"
              FROM page1 x1 LIMIT 2) j4) AS "nodes") j3) AS "newest", (WITH page2 AS (SELECT pc2.placement_id AS pc_placement_id, f2.key AS f_key, pc2.since AS pc_since, f2.rule_id AS f_rule_id, pc2.cluster_id AS pc_cluster_id
                FROM (SELECT tr2.placement_id, op2.key, max(tr2.at) AS at
                FROM transition tr2
                  CROSS JOIN LATERAL (SELECT unnest(k.keys) AS key
                  FROM keyset k
                  WHERE k.id = ANY(tr2.after) EXCEPT SELECT unnest(k.keys)
                  FROM keyset k
                WHERE k.id = ANY(tr2.before)) op2
                WHERE tr2.at >= $1::timestamptz AND tr2.cluster_id = c1.id
              GROUP BY 1, 2) cd2
              JOIN placement_content pc2 ON pc2.placement_id = cd2.placement_id
                CROSS JOIN LATERAL (SELECT *
                FROM finding o
              WHERE o.key = cd2.key AND o.content_id = pc2.content_id OFFSET 0) f2
                CROSS JOIN LATERAL (SELECT *
                FROM placement o
              WHERE o.id = pc2.placement_id OFFSET 0) p2
              WHERE f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND cd2.at >= $1::timestamptz AND pc2.live + pc2.absent > 0 AND pc2.cluster_id = c1.id
            ORDER BY f2.severity DESC, f2.id DESC, pc2.cluster_id ASC, pc2.placement_id ASC LIMIT 2) SELECT row_to_json(j7)
                FROM (SELECT (SELECT coalesce(json_agg(j8), '[]'::json)
                      FROM (SELECT coalesce((SELECT t.at
                      FROM transition t
                        WHERE t.placement_id = x3.pc_placement_id AND NOT EXISTS (SELECT
                        FROM keyset ks
                        WHERE ks.id = ANY(t.before) AND x3.f_key = ANY(ks.keys)) AND EXISTS (SELECT
                        FROM keyset ks
                      WHERE ks.id = ANY(t.after) AND x3.f_key = ANY(ks.keys))
                    ORDER BY t.at DESC, t.id DESC LIMIT 1), x3.pc_since) AS "firstSeenAt", (SELECT row_to_json(j9)
                      FROM (SELECT r2.key AS "key"
                      FROM rule r2
                    WHERE r2.id = x3.f_rule_id) j9) AS "rule", (SELECT row_to_json(j10)
                      FROM (SELECT c3.name AS "name"
                      FROM cluster c3
                      LEFT JOIN agent_session ses3 ON ses3.cluster_id = c3.id
                  WHERE c3.id = x3.pc_cluster_id) j10) AS "cluster"
          FROM page2 x3 LIMIT 2) j8) AS "nodes") j7) AS "since"
          FROM cluster c1
          LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.name = $2::text) j2) AS "cluster") j1)::text, 'UTF8')
