        SELECT convert_to(concat('{"runtimeEvents":', (WITH page1 AS (SELECT w1.*
          FROM (SELECT DISTINCT e2.hour AS hour
          FROM runtime_event_fleet_hour e2
          WHERE e2.rule = $1::text AND e2.priority IN ('EMERGENCY'::event_priority, 'ALERT'::event_priority, 'CRITICAL'::event_priority, 'ERROR'::event_priority, 'WARNING'::event_priority)
        ORDER BY e2.hour DESC) h1
          CROSS JOIN LATERAL (SELECT e3.at AS t_n0, e3.id AS t_n1, e3.at AS e_at, e3.id AS e_id, e3.time_ns AS e_time_ns, e3.time AS e_time, e3.rule AS e_rule, e3.priority AS e_priority, e3.source AS e_source, e3.output AS e_output, e3.hostname AS e_hostname, e3.tags AS e_tags, e3.fields AS e_fields, e3.namespace AS e_namespace, e3.pod AS e_pod, e3.container AS e_container, e3.at AS o0, e3.id AS o1
          FROM runtime_event e3
          WHERE e3.at >= h1.hour AND e3.at < h1.hour + interval '1 hour' AND e3.rule = $1::text AND e3.priority IN ('EMERGENCY'::event_priority, 'ALERT'::event_priority, 'CRITICAL'::event_priority, 'ERROR'::event_priority, 'WARNING'::event_priority)
        ORDER BY e3.at DESC, e3.id DESC LIMIT 2 + 1) w1
          WHERE EXISTS (SELECT
          FROM runtime_event_fleet_day e1
        WHERE e1.rule = $1::text AND e1.priority IN ('EMERGENCY'::event_priority, 'ALERT'::event_priority, 'CRITICAL'::event_priority, 'ERROR'::event_priority, 'WARNING'::event_priority) AND e1.events > 0)
          ORDER BY h1.hour DESC, w1.o0 DESC, w1.o1 DESC LIMIT 2 + 1) SELECT concat('{"edges":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                  FROM (SELECT concat('{"cursor":', to_json((SELECT translate(encode(substring(sha256($2::bytea || sha256($2::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                        FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text)::text, 'UTF8') AS b OFFSET 0) cursor)), ',"node":', concat('{"id":"', encode(convert_to('RuntimeEvent:' || (extract(epoch
            FROM x1.e_at) * 1000000)::bigint || ':' || x1.e_id, 'UTF8'), 'base64'), '","time":', to_json(CASE WHEN x1.e_time_ns = 0 THEN to_json(x1.e_time) ELSE to_json(to_char(x1.e_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || lpad(x1.e_time_ns::text, 3, '0') || '+00:00') END), ',"rule":', to_json(x1.e_rule), ',"priority":"', x1.e_priority, '","source":', to_json(x1.e_source), ',"output":', to_json(x1.e_output), ',"hostname":', coalesce(to_json(nullif(x1.e_hostname, '')), 'null'), ',"tags":', to_json(x1.e_tags), ',"fields":', to_json(x1.e_fields), ',"namespace":', coalesce(to_json(nullif(x1.e_namespace, '')), 'null'), ',"pod":', coalesce(to_json(nullif(x1.e_pod, '')), 'null'), ',"container":', coalesce(to_json(nullif(x1.e_container, '')), 'null'), '}'), '}') AS o
              FROM page1 x1 LIMIT 2) j1), ',"pageInfo":', concat('{"hasNextPage":', CASE WHEN ((SELECT count(*)
                  FROM page1 ) > 2) THEN 'true' ELSE 'false' END, ',"endCursor":', coalesce(to_json((SELECT (SELECT translate(encode(substring(sha256($2::bytea || sha256($2::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x2.t_n0)::text, (x2.t_n1)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                    FROM page1 x2 OFFSET greatest((SELECT least(count(*), 2)
FROM page1 n1) - 1, 0) LIMIT least(1, 2))), 'null'), '}'), '}')), '}'), 'UTF8')
