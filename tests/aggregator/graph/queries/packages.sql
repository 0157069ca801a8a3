    /* keeps its plan */ SELECT convert_to((SELECT row_to_json(j1)
          FROM (SELECT (WITH page1 AS (SELECT pk1.name AS pk_name, pk1.version AS pk_version, pk1.id AS pk_id
          FROM package pk1
            WHERE (SELECT true
            FROM content_package cp2
            JOIN usage u1 ON u1.content_id = cp2.content_id
            WHERE cp2.package_id = pk1.id LIMIT 1) AND EXISTS (SELECT
            FROM unnest(pk1.licenses) licence
          WHERE licence = $1::text)
        ORDER BY pk1.name ASC, pk1.version ASC, pk1.id ASC LIMIT 50) SELECT row_to_json(j2)
            FROM (SELECT (SELECT coalesce(json_agg(j3), '[]'::json)
                FROM (SELECT x1.pk_name AS "name", x1.pk_version AS "version", (SELECT count(DISTINCT pc1.image_id)
                FROM placement_content pc1
                JOIN content_package cp1 ON cp1.content_id = pc1.content_id
              WHERE cp1.package_id = x1.pk_id AND pc1.live + pc1.absent > 0) AS "imageCount"
          FROM page1 x1 LIMIT 50) j3) AS "nodes") j2) AS "packages", (WITH page2 AS (SELECT pk3.name AS pk_name, pk3.version AS pk_version, pk3.type AS pk_type, pk3.purl AS pk_purl, pk3.licenses AS pk_licenses, pk3.id AS pk_id
          FROM package pk3
            WHERE (SELECT true
            FROM content_package cp8
            JOIN usage u5 ON u5.content_id = cp8.content_id
          WHERE cp8.package_id = pk3.id LIMIT 1)
        ORDER BY pk3.name ASC, pk3.version ASC, pk3.id ASC LIMIT 50) SELECT row_to_json(j4)
            FROM (SELECT (SELECT count(*)
            FROM package pk2
              WHERE (SELECT true
              FROM content_package cp3
              JOIN usage u2 ON u2.content_id = cp3.content_id
            WHERE cp3.package_id = pk2.id LIMIT 1)) AS "totalCount", (SELECT coalesce(json_agg(j5), '[]'::json)
                FROM (SELECT x3.pk_name AS "name", x3.pk_version AS "version", x3.pk_type AS "type", x3.pk_purl AS "purl", x3.pk_licenses AS "licenses", (SELECT count(DISTINCT pc2.image_id)
                FROM placement_content pc2
                JOIN content_package cp4 ON cp4.content_id = pc2.content_id
                WHERE cp4.package_id = x3.pk_id AND pc2.live + pc2.absent > 0) AS "imageCount", (SELECT count(DISTINCT u3.cluster_id)
                FROM content_package cp5
                JOIN usage u3 ON u3.content_id = cp5.content_id
                  WHERE cp5.package_id = x3.pk_id AND u3.placements > 0) AS "clusterCount", (WITH page3 AS (SELECT i1.name AS i_name
                  FROM image i1
                    WHERE i1.id IN (SELECT pc3.image_id
                    FROM placement_content pc3
                    JOIN content_package cp6 ON cp6.content_id = pc3.content_id
                  WHERE cp6.package_id = x3.pk_id AND pc3.live + pc3.absent > 0)
                ORDER BY i1.name ASC, i1.id ASC LIMIT 50) SELECT row_to_json(j6)
                    FROM (SELECT (SELECT coalesce(json_agg(j7), '[]'::json)
                      FROM (SELECT x4.i_name AS "name"
                  FROM page3 x4 LIMIT 50) j7) AS "nodes") j6) AS "images", (WITH page4 AS (SELECT c1.name AS c_name
                  FROM cluster c1
                  LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
                    WHERE c1.id IN (SELECT u4.cluster_id
                    FROM content_package cp7
                    JOIN usage u4 ON u4.content_id = cp7.content_id
                  WHERE cp7.package_id = x3.pk_id AND u4.placements > 0)
                ORDER BY c1.name ASC LIMIT 50) SELECT row_to_json(j8)
                    FROM (SELECT (SELECT coalesce(json_agg(j9), '[]'::json)
                      FROM (SELECT x6.c_name AS "name"
              FROM page4 x6 LIMIT 50) j9) AS "nodes") j8) AS "clusters"
FROM page2 x3 LIMIT 50) j5) AS "nodes") j4) AS "all") j1)::text, 'UTF8')
