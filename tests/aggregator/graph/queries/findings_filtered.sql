    SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT w1.*
            FROM (SELECT n1 AS category
          FROM unnest(ARRAY['VULNERABILITY'::finding_category, 'SECRET'::finding_category]) n1) v1
            CROSS JOIN LATERAL (SELECT f1.severity AS t_n0, f1.id AS t_n1, pl1.pc_cluster_id AS t_n2, pl1.pc_placement_id AS t_n3, f1.severity AS f_severity, f1.rule_id AS f_rule_id, pl1.pc_cluster_id AS pc_cluster_id, f1.severity AS o0, f1.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
            FROM finding f1
              CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
              FROM placement_content pc1
                  WHERE pc1.content_id = f1.content_id AND pc1.cluster_id = ANY(ARRAY(SELECT c3.id
                  FROM cluster c3
              WHERE c3.labels ->> $1::text = ANY($2::text[]))) AND pc1.live + pc1.absent > 0
            ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 50) pl1
                WHERE f1.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND f1.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f1.category = v1.category AND f1.severity = ANY(ARRAY(SELECT l1
                FROM unnest(enum_range(NULL::severity)) l1
                  WHERE EXISTS (SELECT
                  FROM cluster_severity_count sc2
                      WHERE sc2.severity = l1 AND sc2.cluster_id = ANY(ARRAY(SELECT c4.id
                      FROM cluster c4
            WHERE c4.labels ->> $1::text = ANY($2::text[]))) AND sc2.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND sc2.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND sc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status))))
          ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) w1
        ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(sum(sc1.findings), 0)::bigint
            FROM cluster_severity_count sc1
                WHERE sc1.category IN ('VULNERABILITY'::finding_category, 'SECRET'::finding_category) AND sc1.severity IN ('CRITICAL'::severity, 'HIGH'::severity) AND sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND sc1.cluster_id = ANY(ARRAY(SELECT c1.id
                FROM cluster c1
            WHERE c1.labels ->> $1::text = ANY($2::text[])))) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT (SELECT translate(encode(substring(sha256($3::bytea || sha256($3::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text, (x1.t_n2)::text, (x1.t_n3)::text)::text, 'UTF8') AS b OFFSET 0) cursor) AS "cursor", (SELECT row_to_json(j4)
                    FROM (SELECT x1.f_severity AS "severity", (SELECT row_to_json(j5)
                      FROM (SELECT r1.key AS "key"
                      FROM rule r1
                    WHERE r1.id = x1.f_rule_id) j5) AS "rule", (SELECT row_to_json(j6)
                      FROM (SELECT c2.name AS "name"
                      FROM cluster c2
                      LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
              WHERE c2.id = x1.pc_cluster_id) j6) AS "cluster") j4) AS "node"
FROM page1 x1 LIMIT 50) j3) AS "edges") j2) AS "findings") j1)::text, 'UTF8')
