          SELECT convert_to(concat('{"node":', coalesce(coalesce((SELECT concat('{"__typename":"Cluster","id":"', encode(convert_to('Cluster:' || c1.id, 'UTF8'), 'base64'), '","name":', to_json(c1.name), '}')
          FROM cluster c1
          LEFT JOIN agent_session ses1 ON ses1.cluster_id = c1.id
          WHERE c1.id = $1::bigint), (SELECT concat('{"__typename":"Rule","id":"', encode(convert_to('Rule:' || r1.id, 'UTF8'), 'base64'), '","key":', to_json(r1.key), '}')
          FROM rule r1
            WHERE r1.id = $2::bigint AND (SELECT true
            FROM finding f1
            JOIN usage u1 ON u1.content_id = f1.content_id
          WHERE f1.rule_id = r1.id LIMIT 1)), (SELECT concat('{"__typename":"Subject","id":"', encode(convert_to('Subject:' || s1.id, 'UTF8'), 'base64'), '"}')
          FROM subject s1
          WHERE s1.id = $3::bigint AND s1.present), (SELECT concat('{"__typename":"Image","id":"', encode(convert_to('Image:' || i1.id, 'UTF8'), 'base64'), '"}')
          FROM image i1
            WHERE i1.id = $4::bigint AND (SELECT true
            FROM image_usage iu1
          WHERE iu1.image_id = i1.id LIMIT 1)), (SELECT concat('{"__typename":"Report","id":"', encode(convert_to('Report:' || rp1.cluster_id || ':' || rp1.key, 'UTF8'), 'base64'), '"}')
          FROM report rp1
          JOIN placement p1 ON p1.id = rp1.placement_id
                    WHERE rp1.cluster_id = $5::bigint AND rp1.key = $6::uuid), (SELECT concat('{"__typename":"Finding","id":"', encode(convert_to('Finding:' || p2.id || ':' || f2.key || ':' || (f2.ordinal + CASE WHEN p2.contents > 1 THEN (SELECT count(*)
                    FROM placement_content o
                    JOIN finding g ON g.content_id = o.content_id AND g.key = f2.key
              WHERE o.placement_id = p2.id AND o.content_id < f2.content_id) ELSE 0 END), 'UTF8'), 'base64'), '","severity":"', f2.severity, '","rule":', (SELECT concat('{"key":', to_json(r2.key), '}')
              FROM rule r2
          WHERE r2.id = f2.rule_id), '}')
          FROM finding f2
          JOIN placement_content pc1 ON pc1.content_id = f2.content_id
          JOIN placement p2 ON p2.id = pc1.placement_id
            WHERE p2.id = $7::bigint AND pc1.placement_id = $8::bigint AND f2.key = $9::bigint AND f2.ordinal + CASE WHEN p2.contents > 1 THEN (SELECT count(*)
            FROM placement_content o
            JOIN finding g ON g.content_id = o.content_id AND g.key = f2.key
                    WHERE o.placement_id = p2.id AND o.content_id < f2.content_id) ELSE 0 END = $10::bigint AND pc1.live + pc1.absent > 0 AND f2.status IN ('FAIL', 'WARN', 'ERROR') LIMIT 1), (SELECT concat('{"__typename":"RuntimeEvent","id":"', encode(convert_to('RuntimeEvent:' || (extract(epoch
          FROM e1.at) * 1000000)::bigint || ':' || e1.id, 'UTF8'), 'base64'), '"}')
          FROM runtime_event e1
WHERE e1.at = timestamptz 'epoch' + $11::bigint * interval '1 microsecond' AND e1.id = $12::bigint)), 'null'), '}'), 'UTF8')
