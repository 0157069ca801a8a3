        /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT f1.severity AS t_n0, f1.id AS t_n1, pl1.pc_cluster_id AS t_n2, pl1.pc_placement_id AS t_n3, pl1.p_id AS p_id, f1.key AS f_key, f1.ordinal AS f_ordinal, pl1.p_contents AS p_contents, f1.content_id AS f_content_id, f1.category AS f_category, pl1.p_source AS p_source, f1.status AS f_status, f1.severity AS f_severity, f1.score AS f_score, f1.message AS f_message, pl1.p_namespace AS p_namespace, pl1.p_container AS p_container, f1.target AS f_target, pl1.pc_live AS pc_live, pl1.pc_absent AS pc_absent, pl1.pc_placement_id AS pc_placement_id, pl1.pc_since AS pc_since, pl1.pc_observed_at AS pc_observed_at, f1.rule_id AS f_rule_id, pl1.pc_cluster_id AS pc_cluster_id, pl1.p_subject_id AS p_subject_id, pl1.pc_image_id AS pc_image_id, f1.package AS f_package, f1.installed_version AS f_installed_version, f1.fixed_version AS f_fixed_version, f1.package_type AS f_package_type, f1.purl AS f_purl, f1.package_path AS f_package_path
        FROM finding f1
          CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id, p2.id AS p_id, p2.contents AS p_contents, p2.source AS p_source, p2.namespace AS p_namespace, p2.container AS p_container, pc1.live AS pc_live, pc1.absent AS pc_absent, pc1.since AS pc_since, pc1.observed_at AS pc_observed_at, p2.subject_id AS p_subject_id, pc1.image_id AS pc_image_id
          FROM placement_content pc1
          JOIN placement p2 ON p2.id = pc1.placement_id
          WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
        ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 20 + 1) pl1
        WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
          ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 20 + 1) SELECT concat('{"totalCount":', (SELECT coalesce(sum(sc1.findings), 0)::bigint
          FROM cluster_severity_count sc1
              WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)), ',"pageInfo":', concat('{"hasNextPage":', CASE WHEN ((SELECT count(*)
                  FROM page1 ) > 20) THEN 'true' ELSE 'false' END, ',"hasPreviousPage":', CASE WHEN false THEN 'true' ELSE 'false' END, ',"startCursor":', coalesce(to_json((SELECT (SELECT translate(encode(substring(sha256($1::bytea || sha256($1::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text, (x1.t_n2)::text, (x1.t_n3)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                  FROM page1 x1 LIMIT least(1, 20))), 'null'), ',"endCursor":', coalesce(to_json((SELECT (SELECT translate(encode(substring(sha256($1::bytea || sha256($1::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x2.t_n0)::text, (x2.t_n1)::text, (x2.t_n2)::text, (x2.t_n3)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                    FROM page1 x2 OFFSET greatest((SELECT least(count(*), 20)
          FROM page1 n1) - 1, 0) LIMIT least(1, 20))), 'null'), '}'), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                      FROM (SELECT concat('{"id":"', encode(convert_to('Finding:' || x3.p_id || ':' || x3.f_key || ':' || (x3.f_ordinal + CASE WHEN x3.p_contents > 1 THEN (SELECT count(*)
                      FROM placement_content o
                      JOIN finding g ON g.content_id = o.content_id AND g.key = x3.f_key
                    WHERE o.placement_id = x3.p_id AND o.content_id < x3.f_content_id) ELSE 0 END), 'UTF8'), 'base64'), '","category":"', x3.f_category, '","source":', to_json(x3.p_source), ',"status":"', x3.f_status, '","severity":"', x3.f_severity, '","score":', coalesce(to_json(x3.f_score), 'null'), ',"message":', coalesce(to_json(x3.f_message), 'null'), ',"namespace":', coalesce(to_json(nullif(x3.p_namespace, '')), 'null'), ',"container":', coalesce(to_json(nullif(x3.p_container, '')), 'null'), ',"target":', coalesce(to_json(x3.f_target), 'null'), ',"occurrences":', (x3.pc_live + x3.pc_absent), ',"state":"', CASE WHEN x3.pc_live > 0 THEN 'LIVE' WHEN x3.pc_absent > 0 THEN 'ABSENT' ELSE 'SUPERSEDED' END, '","firstSeenAt":', to_json(coalesce((SELECT t.at
                    FROM transition t
                      WHERE t.placement_id = x3.pc_placement_id AND NOT EXISTS (SELECT
                      FROM keyset ks
                      WHERE ks.id = ANY(t.before) AND x3.f_key = ANY(ks.keys)) AND EXISTS (SELECT
                      FROM keyset ks
                    WHERE ks.id = ANY(t.after) AND x3.f_key = ANY(ks.keys))
                ORDER BY t.at DESC LIMIT 1), x3.pc_since)), ',"observedAt":', to_json(x3.pc_observed_at), ',"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), ',"title":', coalesce(to_json(o1.r_title), 'null'), '}') END, ',"cluster":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.c_name), '}') END, ',"subject":', CASE WHEN o3.found THEN concat('{"kind":', to_json(o3.s_kind), ',"name":', to_json(o3.s_name), '}') END, ',"image":', coalesce(CASE WHEN o4.found THEN concat('{"name":', to_json(o4.i_name), '}') END, 'null'), ',"package":', coalesce(CASE WHEN x3.f_package IS NOT NULL THEN concat('{"name":', to_json(x3.f_package), ',"installedVersion":', coalesce(to_json(x3.f_installed_version), 'null'), ',"fixedVersion":', coalesce(to_json(x3.f_fixed_version), 'null'), ',"type":', coalesce(to_json(x3.f_package_type), 'null'), ',"purl":', coalesce(to_json(x3.f_purl), 'null'), ',"path":', coalesce(to_json(x3.f_package_path), 'null'), '}') END, 'null'), ',"reports":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                        FROM (SELECT concat('{"kind":', to_json((SELECT o.kind
                        FROM report_kind o
                  WHERE o.id = rp1.kind_id)), ',"name":', to_json(rp1.name), ',"state":"', rp1.state, '"}') AS o
                  FROM report rp1
                  JOIN placement p1 ON p1.id = rp1.placement_id
                  WHERE rp1.placement_id = x3.pc_placement_id AND rp1.content_id = x3.f_content_id
            ORDER BY rp1.key LIMIT 5) j1), '}') AS o
            FROM page1 x3
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key, r1.title AS r_title
              FROM rule r1
            WHERE r1.id = x3.f_rule_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
            WHERE c1.id = x3.pc_cluster_id OFFSET 0) o2 ON true
              LEFT JOIN LATERAL (SELECT true AS found, s1.kind AS s_kind, s1.name AS s_name
              FROM subject s1
            WHERE s1.id = x3.p_subject_id OFFSET 0) o3 ON true
              LEFT JOIN LATERAL (SELECT true AS found, i1.name AS i_name
              FROM image i1
WHERE i1.id = x3.pc_image_id OFFSET 0) o4 ON true LIMIT 20) j2), '}')), '}'), 'UTF8')
