    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT f1.severity AS t_n0, f1.id AS t_n1, pl1.pc_cluster_id AS t_n2, pl1.pc_placement_id AS t_n3, pl1.p_id AS p_id, f1.key AS f_key, f1.ordinal AS f_ordinal, pl1.p_contents AS p_contents, f1.content_id AS f_content_id, f1.category AS f_category, pl1.p_source AS p_source, f1.status AS f_status, f1.severity AS f_severity, f1.score AS f_score, f1.message AS f_message, pl1.p_namespace AS p_namespace, pl1.p_container AS p_container, f1.target AS f_target, pl1.pc_live AS pc_live, pl1.pc_absent AS pc_absent, pl1.pc_placement_id AS pc_placement_id, pl1.pc_since AS pc_since, pl1.pc_observed_at AS pc_observed_at, f1.rule_id AS f_rule_id, pl1.pc_cluster_id AS pc_cluster_id, pl1.p_subject_id AS p_subject_id, pl1.pc_image_id AS pc_image_id, f1.package AS f_package, f1.installed_version AS f_installed_version, f1.fixed_version AS f_fixed_version, f1.package_type AS f_package_type, f1.purl AS f_purl, f1.package_path AS f_package_path
          FROM finding f1
            CROSS JOIN LATERAL (SELECT pc1.cluster_id AS pc_cluster_id, pc1.placement_id AS pc_placement_id, p2.id AS p_id, p2.contents AS p_contents, p2.source AS p_source, p2.namespace AS p_namespace, p2.container AS p_container, pc1.live AS pc_live, pc1.absent AS pc_absent, pc1.since AS pc_since, pc1.observed_at AS pc_observed_at, p2.subject_id AS p_subject_id, pc1.image_id AS pc_image_id
            FROM placement_content pc1
            JOIN placement p2 ON p2.id = pc1.placement_id
            WHERE pc1.content_id = f1.content_id AND pc1.live + pc1.absent > 0
          ORDER BY pc1.cluster_id, pc1.placement_id LIMIT 20 + 1) pl1
          WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)
        ORDER BY f1.severity DESC, f1.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 20 + 1) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(sum(sc1.findings), 0)::bigint
            FROM cluster_severity_count sc1
            WHERE sc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) AS "totalCount", (SELECT row_to_json(j3)
                  FROM (SELECT ((SELECT count(*)
                  FROM page1 ) > 20) AS "hasNextPage", false AS "hasPreviousPage", (SELECT (SELECT translate(encode(substring(sha256($1::bytea || sha256($1::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x1.t_n0)::text, (x1.t_n1)::text, (x1.t_n2)::text, (x1.t_n3)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                  FROM page1 x1 LIMIT least(1, 20)) AS "startCursor", (SELECT (SELECT translate(encode(substring(sha256($1::bytea || sha256($1::bytea || b)) FOR 16) || b, 'base64'), E'\n', '')
                FROM (SELECT convert_to(json_build_array((x2.t_n0)::text, (x2.t_n1)::text, (x2.t_n2)::text, (x2.t_n3)::text)::text, 'UTF8') AS b OFFSET 0) cursor)
                    FROM page1 x2 OFFSET greatest((SELECT least(count(*), 20)
            FROM page1 n1) - 1, 0) LIMIT least(1, 20)) AS "endCursor") j3) AS "pageInfo", (SELECT coalesce(json_agg(j4), '[]'::json)
                      FROM (SELECT encode(convert_to('Finding:' || x3.p_id || ':' || x3.f_key || ':' || (x3.f_ordinal + CASE WHEN x3.p_contents > 1 THEN (SELECT count(*)
                      FROM placement_content o
                      JOIN finding g ON g.content_id = o.content_id AND g.key = x3.f_key
                  WHERE o.placement_id = x3.p_id AND o.content_id < x3.f_content_id) ELSE 0 END), 'UTF8'), 'base64') AS "id", x3.f_category AS "category", x3.p_source AS "source", x3.f_status AS "status", x3.f_severity AS "severity", x3.f_score AS "score", x3.f_message AS "message", nullif(x3.p_namespace, '') AS "namespace", nullif(x3.p_container, '') AS "container", x3.f_target AS "target", (x3.pc_live + x3.pc_absent) AS "occurrences", CASE WHEN x3.pc_live > 0 THEN 'LIVE' WHEN x3.pc_absent > 0 THEN 'ABSENT' ELSE 'SUPERSEDED' END AS "state", coalesce((SELECT t.at
                  FROM transition t
                    WHERE t.placement_id = x3.pc_placement_id AND NOT EXISTS (SELECT
                    FROM keyset ks
                    WHERE ks.id = ANY(t.before) AND x3.f_key = ANY(ks.keys)) AND EXISTS (SELECT
                    FROM keyset ks
                  WHERE ks.id = ANY(t.after) AND x3.f_key = ANY(ks.keys))
                ORDER BY t.at DESC, t.id DESC LIMIT 1), x3.pc_since) AS "firstSeenAt", x3.pc_observed_at AS "observedAt", (SELECT row_to_json(j5)
                  FROM (SELECT r1.key AS "key", r1.title AS "title"
                  FROM rule r1
                WHERE r1.id = x3.f_rule_id) j5) AS "rule", (SELECT row_to_json(j6)
                  FROM (SELECT c1.name AS "name"
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                WHERE c1.id = x3.pc_cluster_id) j6) AS "cluster", (SELECT row_to_json(j7)
                  FROM (SELECT s1.kind AS "kind", s1.name AS "name"
                  FROM subject s1
                WHERE s1.id = x3.p_subject_id) j7) AS "subject", (SELECT row_to_json(j8)
                  FROM (SELECT i1.name AS "name"
                  FROM image i1
                WHERE i1.id = x3.pc_image_id) j8) AS "image", CASE WHEN x3.f_package IS NOT NULL THEN (SELECT row_to_json(j9)
                FROM (SELECT x3.f_package AS "name", x3.f_installed_version AS "installedVersion", x3.f_fixed_version AS "fixedVersion", x3.f_package_type AS "type", x3.f_purl AS "purl", x3.f_package_path AS "path") j9) END AS "package", (SELECT coalesce(json_agg(j10), '[]'::json)
                  FROM (SELECT rp1.kind AS "kind", rp1.name AS "name", rp1.state AS "state"
                  FROM report rp1
                  JOIN placement p1 ON p1.id = rp1.placement_id
                  WHERE rp1.placement_id = x3.pc_placement_id AND rp1.content_id = x3.f_content_id
              ORDER BY rp1.id LIMIT 5) j10) AS "reports"
FROM page1 x3 LIMIT 20) j4) AS "nodes") j2) AS "findings") j1)::text, 'UTF8')
