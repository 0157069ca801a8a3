        SELECT convert_to(concat('{"runtimeEvents":', (WITH page1 AS (SELECT *
            FROM ((SELECT w1.*
                FROM unnest(ARRAY(SELECT c2.id
                FROM cluster c2
            WHERE c2.labels ->> $1::text = ANY($2::text[]))) v1
              CROSS JOIN LATERAL (SELECT w2.*
                FROM (SELECT DISTINCT e1.hour AS hour
                FROM runtime_event_hour e1
                    WHERE e1.cluster_id = v1 AND e1.cluster_id = ANY(ARRAY(SELECT c3.id
                    FROM cluster c3
                WHERE c3.labels ->> $1::text = ANY($2::text[]))) AND e1.namespace = ANY($3::text[])
              ORDER BY e1.hour DESC) h1
                CROSS JOIN LATERAL (SELECT e2.time_ns AS e_time_ns, e2.time AS e_time, e2.cluster_id AS e_cluster_id, e2.at AS o0, e2.id AS o1
                FROM runtime_event e2
                WHERE e2.cluster_id = v1 AND e2.at >= h1.hour AND e2.at < h1.hour + interval '1 hour' AND e2.namespace = ANY($3::text[])
              ORDER BY e2.at DESC, e2.id DESC LIMIT 2) w2
            ORDER BY h1.hour DESC, w2.o0 DESC, w2.o1 DESC LIMIT 2) w1
                WHERE cardinality(ARRAY(SELECT c2.id
                FROM cluster c2
            WHERE c2.labels ->> $1::text = ANY($2::text[]))) <= 64
            ORDER BY w1.o0 DESC, w1.o1 DESC LIMIT 2) UNION ALL (SELECT w3.*
                FROM unnest(ARRAY(SELECT DISTINCT d1
            FROM unnest($3::text[]) d1)) v2
              CROSS JOIN LATERAL (SELECT e3.time_ns AS e_time_ns, e3.time AS e_time, e3.cluster_id AS e_cluster_id, e3.at AS o0, e3.id AS o1
              FROM runtime_event e3
                  WHERE e3.namespace = v2 AND e3.namespace <> '' AND e3.cluster_id = ANY(ARRAY(SELECT c4.id
                  FROM cluster c4
              WHERE c4.labels ->> $1::text = ANY($2::text[])))
            ORDER BY e3.at DESC, e3.id DESC LIMIT 2) w3
                WHERE NOT cardinality(ARRAY(SELECT c2.id
                FROM cluster c2
            WHERE c2.labels ->> $1::text = ANY($2::text[]))) <= 64
        ORDER BY w3.o0 DESC, w3.o1 DESC LIMIT 2)) w4
          ORDER BY o0 DESC, o1 DESC LIMIT 2) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"time":', to_json(CASE WHEN x1.e_time_ns = 0 THEN to_json(x1.e_time) ELSE to_json(to_char(x1.e_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || lpad(x1.e_time_ns::text, 3, '0') || '+00:00') END), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
WHERE c1.id = x1.e_cluster_id OFFSET 0) o1 ON true LIMIT 2) j1), '}')), '}'), 'UTF8')
