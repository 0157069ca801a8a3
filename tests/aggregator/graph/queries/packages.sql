        /* keeps its plan */ SELECT convert_to(concat('{"packages":', (WITH page1 AS (SELECT pk1.name AS pk_name, pk1.version AS pk_version, pk1.id AS pk_id
        FROM package pk1
          WHERE (SELECT true
          FROM content_package cp2
          JOIN usage u1 ON u1.content_id = cp2.content_id
          WHERE cp2.package_id = pk1.id LIMIT 1) AND EXISTS (SELECT
          FROM unnest(pk1.licenses) licence
        WHERE licence = $1::text)
          ORDER BY pk1.name ASC, pk1.version ASC, pk1.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j1.o, ','), ']')
                FROM (SELECT concat('{"name":', to_json(x1.pk_name), ',"version":', to_json(x1.pk_version), ',"imageCount":', (SELECT count(DISTINCT pc1.image_id)
                FROM placement_content pc1
                JOIN content_package cp1 ON cp1.content_id = pc1.content_id
            WHERE cp1.package_id = x1.pk_id AND pc1.live + pc1.absent > 0), '}') AS o
        FROM page1 x1 LIMIT 50) j1), '}')), ',"all":', (WITH page2 AS (SELECT pk3.name AS pk_name, pk3.version AS pk_version, pk3.type AS pk_type, pk3.purl AS pk_purl, pk3.licenses AS pk_licenses, pk3.id AS pk_id
        FROM package pk3
          WHERE (SELECT true
          FROM content_package cp8
          JOIN usage u5 ON u5.content_id = cp8.content_id
        WHERE cp8.package_id = pk3.id LIMIT 1)
          ORDER BY pk3.name ASC, pk3.version ASC, pk3.id ASC LIMIT 50) SELECT concat('{"totalCount":', (SELECT count(*)
          FROM package pk2
            WHERE (SELECT true
            FROM content_package cp3
            JOIN usage u2 ON u2.content_id = cp3.content_id
          WHERE cp3.package_id = pk2.id LIMIT 1)), ',"nodes":', (SELECT concat('[', string_agg(j4.o, ','), ']')
                FROM (SELECT concat('{"name":', to_json(x3.pk_name), ',"version":', to_json(x3.pk_version), ',"type":', coalesce(to_json(x3.pk_type), 'null'), ',"purl":', coalesce(to_json(x3.pk_purl), 'null'), ',"licenses":', to_json(x3.pk_licenses), ',"imageCount":', (SELECT count(DISTINCT pc2.image_id)
                FROM placement_content pc2
                JOIN content_package cp4 ON cp4.content_id = pc2.content_id
                WHERE cp4.package_id = x3.pk_id AND pc2.live + pc2.absent > 0), ',"clusterCount":', (SELECT count(DISTINCT u3.cluster_id)
                FROM content_package cp5
                JOIN usage u3 ON u3.content_id = cp5.content_id
                  WHERE cp5.package_id = x3.pk_id AND u3.placements > 0), ',"images":', (WITH page3 AS (SELECT i1.name AS i_name
                  FROM image i1
                    WHERE i1.id IN (SELECT pc3.image_id
                    FROM placement_content pc3
                    JOIN content_package cp6 ON cp6.content_id = pc3.content_id
                  WHERE cp6.package_id = x3.pk_id AND pc3.live + pc3.absent > 0)
                    ORDER BY i1.name ASC, i1.id ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j2.o, ','), ']')
                      FROM (SELECT concat('{"name":', to_json(x4.i_name), '}') AS o
                  FROM page3 x4 LIMIT 50) j2), '}')), ',"clusters":', (WITH page4 AS (SELECT c1.name AS c_name
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                    WHERE c1.id IN (SELECT u4.cluster_id
                    FROM content_package cp7
                    JOIN usage u4 ON u4.content_id = cp7.content_id
                  WHERE cp7.package_id = x3.pk_id AND u4.placements > 0)
                    ORDER BY c1.name ASC LIMIT 50) SELECT concat('{"nodes":', (SELECT concat('[', string_agg(j3.o, ','), ']')
                      FROM (SELECT concat('{"name":', to_json(x6.c_name), '}') AS o
            FROM page4 x6 LIMIT 50) j3), '}')), '}') AS o
FROM page2 x3 LIMIT 50) j4), '}')), '}'), 'UTF8')
