        /* keeps its plan */ SELECT convert_to(concat('{"fleet":', concat('{"clusters":', (SELECT count(*)
        FROM cluster c1
        LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
        WHERE c1.id = ANY($1::int[])), ',"reports":', (SELECT count(*)
        FROM report rp1
        JOIN placement p1 ON p1.id = rp1.placement_id
        WHERE rp1.cluster_id = ANY($1::int[]) AND p1.namespace = ANY($2::text[])), ',"images":', (SELECT count(DISTINCT iu1.image_id)
        FROM image_usage iu1
        WHERE iu1.cluster_id = ANY($1::int[]) AND iu1.namespace = ANY($2::text[])), ',"workloads":', (SELECT count(*)
        FROM subject s1
        WHERE s1.cluster_id = ANY($1::int[]) AND CASE WHEN s1.kind = 'Namespace' AND s1.api_group = '' THEN s1.name ELSE s1.namespace END = ANY($2::text[]) AND (s1.kind IN ('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'CronJob', 'Pod') OR s1.pods IS NOT NULL)), ',"severities":', (SELECT concat('{"total":', n1.total, ',"critical":', n1.critical, '}')
          FROM (SELECT coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(sc1.findings) FILTER (WHERE sc1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(sc1.findings), 0)::bigint AS total
          FROM severity_count sc1
          WHERE sc1.cluster_id = ANY($1::int[]) AND sc1.namespace = ANY($2::text[]) AND sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) n1), '}'), ',"findings":', (WITH page1 AS (WITH near1 AS MATERIALIZED (SELECT DISTINCT u6.content_id
          FROM usage u6
        WHERE u6.cluster_id = ANY($1::int[]) AND u6.namespace = ANY($2::text[]) LIMIT 400 + 1) SELECT *
            FROM ((SELECT pl2.pc_cluster_id AS pc_cluster_id, pl2.p_namespace AS p_namespace, f6.rule_id AS f_rule_id, f6.severity AS o0, f6.id AS o1, pl2.pc_cluster_id AS o2, pl2.pc_placement_id AS o3
              FROM (SELECT f6.*
                FROM (SELECT DISTINCT n2.content_id
                FROM near1 n2
                  WHERE (SELECT count(*)
                  FROM near1) <= 400 AND (SELECT true
                    FROM (SELECT 1
                    FROM usage u5
                    JOIN placement_content pc1 ON pc1.content_id = u5.content_id AND pc1.cluster_id = u5.cluster_id
                    JOIN placement p2 ON p2.id = pc1.placement_id AND p2.namespace = u5.namespace
                    WHERE pc1.content_id = n2.content_id AND pc1.live + pc1.absent > 0 AND pc1.cluster_id = ANY($1::int[]) AND p2.namespace = ANY($2::text[]) AND u5.content_id = n2.content_id AND u5.cluster_id = ANY($1::int[]) AND u5.namespace = ANY($2::text[])
              ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 1) pl1)) v1
                CROSS JOIN LATERAL (SELECT f6.*
                FROM finding f6
                WHERE f6.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f6.content_id = v1.content_id
              ORDER BY f6.severity DESC, f6.id DESC LIMIT 50 + 1) f6
            ORDER BY f6.severity DESC, f6.id DESC LIMIT 50 + 1) f6
              CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id, p3.namespace AS p_namespace
              FROM usage u7
              JOIN placement_content pc2 ON pc2.content_id = u7.content_id AND pc2.cluster_id = u7.cluster_id
              JOIN placement p3 ON p3.id = pc2.placement_id AND p3.namespace = u7.namespace
              WHERE pc2.content_id = f6.content_id AND pc2.live + pc2.absent > 0 AND pc2.cluster_id = ANY($1::int[]) AND p3.namespace = ANY($2::text[]) AND u7.content_id = f6.content_id AND u7.cluster_id = ANY($1::int[]) AND u7.namespace = ANY($2::text[])
            ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 50) pl2
            ORDER BY f6.severity DESC, f6.id DESC, pl2.pc_cluster_id ASC, pl2.pc_placement_id ASC LIMIT 50) UNION ALL (SELECT w2.*
              FROM (SELECT sc3.category, array_agg(DISTINCT sc3.severity) AS severities
              FROM severity_count sc3
                WHERE sc3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc3.cluster_id = ANY($1::int[]) AND sc3.namespace = ANY($2::text[]) AND sc3.findings > 0 AND NOT (SELECT count(*)
              FROM near1) <= 400
            GROUP BY 1) v2
              CROSS JOIN LATERAL (SELECT pl3.pc_cluster_id AS pc_cluster_id, pl3.p_namespace AS p_namespace, f7.rule_id AS f_rule_id, f7.severity AS o0, f7.id AS o1, pl3.pc_cluster_id AS o2, pl3.pc_placement_id AS o3
              FROM finding f7
                CROSS JOIN LATERAL (SELECT pc3.cluster_id AS pc_cluster_id, pc3.placement_id AS pc_placement_id, p4.namespace AS p_namespace
                FROM usage u8
                JOIN placement_content pc3 ON pc3.content_id = u8.content_id AND pc3.cluster_id = u8.cluster_id
                JOIN placement p4 ON p4.id = pc3.placement_id AND p4.namespace = u8.namespace
                WHERE pc3.content_id = f7.content_id AND pc3.live + pc3.absent > 0 AND pc3.cluster_id = ANY($1::int[]) AND p4.namespace = ANY($2::text[]) AND u8.content_id = f7.content_id AND u8.cluster_id = ANY($1::int[]) AND u8.namespace = ANY($2::text[])
              ORDER BY pc3.cluster_id, pc3.placement_id LIMIT 50) pl3
              WHERE f7.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f7.category = v2.category AND f7.severity = ANY(v2.severities)
            ORDER BY f7.severity DESC, f7.id DESC, pl3.pc_cluster_id ASC, pl3.pc_placement_id ASC LIMIT 50) w2
        ORDER BY w2.o0 DESC, w2.o1 DESC, w2.o2 ASC, w2.o3 ASC LIMIT 50)) w3
          ORDER BY w3.o0 DESC, w3.o1 DESC, w3.o2 ASC, w3.o3 ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT coalesce(sum(sc2.findings), 0)::bigint
          FROM severity_count sc2
          WHERE sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc2.cluster_id = ANY($1::int[]) AND sc2.namespace = ANY($2::text[])), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                  FROM (SELECT concat('{"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"namespace":', coalesce(to_json(nullif(x1.p_namespace, '')), 'null'), ',"rule":', CASE WHEN o2.found THEN concat('{"key":', to_json(o2.r_key), ',"findingCount":', (SELECT coalesce(sum(u1.placements), 0)::bigint
                  FROM finding f1
                  JOIN usage u1 ON u1.content_id = f1.content_id
                  WHERE f1.rule_id = o2.r_id AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u1.placements > 0 AND u1.cluster_id = ANY($1::int[]) AND u1.namespace = ANY($2::text[])), ',"clusterCount":', (SELECT count(DISTINCT u2.cluster_id)
                  FROM finding f2
                  JOIN usage u2 ON u2.content_id = f2.content_id
                    WHERE f2.rule_id = o2.r_id AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u2.placements > 0 AND u2.cluster_id = ANY($1::int[]) AND u2.namespace = ANY($2::text[])), ',"clusters":', (WITH page2 AS (SELECT c4.name AS c_name
                    FROM cluster c4
                    LEFT JOIN agent_session ses4 ON ses4.cluster_id = c4.id
                      WHERE c4.id IN (SELECT u4.cluster_id
                      FROM finding f4
                      JOIN usage u4 ON u4.content_id = f4.content_id
                    WHERE f4.rule_id = o2.r_id AND f4.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u4.placements > 0 AND u4.cluster_id = ANY($1::int[]) AND u4.namespace = ANY($2::text[])) AND c4.id = ANY($1::int[])
                      ORDER BY c4.name ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
                      FROM cluster c3
                      LEFT JOIN agent_session ses3 ON ses3.cluster_id = c3.id
                        WHERE c3.id IN (SELECT u3.cluster_id
                        FROM finding f3
                        JOIN usage u3 ON u3.content_id = f3.content_id
                      WHERE f3.rule_id = o2.r_id AND f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND u3.placements > 0 AND u3.cluster_id = ANY($1::int[]) AND u3.namespace = ANY($2::text[])) AND c3.id = ANY($1::int[])), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                        FROM (SELECT concat('{"name":', to_json(x2.c_name), '}') AS o
            FROM page2 x2 LIMIT 50) j1), '}')), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c2.name AS c_name
              FROM cluster c2
              LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
            WHERE c2.id = x1.pc_cluster_id AND c2.id = ANY($1::int[]) OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key, r1.id AS r_id
              FROM rule r1
        WHERE r1.id = x1.f_rule_id OFFSET 0) o2 ON true LIMIT 50) j2), '}')), ',"images":', (WITH page3 AS (SELECT i2.name AS i_name, i2.id AS i_id
        FROM image i2
          WHERE (SELECT true
          FROM image_usage iu6
        WHERE iu6.image_id = i2.id AND iu6.cluster_id = ANY($1::int[]) AND iu6.namespace = ANY($2::text[]) LIMIT 1)
          ORDER BY i2.name ASC, i2.id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM image i1
            WHERE (SELECT true
            FROM image_usage iu2
          WHERE iu2.image_id = i1.id AND iu2.cluster_id = ANY($1::int[]) AND iu2.namespace = ANY($2::text[]) LIMIT 1)), ',"nodes":', (SELECT concat('[', string_agg(j4.o, ','), ']')
                FROM (SELECT concat('{"name":', to_json(x5.i_name), ',"clusterCount":', (SELECT count(DISTINCT iu3.cluster_id)
                FROM image_usage iu3
                WHERE iu3.image_id = x5.i_id AND iu3.cluster_id = ANY($1::int[]) AND iu3.namespace = ANY($2::text[])), ',"workloadCount":', (SELECT count(DISTINCT iu4.subject_id)
                FROM image_usage iu4
                  WHERE iu4.image_id = x5.i_id AND iu4.cluster_id = ANY($1::int[]) AND iu4.namespace = ANY($2::text[])), ',"subjects":', (WITH page4 AS (SELECT s2.name AS s_name
                  FROM subject s2
                    WHERE s2.id IN (SELECT iu5.subject_id
                    FROM image_usage iu5
                  WHERE iu5.image_id = x5.i_id AND iu5.cluster_id = ANY($1::int[]) AND iu5.namespace = ANY($2::text[])) AND s2.cluster_id = ANY($1::int[]) AND CASE WHEN s2.kind = 'Namespace' AND s2.api_group = '' THEN s2.name ELSE s2.namespace END = ANY($2::text[])
                    ORDER BY s2.name ASC, s2.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
                      FROM (SELECT concat('{"name":', to_json(x6.s_name), '}') AS o
            FROM page4 x6 LIMIT 50) j3), '}')), '}') AS o
FROM page3 x5 LIMIT 50) j4), '}')), '}'), 'UTF8')
