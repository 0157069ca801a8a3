        SELECT convert_to(concat('{"fleet":', (WITH page1 AS (SELECT w1.*
          FROM (SELECT DISTINCT e5.hour AS hour
          FROM runtime_event_fleet_hour e5
          WHERE e5.hour < $1::timestamptz AND e5.rule = $2::text AND e5.priority IN ('ERROR'::event_priority) AND e5.source = $3::text
        ORDER BY e5.hour DESC) h1
          CROSS JOIN LATERAL (SELECT e6.time_ns AS e_time_ns, e6.time AS e_time, e6.rule AS e_rule, e6.at AS o0, e6.id AS o1
          FROM runtime_event e6
          WHERE e6.at >= h1.hour AND e6.at < h1.hour + interval '1 hour' AND e6.at < $1::timestamptz AND e6.rule = $2::text AND e6.priority IN ('ERROR'::event_priority) AND e6.source = $3::text
        ORDER BY e6.at DESC, e6.id DESC LIMIT 2) w1
          WHERE EXISTS (SELECT
          FROM runtime_event_fleet_day e4
        WHERE e4.day < $1::timestamptz AND e4.rule = $2::text AND e4.priority IN ('ERROR'::event_priority) AND e4.source = $3::text AND e4.events > 0)
          ORDER BY h1.hour DESC, w1.o0 DESC, w1.o1 DESC LIMIT 2) SELECT concat('{"totalCount":', (SELECT coalesce(sum(events), 0)::bigint AS events
            FROM (SELECT sum(e1.events)::bigint AS events
            FROM runtime_event_fleet_day e1
            WHERE e1.rule = $2::text AND e1.priority IN ('ERROR'::event_priority) AND e1.source = $3::text AND e1.day <= $1::timestamptz - interval '1 day' UNION ALL SELECT sum(e2.events)::bigint AS events
            FROM runtime_event_fleet_hour e2
            WHERE e2.rule = $2::text AND e2.priority IN ('ERROR'::event_priority) AND e2.source = $3::text AND e2.hour >= date_trunc('day', $1::timestamptz, 'UTC') AND e2.hour <= $1::timestamptz - interval '1 hour' UNION ALL SELECT count(*) AS events
            FROM runtime_event e3
          WHERE e3.rule = $2::text AND e3.priority IN ('ERROR'::event_priority) AND e3.source = $3::text AND e3.at >= date_trunc('hour', $1::timestamptz, 'UTC') AND e3.at >= date_trunc('day', $1::timestamptz, 'UTC') AND e3.at < $1::timestamptz) p), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"time":', to_json(CASE WHEN x1.e_time_ns = 0 THEN to_json(x1.e_time) ELSE to_json(to_char(x1.e_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || lpad(x1.e_time_ns::text, 3, '0') || '+00:00') END), ',"rule":', to_json(x1.e_rule), '}') AS o
              FROM page1 x1 LIMIT 2) j1), '}')), ',"cluster":', coalesce((SELECT concat('{"runtimeEvents":', (WITH page2 AS (SELECT w2.*
                FROM (SELECT DISTINCT e9.hour AS hour
                FROM runtime_event_hour e9
                WHERE e9.cluster_id = c1.id AND e9.rule = ANY($4::text[])
              ORDER BY e9.hour DESC) h2
                CROSS JOIN LATERAL (SELECT e10.time_ns AS e_time_ns, e10.time AS e_time, e10.pod AS e_pod, e10.at AS o0, e10.id AS o1
                FROM runtime_event e10
                WHERE e10.at >= h2.hour AND e10.at < h2.hour + interval '1 hour' AND e10.rule = ANY($4::text[]) AND e10.cluster_id = c1.id
              ORDER BY e10.at DESC, e10.id DESC LIMIT 2) w2
                WHERE EXISTS (SELECT
                FROM runtime_event_fleet_day e8
              WHERE e8.rule = ANY($4::text[]) AND e8.events > 0)
                ORDER BY h2.hour DESC, w2.o0 DESC, w2.o1 DESC LIMIT 2) SELECT concat('{"totalCount":', (SELECT coalesce(sum(events), 0)::bigint AS events
                  FROM (SELECT sum(e7.events)::bigint AS events
                  FROM runtime_event_hour e7
                WHERE e7.rule = ANY($4::text[]) AND e7.cluster_id = c1.id) p), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                  FROM (SELECT concat('{"time":', to_json(CASE WHEN x3.e_time_ns = 0 THEN to_json(x3.e_time) ELSE to_json(to_char(x3.e_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || lpad(x3.e_time_ns::text, 3, '0') || '+00:00') END), ',"pod":', coalesce(to_json(nullif(x3.e_pod, '')), 'null'), '}') AS o
        FROM page2 x3 LIMIT 2) j2), '}')), '}')
        FROM cluster c1
        LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.name = $5::text), 'null'), '}'), 'UTF8')
