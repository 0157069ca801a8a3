    SELECT convert_to(CASE WHEN (SELECT sum(e1.events)
    FROM runtime_event_fleet_day e1
        WHERE e1.rule LIKE $1::text) > 200000 THEN '!0' ELSE concat('{"runtimeEvents":', (WITH page1 AS (SELECT w1.*
            FROM unnest(ARRAY(SELECT DISTINCT e3.rule
            FROM runtime_event_fleet_day e3
        WHERE e3.rule LIKE $2::text)) v1
          CROSS JOIN LATERAL (SELECT e4.output AS e_output, e4.subject_id AS e_subject_id, e4.at AS o0, e4.id AS o1
          FROM runtime_event e4
            WHERE e4.rule = v1 AND e4.rule LIKE $3::text AND e4.output LIKE $4::text AND (SELECT true
            FROM subject s3
          WHERE s3.id = e4.subject_id AND s3.kind = $5::text)
        ORDER BY e4.at DESC, e4.id DESC LIMIT 2) w1
          ORDER BY w1.o0 DESC, w1.o1 DESC LIMIT 2) SELECT concat('{"totalCount":', (SELECT coalesce(sum(events), 0)::bigint AS events
            FROM (SELECT count(*) AS events
            FROM runtime_event e2
              WHERE e2.rule LIKE $6::text AND e2.output LIKE $7::text AND (SELECT true
              FROM subject s1
          WHERE s1.id = e2.subject_id AND s1.kind = $5::text)) p), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"output":', to_json(x1.e_output), ',"subject":', coalesce(CASE WHEN o1.found THEN concat('{"name":', to_json(o1.s_name), '}') END, 'null'), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, s2.name AS s_name
              FROM subject s2
WHERE s2.id = x1.e_subject_id OFFSET 0) o1 ON true LIMIT 2) j1), '}')), '}') END, 'UTF8')
