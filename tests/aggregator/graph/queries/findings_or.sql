    SELECT convert_to(CASE WHEN (SELECT sum(sc1.findings)
    FROM cluster_severity_count sc1
        WHERE sc1.status IN ('WARN'::finding_status, 'FAIL'::finding_status, 'ERROR'::finding_status, 'SKIP'::finding_status)) > 300000 THEN '!0' ELSE concat('{"findings":', (WITH page1 AS (SELECT f2.rule_id AS f_rule_id, f2.status AS f_status, f2.severity AS f_severity
        FROM finding f2
        JOIN placement_content pc2 ON pc2.content_id = f2.content_id
        JOIN placement p2 ON p2.id = pc2.placement_id
        WHERE f2.status IN ('WARN'::finding_status, 'FAIL'::finding_status, 'ERROR'::finding_status, 'SKIP'::finding_status) AND ((p2.container = $1::text) OR ((f2.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity)) IS NOT TRUE)) AND pc2.live + pc2.absent > 0
          ORDER BY (SELECT o.key
          FROM rule o
          WHERE o.id = f2.rule_id) ASC, f2.id ASC, pc2.placement_id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM finding f1
          JOIN placement_content pc1 ON pc1.content_id = f1.content_id
          JOIN placement p1 ON p1.id = pc1.placement_id
          WHERE f1.status IN ('WARN'::finding_status, 'FAIL'::finding_status, 'ERROR'::finding_status, 'SKIP'::finding_status) AND ((p1.container = $1::text) OR ((f1.severity IN ('CRITICAL'::severity, 'HIGH'::severity, 'MEDIUM'::severity, 'LOW'::severity)) IS NOT TRUE)) AND pc1.live + pc1.absent > 0), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, ',"status":"', x1.f_status, '","severity":"', x1.f_severity, '"}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
              FROM rule r1
WHERE r1.id = x1.f_rule_id OFFSET 0) o1 ON true LIMIT 50) j1), '}')), '}') END, 'UTF8')
