        SELECT convert_to(concat('{"runtimeEvents":', (WITH page1 AS (SELECT w1.*
        FROM unnest($1::int[]) v1
          CROSS JOIN LATERAL (SELECT w2.*
            FROM (SELECT DISTINCT e2.hour AS hour
            FROM runtime_event_hour e2
            WHERE e2.cluster_id = v1 AND e2.cluster_id = ANY($1::int[]) AND e2.namespace = ANY($2::text[])
          ORDER BY e2.hour DESC) h1
            CROSS JOIN LATERAL (SELECT e3.namespace AS e_namespace, e3.cluster_id AS e_cluster_id, e3.at AS o0, e3.id AS o1
            FROM runtime_event e3
            WHERE e3.cluster_id = v1 AND e3.at >= h1.hour AND e3.at < h1.hour + interval '1 hour' AND e3.namespace = ANY($2::text[])
          ORDER BY e3.at DESC, e3.id DESC LIMIT 3) w2
        ORDER BY h1.hour DESC, w2.o0 DESC, w2.o1 DESC LIMIT 3) w1
          ORDER BY w1.o0 DESC, w1.o1 DESC LIMIT 3) SELECT concat('{"totalCount":', (SELECT coalesce(sum(events), 0)::bigint AS events
            FROM (SELECT sum(e1.events)::bigint AS events
            FROM runtime_event_hour e1
          WHERE e1.cluster_id = ANY($1::int[]) AND e1.namespace = ANY($2::text[])) p), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"namespace":', coalesce(to_json(nullif(x1.e_namespace, '')), 'null'), ',"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
      WHERE c1.id = x1.e_cluster_id AND c1.id = ANY($1::int[]) OFFSET 0) o1 ON true LIMIT 3) j1), '}')), ',"runtimeEventGroups":', (SELECT concat('[', string_agg(j2.o, ','), ']')
              FROM (SELECT concat('{"cluster":', coalesce((SELECT concat('{"name":', to_json(c2.name), '}')
              FROM cluster c2
              LEFT JOIN agent_session ses2 ON ses2.cluster_id = c2.id
        WHERE c2.id = g1.d0 AND c2.id = ANY($1::int[])), 'null'), ',"priority":', coalesce('"' || (g1.d1) || '"', 'null'), ',"events":', g1.events, '}') AS o
          FROM (SELECT e4.cluster_id AS d0, e4.priority AS d1, sum(e4.events)::bigint AS events
          FROM runtime_event_hour e4
          WHERE e4.cluster_id = ANY($1::int[]) AND e4.namespace = ANY($2::text[])
        GROUP BY 1, 2) g1
            ORDER BY g1.events DESC, coalesce((SELECT o.name
            FROM cluster o
WHERE o.id = g1.d0), ''), g1.d1 LIMIT 1000) j2), '}'), 'UTF8')
