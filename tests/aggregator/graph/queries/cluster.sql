                /* keeps its plan */ SELECT convert_to(concat('{"cluster":', coalesce((SELECT concat('{"name":', to_json(c1.name), ',"findings":', (WITH page1 AS (WITH near1 AS MATERIALIZED (SELECT u1.content_id
                FROM usage u1
              WHERE u1.cluster_id = c1.id LIMIT 400 + 1) SELECT *
                  FROM ((SELECT f2.severity AS f_severity, f2.rule_id AS f_rule_id, f2.severity AS o0, f2.id AS o1, pl2.pc_cluster_id AS o2, pl2.pc_placement_id AS o3
                    FROM (SELECT f2.*
                      FROM (SELECT DISTINCT n1.content_id
                      FROM near1 n1
                        WHERE (SELECT count(*)
                        FROM near1) <= 400 AND (SELECT true
                          FROM (SELECT 1
                          FROM placement_content pc1
                          WHERE pc1.content_id = n1.content_id AND pc1.live + pc1.absent > 0 AND pc1.cluster_id = c1.id
                    ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 1) pl1)) v1
                      CROSS JOIN LATERAL (SELECT f2.*
                      FROM finding f2
                      WHERE f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.content_id = v1.content_id
                    ORDER BY f2.severity DESC, f2.id DESC LIMIT 2 + 1 + 1) f2
                  ORDER BY f2.severity DESC, f2.id DESC LIMIT 2 + 1 + 1) f2
                    CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id
                    FROM placement_content pc2
                    WHERE pc2.content_id = f2.content_id AND pc2.live + pc2.absent > 0 AND pc2.cluster_id = c1.id
                  ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 2 + 1) pl2
                  ORDER BY f2.severity DESC, f2.id DESC, pl2.pc_cluster_id ASC, pl2.pc_placement_id ASC LIMIT 2 + 1) UNION ALL (SELECT w2.*
                    FROM (SELECT sc2.category, array_agg(DISTINCT sc2.severity) AS severities
                    FROM cluster_severity_count sc2
                      WHERE sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc2.cluster_id = c1.id AND sc2.findings > 0 AND NOT (SELECT count(*)
                    FROM near1) <= 400
                  GROUP BY 1) v2
                    CROSS JOIN LATERAL (SELECT f3.severity AS f_severity, f3.rule_id AS f_rule_id, f3.severity AS o0, f3.id AS o1, pl3.pc_cluster_id AS o2, pl3.pc_placement_id AS o3
                    FROM finding f3
                      CROSS JOIN LATERAL (SELECT pc3.cluster_id AS pc_cluster_id, pc3.placement_id AS pc_placement_id
                      FROM placement_content pc3
                      WHERE pc3.content_id = f3.content_id AND pc3.live + pc3.absent > 0 AND pc3.cluster_id = c1.id
                    ORDER BY pc3.cluster_id, pc3.placement_id LIMIT 2 + 1) pl3
                    WHERE f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f3.category = v2.category AND f3.severity = ANY(v2.severities)
                  ORDER BY f3.severity DESC, f3.id DESC, pl3.pc_cluster_id ASC, pl3.pc_placement_id ASC LIMIT 2 + 1) w2
              ORDER BY w2.o0 DESC, w2.o1 DESC, w2.o2 ASC, w2.o3 ASC LIMIT 2 + 1)) w3
                ORDER BY w3.o0 DESC, w3.o1 DESC, w3.o2 ASC, w3.o3 ASC LIMIT 2 + 1) SELECT concat('{"totalCount":', (SELECT coalesce(sum(sc1.findings), 0)::bigint
                FROM cluster_severity_count sc1
                    WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.cluster_id = c1.id), ',"pageInfo":', concat('{"hasNextPage":', CASE WHEN ((SELECT count(*)
                FROM page1 ) > 2) THEN 'true' ELSE 'false' END, '}'), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                  FROM (SELECT concat('{"severity":"', x1.f_severity, '","rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, '}') AS o
                  FROM page1 x1
                    LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
                    FROM rule r1
              WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true LIMIT 2) j1), '}')), ',"subjects":', (WITH page2 AS (SELECT s2.kind AS s_kind, s2.name AS s_name
              FROM subject s2
              WHERE s2.cluster_id = c1.id AND s2.present
                ORDER BY s2.name ASC, s2.id ASC LIMIT 2) SELECT concat('{"totalCount":', (SELECT count(*)
                FROM subject s1
                WHERE s1.cluster_id = c1.id AND s1.present), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                  FROM (SELECT concat('{"kind":', to_json(x3.s_kind), ',"name":', to_json(x3.s_name), '}') AS o
              FROM page2 x3 LIMIT 2) j2), '}')), ',"images":', (WITH page3 AS (SELECT i1.name AS i_name, i1.id AS i_id
              FROM image i1
                WHERE i1.id IN (SELECT iu3.image_id
                FROM image_usage iu3
              WHERE iu3.cluster_id = c1.id)
                ORDER BY i1.name ASC, i1.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
                      FROM (SELECT concat('{"name":', to_json(x5.i_name), ',"running":', CASE WHEN EXISTS (SELECT
                      FROM image_usage iu1
                      WHERE iu1.image_id = x5.i_id AND iu1.pods > 0) THEN 'true' ELSE 'false' END, ',"scanned":', CASE WHEN EXISTS (SELECT
                      FROM image_usage iu2
                  WHERE iu2.image_id = x5.i_id AND iu2.reports > 0) THEN 'true' ELSE 'false' END, '}') AS o
        FROM page3 x5 LIMIT 50) j3), '}')), '}')
        FROM cluster c1
        LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
        WHERE c1.name = $1::text), 'null'), ',"none":', coalesce((SELECT concat('{"name":', to_json(c2.name), '}')
        FROM cluster c2
        LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
WHERE c2.name = $2::text), 'null'), '}'), 'UTF8')
