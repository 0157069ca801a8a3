    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT f2.score AS f_score, f2.rule_id AS f_rule_id
          FROM finding f2
            CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id
            FROM placement_content pc1
            WHERE pc1.content_id = f2.content_id AND pc1.live + pc1.absent > 0
          ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 50) pl1
          WHERE f2.score >= $1::real AND f2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        ORDER BY coalesce(f2.score, '-infinity'::real) DESC, f2.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(sum(u1.placements), 0)::bigint
            FROM finding f1
            JOIN usage u1 ON u1.content_id = f1.content_id
            WHERE f1.score >= $1::real AND f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT x1.f_score AS "score", (SELECT row_to_json(j4)
                  FROM (SELECT r1.key AS "key"
                  FROM rule r1
              WHERE r1.id = x1.f_rule_id) j4) AS "rule"
FROM page1 x1 LIMIT 50) j3) AS "nodes") j2) AS "findings") j1)::text, 'UTF8')
