    SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT w1.*
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
        ORDER BY h1.hour DESC, w1.o0 DESC, w1.o1 DESC LIMIT 2 + 1) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT (SELECT translate(encode(substring(sha256($2::bytea || sha256($2::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text)::text, 'UTF8') AS b OFFSET 0) cursor) AS "cursor", (SELECT row_to_json(j4)
                          FROM (SELECT encode(convert_to('RuntimeEvent:' || (extract(epoch
              FROM x1.e_at) * 1000000)::bigint || ':' || x1.e_id, 'UTF8'), 'base64') AS "id", CASE WHEN x1.e_time_ns = 0 THEN to_json(x1.e_time) ELSE to_json(to_char(x1.e_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || lpad(x1.e_time_ns::text, 3, '0') || '+00:00') END AS "time", x1.e_rule AS "rule", x1.e_priority AS "priority", x1.e_source AS "source", x1.e_output AS "output", nullif(x1.e_hostname, '') AS "hostname", x1.e_tags AS "tags", x1.e_fields AS "fields", nullif(x1.e_namespace, '') AS "namespace", nullif(x1.e_pod, '') AS "pod", nullif(x1.e_container, '') AS "container") j4) AS "node"
            FROM page1 x1 LIMIT 2) j3) AS "edges", (SELECT row_to_json(j5)
                  FROM (SELECT ((SELECT count(*)
                  FROM page1 ) > 2) AS "hasNextPage", (SELECT (SELECT translate(encode(substring(sha256($2::bytea || sha256($2::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x2.t_n0)::text, (x2.t_n1)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                    FROM page1 x2 OFFSET greatest((SELECT least(count(*), 2)
FROM page1 n1) - 1, 0) LIMIT least(1, 2)) AS "endCursor") j5) AS "pageInfo") j2) AS "runtimeEvents") j1)::text, 'UTF8')
