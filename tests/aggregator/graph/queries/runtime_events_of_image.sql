        SELECT convert_to(concat('{"runtimeEvents":', (WITH page1 AS (SELECT w2.*
            FROM unnest(ARRAY(SELECT DISTINCT d1
        FROM unnest($1::text[]) d1)) v2
          CROSS JOIN LATERAL (SELECT e2.pod AS e_pod, e2.cluster_id AS e_cluster_id, e2.subject_id AS e_subject_id, e2.image_id AS e_image_id, e2.at AS o0, e2.id AS o1
          FROM runtime_event e2
              WHERE e2.pod = v2 AND e2.pod <> '' AND e2.cluster_id = ANY(ARRAY(SELECT c3.id
              FROM cluster c3
            WHERE c3.name = $2::text)) AND e2.rule = $3::text AND (SELECT o.name
            FROM image o
          WHERE o.id = e2.image_id) LIKE $4::text
        ORDER BY e2.at DESC, e2.id DESC LIMIT 2) w2
          ORDER BY w2.o0 DESC, w2.o1 DESC LIMIT 2) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                      FROM (SELECT concat('{"pod":', coalesce(to_json(nullif(x1.e_pod, '')), 'null'), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"subject":', coalesce(CASE WHEN o2.found THEN concat('{"kind":', to_json(o2.s_kind), ',"name":', to_json(o2.s_name), ',"runtimeEvents":', concat('{"totalCount":', (SELECT coalesce(sum(events), 0)::bigint AS events
                        FROM (SELECT count(*) AS events
                        FROM runtime_event e1
                      WHERE e1.subject_id = o2.s_id) p), '}'), '}') END, 'null'), ',"image":', coalesce(CASE WHEN o3.found THEN concat('{"name":', to_json(o3.i_name), ',"findings":', (WITH page3 AS (SELECT w1.*
                        FROM (SELECT DISTINCT pc1.content_id
                        FROM placement_content pc1
                        JOIN placement p1 ON p1.id = pc1.placement_id
                      WHERE pc1.live + pc1.absent > 0 AND pc1.image_id = o3.i_id) v1
                        CROSS JOIN LATERAL (SELECT f2.rule_id AS f_rule_id, f2.package AS f_package, f2.fixed_version AS f_fixed_version, f2.severity AS o0, f2.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
                        FROM finding f2
                          CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id
                          FROM placement_content pc2
                          WHERE pc2.content_id = f2.content_id AND pc2.live + pc2.absent > 0 AND pc2.image_id = o3.i_id
                        ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 2) pl1
                        WHERE f2.severity IN ('CRITICAL'::severity) AND f2.fixed_version IS NOT NULL AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.content_id = v1.content_id
                      ORDER BY f2.severity DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 2) w1
                        ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 2) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                          FROM (SELECT concat('{"rule":', CASE WHEN o4.found THEN concat('{"key":', to_json(o4.r_key), '}') END, ',"package":', coalesce(CASE WHEN x2.f_package IS NOT NULL THEN concat('{"name":', to_json(x2.f_package), ',"fixedVersion":', coalesce(to_json(x2.f_fixed_version), 'null'), '}') END, 'null'), '}') AS o
                          FROM page3 x2
                            LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
                            FROM rule r1
            WHERE r1.id = x2.f_rule_id OFFSET 0) o4 ON true LIMIT 2) j1), '}')), '}') END, 'null'), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
            WHERE c1.id = x1.e_cluster_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, s1.kind AS s_kind, s1.name AS s_name, s1.id AS s_id
              FROM subject s1
            WHERE s1.id = x1.e_subject_id OFFSET 0) o2 ON true
              LEFT JOIN LATERAL (SELECT true AS found, i1.name AS i_name, i1.id AS i_id
              FROM image i1
WHERE i1.id = x1.e_image_id OFFSET 0) o3 ON true LIMIT 2) j2), '}')), '}'), 'UTF8')
