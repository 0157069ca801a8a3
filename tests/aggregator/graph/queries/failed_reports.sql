    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT fr2.cluster_id AS fr_cluster_id, fr2.api_group AS fr_api_group, fr2.kind AS fr_kind, fr2.namespace AS fr_namespace, fr2.name AS fr_name, fr2.reason AS fr_reason, fr2.bytes AS fr_bytes, fr2.observed_at AS fr_observed_at
          FROM failed_report fr2
        ORDER BY fr2.id ASC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT count(*)
            FROM failed_report fr1) AS "totalCount", (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT (SELECT row_to_json(j4)
                  FROM (SELECT c1.name AS "name"
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
              WHERE c1.id = x1.fr_cluster_id) j4) AS "cluster", x1.fr_api_group AS "group", x1.fr_kind AS "kind", nullif(x1.fr_namespace, '') AS "namespace", x1.fr_name AS "name", x1.fr_reason AS "reason", x1.fr_bytes AS "bytes", x1.fr_observed_at AS "observedAt"
        FROM page1 x1 LIMIT 50) j3) AS "nodes") j2) AS "failedReports", (SELECT row_to_json(j5)
            FROM (SELECT (SELECT count(*)
            FROM failed_report fr3
                WHERE fr3.cluster_id = ANY(ARRAY(SELECT c2.id
                FROM cluster c2
WHERE c2.name = $1::text))) AS "totalCount") j5) AS "none") j1)::text, 'UTF8')
