        SELECT convert_to(concat('{"findings":', (WITH page1 AS (SELECT pl1.p_id AS p_id, f1.key AS f_key, f1.ordinal AS f_ordinal, pl1.p_contents AS p_contents, f1.content_id AS f_content_id, f1.severity AS f_severity, f1.status AS f_status, f1.score AS f_score, f1.message AS f_message, pl1.p_namespace AS p_namespace, pl1.p_container AS p_container, pl1.pc_live AS pc_live, pl1.pc_absent AS pc_absent, pl1.pc_observed_at AS pc_observed_at, f1.rule_id AS f_rule_id, pl1.pc_cluster_id AS pc_cluster_id, pl1.p_subject_id AS p_subject_id
        FROM finding f1
          CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id, p1.id AS p_id, p1.contents AS p_contents, p1.namespace AS p_namespace, p1.container AS p_container, pc1.live AS pc_live, pc1.absent AS pc_absent, pc1.observed_at AS pc_observed_at, p1.subject_id AS p_subject_id
          FROM placement_content pc1
          JOIN placement p1 ON p1.id = pc1.placement_id
          WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
        ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 100) pl1
        WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
          ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 100) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                      FROM (SELECT concat('{"id":"', encode(convert_to('Finding:' || x1.p_id || ':' || x1.f_key || ':' || (x1.f_ordinal + CASE WHEN x1.p_contents > 1 THEN (SELECT count(*)
                      FROM placement_content o
                      JOIN finding g ON g.content_id = o.content_id AND g.key = x1.f_key
            WHERE o.placement_id = x1.p_id AND o.content_id < x1.f_content_id) ELSE 0 END), 'UTF8'), 'base64'), '","severity":"', x1.f_severity, '","status":"', x1.f_status, '","score":', coalesce(to_json(x1.f_score), 'null'), ',"message":', coalesce(to_json(x1.f_message), 'null'), ',"namespace":', coalesce(to_json(nullif(x1.p_namespace, '')), 'null'), ',"container":', coalesce(to_json(nullif(x1.p_container, '')), 'null'), ',"occurrences":', (x1.pc_live + x1.pc_absent), ',"state":"', CASE WHEN x1.pc_live > 0 THEN 'LIVE' WHEN x1.pc_absent > 0 THEN 'ABSENT' ELSE 'SUPERSEDED' END, '","observedAt":', to_json(x1.pc_observed_at), ',"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, ',"cluster":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.c_name), '}') END, ',"subject":', CASE WHEN o3.found THEN concat('{"kind":', to_json(o3.s_kind), ',"name":', to_json(o3.s_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
            WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
            WHERE c1.id = x1.pc_cluster_id OFFSET 0) o2 ON true
              LEFT JOIN LATERAL (SELECT true AS found, s1.kind AS s_kind, s1.name AS s_name
              FROM subject s1
WHERE s1.id = x1.p_subject_id OFFSET 0) o3 ON true LIMIT 100) j1), '}')), '}'), 'UTF8')
