        /* keeps its plan */ SELECT convert_to(concat('{"failedReports":', (WITH page1 AS (SELECT fr2.cluster_id AS fr_cluster_id, fr2.api_group AS fr_api_group, fr2.kind AS fr_kind, fr2.namespace AS fr_namespace, fr2.name AS fr_name, fr2.reason AS fr_reason, fr2.bytes AS fr_bytes, fr2.observed_at AS fr_observed_at
        FROM failed_report fr2
          ORDER BY fr2.id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM failed_report fr1), ',"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
            FROM (SELECT concat('{"cluster":', CASE WHEN o1.found THEN concat('{"name":', to_json(o1.c_name), '}') END, ',"group":', to_json(x1.fr_api_group), ',"kind":', to_json(x1.fr_kind), ',"namespace":', coalesce(to_json(nullif(x1.fr_namespace, '')), 'null'), ',"name":', to_json(x1.fr_name), ',"reason":', to_json(x1.fr_reason), ',"bytes":', coalesce((x1.fr_bytes)::text, 'null'), ',"observedAt":', to_json(x1.fr_observed_at), '}') AS o
            FROM page1 x1
              LEFT JOIN LATERAL (SELECT true AS found, c1.name AS c_name
              FROM cluster c1
              LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
        WHERE c1.id = x1.fr_cluster_id OFFSET 0) o1 ON true LIMIT 50) j1), '}')), ',"none":', concat('{"totalCount":', (SELECT count(*)
        FROM failed_report fr3
            WHERE fr3.cluster_id = ANY(ARRAY(SELECT c2.id
            FROM cluster c2
WHERE c2.name = $1::text))), '}'), '}'), 'UTF8')
