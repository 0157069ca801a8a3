    SELECT convert_to(CASE WHEN extract(epoch
      FROM $1::timestamptz - $2::timestamptz) / 3600 > 1000 THEN '!0' ELSE concat('{"byHour":', (SELECT concat('[', string_agg(j1.o, ','), ']')
        FROM (SELECT concat('{"time":', coalesce(to_json(g1.t), 'null'), ',"events":', g1.events, '}') AS o
            FROM (WITH counted AS MATERIALIZED (SELECT t, coalesce(sum(events), 0)::bigint AS events
              FROM (SELECT date_trunc('hour', e1.hour, 'UTC') AS t, sum(e1.events)::bigint AS events
              FROM runtime_event_fleet_hour e1
              WHERE e1.hour >= $2::timestamptz AND e1.hour <= $1::timestamptz - interval '1 hour'
              GROUP BY 1 UNION ALL SELECT date_trunc('hour', e2.at, 'UTC') AS t, count(*) AS events
              FROM runtime_event e2
              WHERE e2.at >= $2::timestamptz AND e2.at < date_trunc('hour', $2::timestamptz + interval '1 hour' - interval '1 microsecond', 'UTC') AND e2.at < date_trunc('hour', $1::timestamptz, 'UTC')
              GROUP BY 1 UNION ALL SELECT date_trunc('hour', e3.at, 'UTC') AS t, count(*) AS events
              FROM runtime_event e3
              WHERE e3.at >= date_trunc('hour', $1::timestamptz, 'UTC') AND e3.at >= $2::timestamptz AND e3.at < $1::timestamptz
            GROUP BY 1) p
          GROUP BY t) SELECT b.t, coalesce(c.events, 0) AS events
          FROM generate_series(date_trunc('hour', $2::timestamptz, 'UTC'), $1::timestamptz - interval '1 microsecond', interval '1 hour') b (t)
          CROSS JOIN (SELECT) k
        LEFT JOIN counted c ON c.t = b.t) g1
      ORDER BY g1.t ASC LIMIT 1000) j1), ',"byRule":', (SELECT concat('[', string_agg(j2.o, ','), ']')
        FROM (SELECT concat('{"rule":', coalesce(to_json(g2.d0), 'null'), ',"priority":', coalesce('"' || (g2.d1) || '"', 'null'), ',"events":', g2.events, '}') AS o
          FROM (SELECT e4.rule AS d0, e4.priority AS d1, sum(e4.events)::bigint AS events
          FROM runtime_event_fleet_day e4
          WHERE e4.source = $3::text
        GROUP BY 1, 2) g2
            ORDER BY g2.events DESC, g2.d0, g2.d1 LIMIT 3) j2), ',"cluster":', coalesce((SELECT concat('{"eventGaps":', (SELECT concat('[', string_agg(j3.o, ','), ']')
              FROM (SELECT concat('{"from":', coalesce(to_json(g3.started_at), 'null'), ',"to":', coalesce(to_json(g3.ended_at), 'null'), ',"events":', coalesce((g3.events)::text, 'null'), ',"reason":', to_json(g3.reason), ',"priorities":', coalesce(to_json(g3.priorities), 'null'), '}') AS o
              FROM event_gap g3
              WHERE g3.cluster_id = c1.id
              ORDER BY g3.recorded_at DESC, g3.id DESC LIMIT 5) j3), ',"runtimeEvents":', (WITH page1 AS (SELECT e5.rule AS e_rule, e5.at AS o0, e5.id AS o1
              FROM runtime_event e5
              WHERE e5.cluster_id = c1.id
                ORDER BY e5.at DESC, e5.id DESC LIMIT 1) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j4.o, ','), ']')
                  FROM (SELECT concat('{"rule":', to_json(x1.e_rule), '}') AS o
        FROM page1 x1 LIMIT 1) j4), '}')), '}')
        FROM cluster c1
        LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.name = $4::text), 'null'), '}') END, 'UTF8')
