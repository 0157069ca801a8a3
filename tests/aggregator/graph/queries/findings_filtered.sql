          /* keeps its plan */ SELECT convert_to(concat('{"findings":', (WITH page1 AS (WITH near1 AS MATERIALIZED (SELECT u1.content_id
          FROM usage u1
              WHERE u1.cluster_id = ANY(ARRAY(SELECT c4.id
              FROM cluster c4
        WHERE c4.labels ->> $1::text = ANY($2::text[]))) LIMIT 400 + 1) SELECT *
            FROM ((SELECT f2.severity AS t_n0, f2.id AS t_n1, pl2.pc_cluster_id AS t_n2, pl2.pc_placement_id AS t_n3, f2.severity AS f_severity, f2.rule_id AS f_rule_id, pl2.pc_cluster_id AS pc_cluster_id, f2.severity AS o0, f2.id AS o1, pl2.pc_cluster_id AS o2, pl2.pc_placement_id AS o3
              FROM (SELECT f2.*
                FROM (SELECT DISTINCT n2.content_id
                FROM near1 n2
                  WHERE (SELECT count(*)
                  FROM near1) <= 400 AND (SELECT true
                    FROM (SELECT 1
                    FROM placement_content pc1
                        WHERE pc1.content_id = n2.content_id AND pc1.cluster_id = ANY(ARRAY(SELECT c3.id
                        FROM cluster c3
                    WHERE c3.labels ->> $1::text = ANY($2::text[]))) AND pc1.live + pc1.absent > 0
              ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 1) pl1)) v1
                CROSS JOIN LATERAL (SELECT f2.*
                FROM finding f2
                WHERE f2.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND f2.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f2.content_id = v1.content_id
              ORDER BY f2.severity DESC, f2.id DESC LIMIT 50 + 1) f2
            ORDER BY f2.severity DESC, f2.id DESC LIMIT 50 + 1) f2
              CROSS JOIN LATERAL (SELECT pc2.cluster_id AS pc_cluster_id, pc2.placement_id AS pc_placement_id
              FROM placement_content pc2
                  WHERE pc2.content_id = f2.content_id AND pc2.cluster_id = ANY(ARRAY(SELECT c6.id
                  FROM cluster c6
              WHERE c6.labels ->> $1::text = ANY($2::text[]))) AND pc2.live + pc2.absent > 0
            ORDER BY pc2.cluster_id, pc2.placement_id LIMIT 50) pl2
            ORDER BY f2.severity DESC, f2.id DESC, pl2.pc_cluster_id ASC, pl2.pc_placement_id ASC LIMIT 50) UNION ALL (SELECT w2.*
              FROM (SELECT sc2.category, array_agg(DISTINCT sc2.severity) AS severities
              FROM cluster_severity_count sc2
                  WHERE sc2.cluster_id = ANY(ARRAY(SELECT c5.id
                  FROM cluster c5
                WHERE c5.labels ->> $1::text = ANY($2::text[]))) AND sc2.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND sc2.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc2.findings > 0 AND NOT (SELECT count(*)
              FROM near1) <= 400
            GROUP BY 1) v2
              CROSS JOIN LATERAL (SELECT f3.severity AS t_n0, f3.id AS t_n1, pl3.pc_cluster_id AS t_n2, pl3.pc_placement_id AS t_n3, f3.severity AS f_severity, f3.rule_id AS f_rule_id, pl3.pc_cluster_id AS pc_cluster_id, f3.severity AS o0, f3.id AS o1, pl3.pc_cluster_id AS o2, pl3.pc_placement_id AS o3
              FROM finding f3
                CROSS JOIN LATERAL (SELECT pc3.cluster_id AS pc_cluster_id, pc3.placement_id AS pc_placement_id
                FROM placement_content pc3
                    WHERE pc3.content_id = f3.content_id AND pc3.cluster_id = ANY(ARRAY(SELECT c7.id
                    FROM cluster c7
                WHERE c7.labels ->> $1::text = ANY($2::text[]))) AND pc3.live + pc3.absent > 0
              ORDER BY pc3.cluster_id, pc3.placement_id LIMIT 50) pl3
              WHERE f3.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND f3.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f3.category = v2.category AND f3.severity = ANY(v2.severities)
            ORDER BY f3.severity DESC, f3.id DESC, pl3.pc_cluster_id ASC, pl3.pc_placement_id ASC LIMIT 50) w2
        ORDER BY w2.o0 DESC, w2.o1 DESC, w2.o2 ASC, w2.o3 ASC LIMIT 50)) w3
          ORDER BY w3.o0 DESC, w3.o1 DESC, w3.o2 ASC, w3.o3 ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT coalesce(sum(sc1.findings), 0)::bigint
          FROM cluster_severity_count sc1
              WHERE sc1.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND sc1.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.cluster_id = ANY(ARRAY(SELECT c1.id
              FROM cluster c1
          WHERE c1.labels ->> $1::text = ANY($2::text[])))), ',"edges":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                  FROM (SELECT concat('{"cursor":', to_json((SELECT translate(encode(substring(sha256($3::bytea || sha256($3::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
            FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text, (x1.t_n2)::text, (x1.t_n3)::text)::text, 'UTF8') AS b OFFSET 0) cursor)), ',"node":', concat('{"severity":"', x1.f_severity, '","rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, ',"cluster":', CASE WHEN o2.found THEN concat('{"name":', to_json(o2.c_name), '}') END, '}'), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
            WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true
              LEFT JOIN LATERAL (SELECT true AS found, c2.name AS c_name
              FROM cluster c2
              LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
WHERE c2.id = x1.pc_cluster_id OFFSET 0) o2 ON true LIMIT 50) j1), '}')), '}'), 'UTF8')
