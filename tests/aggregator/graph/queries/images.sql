      SELECT convert_to(CASE WHEN NOT ((SELECT coalesce(sum(sc1.findings), 0)
      FROM cluster_severity_count sc1) <= 300000 OR EXISTS (SELECT
        FROM finding_stats_taken)) THEN '!0' ELSE concat('{"images":', (WITH page1 AS (SELECT i2.id AS i_id, i2.registry AS i_registry, i2.repository AS i_repository, i2.tag AS i_tag, i2.digest AS i_digest, i2.digest_trusted AS i_digest_trusted, i2.name AS i_name
        FROM image i2
          WHERE CASE WHEN (SELECT coalesce(sum(sc4.findings), 0)
          FROM cluster_severity_count sc4) <= 300000 THEN (SELECT true
          FROM image_usage iu7
          WHERE iu7.image_id = i2.id LIMIT 1) ELSE EXISTS (SELECT
          FROM image_spread o
        WHERE o.image_id = i2.id) END
          ORDER BY CASE WHEN (SELECT coalesce(sum(sc3.findings), 0)
          FROM cluster_severity_count sc3) <= 300000 THEN (SELECT coalesce(sum(n3.findings), 0)::bigint
            FROM (SELECT pc8.content_id, count(*) AS places
            FROM placement_content pc8
            WHERE pc8.image_id = i2.id AND pc8.live + pc8.absent > 0
          GROUP BY 1) at2
            CROSS JOIN LATERAL (SELECT cc2.severity, cc2.findings * at2.places AS findings
            FROM content_count cc2
          WHERE cc2.content_id = at2.content_id AND cc2.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND cc2.severity = 'CRITICAL' OFFSET 0) n3) ELSE (SELECT coalesce(sum(o.findings), 0)::bigint
          FROM image_stat o
          WHERE o.image_id = i2.id AND o.severity = 'CRITICAL' AND o.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status)) END DESC, i2.id DESC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM image i1
            WHERE CASE WHEN (SELECT coalesce(sum(sc2.findings), 0)
            FROM cluster_severity_count sc2) <= 300000 THEN (SELECT true
            FROM image_usage iu1
            WHERE iu1.image_id = i1.id LIMIT 1) ELSE EXISTS (SELECT
            FROM image_spread o
          WHERE o.image_id = i1.id) END), ',"nodes":', (SELECT concat('[', string_agg(j4.o, ','), ']')
                    FROM (SELECT concat('{"id":"', encode(convert_to('Image:' || x1.i_id, 'UTF8'), 'base64'), '","registry":', to_json(x1.i_registry), ',"repository":', to_json(x1.i_repository), ',"tag":', coalesce(to_json(nullif(x1.i_tag, '')), 'null'), ',"digest":', coalesce(to_json(nullif(x1.i_digest, '')), 'null'), ',"digestTrusted":', CASE WHEN x1.i_digest_trusted THEN 'true' ELSE 'false' END, ',"name":', to_json(x1.i_name), ',"os":', coalesce(to_json((SELECT ct1.os
                    FROM content ct1
                      WHERE ct1.os IS NOT NULL AND ct1.id IN (SELECT pc1.content_id
                      FROM placement_content pc1
                    WHERE pc1.image_id = x1.i_id AND pc1.live + pc1.absent > 0)
                ORDER BY ct1.id DESC LIMIT 1)), 'null'), ',"clusterCount":', (SELECT count(DISTINCT iu2.cluster_id)
                FROM image_usage iu2
                WHERE iu2.image_id = x1.i_id), ',"workloadCount":', (SELECT count(DISTINCT iu3.subject_id)
                FROM image_usage iu3
                WHERE iu3.image_id = x1.i_id), ',"running":', CASE WHEN EXISTS (SELECT
                FROM image_usage iu4
                WHERE iu4.image_id = x1.i_id AND iu4.pods > 0) THEN 'true' ELSE 'false' END, ',"scanned":', CASE WHEN EXISTS (SELECT
                FROM image_usage iu5
                WHERE iu5.image_id = x1.i_id AND iu5.reports > 0) THEN 'true' ELSE 'false' END, ',"severities":', (SELECT concat('{"critical":', n2.critical, ',"total":', n2.total, '}')
                  FROM (SELECT coalesce(sum(n1.findings) FILTER (WHERE n1.severity = 'CRITICAL'), 0)::bigint AS critical, coalesce(sum(n1.findings) FILTER (WHERE n1.severity = 'HIGH'), 0)::bigint AS high, coalesce(sum(n1.findings) FILTER (WHERE n1.severity = 'MEDIUM'), 0)::bigint AS medium, coalesce(sum(n1.findings) FILTER (WHERE n1.severity = 'LOW'), 0)::bigint AS low, coalesce(sum(n1.findings) FILTER (WHERE n1.severity = 'INFO'), 0)::bigint AS info, coalesce(sum(n1.findings) FILTER (WHERE n1.severity = 'UNKNOWN'), 0)::bigint AS unknown, coalesce(sum(n1.findings), 0)::bigint AS total
                    FROM (SELECT pc2.content_id, count(*) AS places
                    FROM placement_content pc2
                    WHERE pc2.image_id = x1.i_id AND pc2.live + pc2.absent > 0
                  GROUP BY 1) at1
                    CROSS JOIN LATERAL (SELECT cc1.severity, cc1.findings * at1.places AS findings
                    FROM content_count cc1
                  WHERE cc1.content_id = at1.content_id AND cc1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) OFFSET 0) n1) n2), ',"clusters":', (WITH page2 AS (SELECT c1.name AS c_name
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                    WHERE c1.id IN (SELECT iu6.cluster_id
                    FROM image_usage iu6
                  WHERE iu6.image_id = x1.i_id)
                    ORDER BY c1.name ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                      FROM (SELECT concat('{"name":', to_json(x2.c_name), '}') AS o
                  FROM page2 x2 LIMIT 50) j1), '}')), ',"packages":', (WITH page3 AS (SELECT pk2.name AS pk_name, pk2.version AS pk_version
                  FROM package pk2
                    WHERE pk2.id IN (SELECT cp2.package_id
                    FROM placement_content pc4
                    JOIN content_package cp2 ON cp2.content_id = pc4.content_id
                  WHERE pc4.image_id = x1.i_id AND pc4.live + pc4.absent > 0)
                    ORDER BY pk2.name ASC, pk2.version ASC, pk2.id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
                    FROM package pk1
                      WHERE pk1.id IN (SELECT cp1.package_id
                      FROM placement_content pc3
                      JOIN content_package cp1 ON cp1.content_id = pc3.content_id
                    WHERE pc3.image_id = x1.i_id AND pc3.live + pc3.absent > 0)), ',"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                      FROM (SELECT concat('{"name":', to_json(x4.pk_name), ',"version":', to_json(x4.pk_version), '}') AS o
                  FROM page3 x4 LIMIT 50) j2), '}')), ',"findings":', (WITH page4 AS (SELECT w1.*
                    FROM (SELECT DISTINCT pc6.content_id
                    FROM placement_content pc6
                    JOIN placement p2 ON p2.id = pc6.placement_id
                  WHERE pc6.live + pc6.absent > 0 AND pc6.image_id = x1.i_id) v1
                    CROSS JOIN LATERAL (SELECT f3.rule_id AS f_rule_id, f3.severity AS o0, f3.id AS o1, pl1.pc_cluster_id AS o2, pl1.pc_placement_id AS o3
                    FROM finding f3
                      CROSS JOIN LATERAL (SELECT pc7.cluster_id AS pc_cluster_id, pc7.placement_id AS pc_placement_id
                      FROM placement_content pc7
                      WHERE pc7.content_id = f3.content_id AND pc7.live + pc7.absent > 0 AND pc7.image_id = x1.i_id
                    ORDER BY pc7.cluster_id, pc7.placement_id LIMIT 1) pl1
                    WHERE f3.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND f3.content_id = v1.content_id
                  ORDER BY f3.severity DESC, f3.id DESC, pl1.pc_cluster_id ASC, pl1.pc_placement_id ASC LIMIT 1) w1
                    ORDER BY w1.o0 DESC, w1.o1 DESC, w1.o2 ASC, w1.o3 ASC LIMIT 1) SELECT concat('{"totalCount":', (SELECT count(*)
                    FROM finding f1
                    JOIN placement_content pc5 ON pc5.content_id = f1.content_id
                    JOIN placement p1 ON p1.id = pc5.placement_id
                    WHERE f1.status IN ('FAIL'::finding_status, 'WARN'::finding_status, 'ERROR'::finding_status) AND pc5.live + pc5.absent > 0 AND pc5.image_id = x1.i_id), ',"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
                      FROM (SELECT concat('{"rule":', CASE WHEN o1.found THEN concat('{"key":', to_json(o1.r_key), '}') END, '}') AS o
                      FROM page4 x6
                        LEFT JOIN LATERAL (SELECT true AS found, r1.key AS r_key
                        FROM rule r1
            WHERE r1.id = x6.f_rule_id OFFSET 0) o1 ON true LIMIT 1) j3), '}')), '}') AS o
        FROM page1 x1 LIMIT 50) j4), '}')), ',"unscanned":', (WITH page5 AS (SELECT i3.name AS i_name
        FROM image i3
          WHERE (SELECT true
          FROM image_usage iu8
          WHERE iu8.image_id = i3.id LIMIT 1) AND EXISTS (SELECT
          FROM image_usage iu9
          WHERE iu9.image_id = i3.id AND iu9.pods > 0) AND NOT EXISTS (SELECT
          FROM image_usage iu10
          WHERE iu10.image_id = i3.id AND iu10.reports > 0) AND EXISTS (SELECT
          FROM image_usage iu11
              WHERE iu11.image_id = i3.id AND iu11.cluster_id = ANY(ARRAY(SELECT c2.id
              FROM cluster c2
        WHERE c2.name LIKE $1::text)))
          ORDER BY i3.name ASC, i3.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j5.o, ','), ']')
            FROM (SELECT concat('{"name":', to_json(x9.i_name), '}') AS o
FROM page5 x9 LIMIT 50) j5), '}')), '}') END, 'UTF8')
