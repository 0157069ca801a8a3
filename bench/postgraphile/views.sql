-- What PostGraphile serves: our tables as a user of PostGraphile would show them, in a schema of its own.
-- Views over one table cost nothing; finding_row is an ordinary join, with relations told by comments;
-- counts and what an image's clusters are come from functions, which PostGraphile shows as fields.

CREATE SCHEMA peer;

CREATE VIEW peer.cluster AS
SELECT c.id AS number, c.name, c.labels, e.last_seen_at,
    CASE WHEN c.mode IS NULL THEN 'NEVER_SEEN' WHEN c.mode = 'PUSH' THEN 'PUSHED'
        WHEN e.last_seen_at >= now() - interval '45 seconds' THEN 'ONLINE'
        WHEN e.last_seen_at >= now() - interval '900 seconds' THEN 'STALE' ELSE 'OFFLINE' END AS state
FROM public.cluster c LEFT JOIN agent_session e ON e.cluster_id = c.id;
COMMENT ON VIEW peer.cluster IS E'@primaryKey number\n@unique name';

CREATE VIEW peer.rule AS
SELECT id AS number, key, category, severity, score, title FROM public.rule;
COMMENT ON VIEW peer.rule IS E'@primaryKey number';

CREATE VIEW peer.image AS
SELECT id AS number, repository, name FROM public.image i
WHERE (SELECT true FROM image_usage u WHERE u.image_id = i.id LIMIT 1);
COMMENT ON VIEW peer.image IS E'@primaryKey number';

CREATE VIEW peer.subject AS
SELECT id AS number, cluster_id, kind, name, nullif(namespace, '') AS namespace, labels
FROM public.subject WHERE present;
COMMENT ON VIEW peer.subject IS E'@primaryKey number\n@foreignKey (cluster_id) references peer.cluster (number)|@fieldName cluster|@foreignFieldName subjects';

CREATE VIEW peer.finding AS
SELECT f.id AS entry, pc.placement_id, pc.cluster_id, p.subject_id, f.rule_id,
    encode(convert_to('Finding:' || p.id || ':' || f.key || ':' || f.ordinal + CASE WHEN p.contents > 1 THEN (
        SELECT count(*) FROM placement_content o
        JOIN public.finding g ON g.content_id = o.content_id AND g.key = f.key
        WHERE o.placement_id = p.id AND o.content_id < f.content_id) ELSE 0 END, 'UTF8'), 'base64') AS key,
    f.severity, f.status, f.score, f.message, nullif(p.namespace, '') AS namespace,
    nullif(p.container, '') AS container, pc.live + pc.absent AS occurrences,
    CASE WHEN pc.live > 0 THEN 'LIVE' ELSE 'ABSENT' END AS state, pc.observed_at,
    f.package, f.installed_version, f.fixed_version
FROM public.finding f JOIN placement_content pc ON pc.content_id = f.content_id
JOIN placement p ON p.id = pc.placement_id
WHERE f.status IN ('FAIL', 'WARN', 'ERROR') AND pc.live + pc.absent > 0;
COMMENT ON VIEW peer.finding IS E'@primaryKey entry,placement_id\n@foreignKey (rule_id) references peer.rule (number)|@fieldName rule|@foreignFieldName findings\n@foreignKey (cluster_id) references peer.cluster (number)|@fieldName cluster|@foreignFieldName findings\n@foreignKey (subject_id) references peer.subject (number)|@fieldName subject|@foreignFieldName findings';

CREATE VIEW peer.finding_group AS
SELECT cluster_id, severity, sum(findings)::bigint AS findings, sum(occurrences)::bigint AS occurrences,
    count(DISTINCT cluster_id) AS clusters
FROM cluster_severity_count
WHERE status IN ('FAIL', 'WARN', 'ERROR') AND findings > 0 GROUP BY 1, 2;
COMMENT ON VIEW peer.finding_group IS E'@primaryKey cluster_id,severity\n@foreignKey (cluster_id) references peer.cluster (number)|@fieldName cluster';

CREATE TYPE peer.severities AS (critical bigint, high bigint, medium bigint, low bigint);

CREATE FUNCTION peer.subject_severities(subject peer.subject) RETURNS peer.severities
LANGUAGE sql STABLE AS $$
SELECT coalesce(sum(t.findings) FILTER (WHERE t.severity = 'CRITICAL'), 0),
    coalesce(sum(t.findings) FILTER (WHERE t.severity = 'HIGH'), 0),
    coalesce(sum(t.findings) FILTER (WHERE t.severity = 'MEDIUM'), 0),
    coalesce(sum(t.findings) FILTER (WHERE t.severity = 'LOW'), 0)
FROM placement p JOIN placement_content pc ON pc.placement_id = p.id
JOIN content_count t ON t.content_id = pc.content_id
WHERE p.subject_id = subject.number AND pc.live + pc.absent > 0 AND t.status IN ('FAIL', 'WARN', 'ERROR')
$$;

CREATE FUNCTION peer.image_severities(image peer.image) RETURNS peer.severities
LANGUAGE sql STABLE AS $$
SELECT coalesce(sum(t.findings * pc.places) FILTER (WHERE t.severity = 'CRITICAL'), 0),
    coalesce(sum(t.findings * pc.places) FILTER (WHERE t.severity = 'HIGH'), 0),
    coalesce(sum(t.findings * pc.places) FILTER (WHERE t.severity = 'MEDIUM'), 0),
    coalesce(sum(t.findings * pc.places) FILTER (WHERE t.severity = 'LOW'), 0)
FROM (SELECT content_id, count(*) AS places FROM placement_content
    WHERE image_id = image.number AND live + absent > 0 GROUP BY 1) pc
JOIN content_count t ON t.content_id = pc.content_id WHERE t.status IN ('FAIL', 'WARN', 'ERROR')
$$;

CREATE FUNCTION peer.image_clusters(image peer.image) RETURNS SETOF peer.cluster
LANGUAGE sql STABLE AS $$
SELECT c.* FROM peer.cluster c
WHERE c.number = ANY(ARRAY(SELECT DISTINCT u.cluster_id FROM image_usage u WHERE u.image_id = image.number))
ORDER BY c.name
$$;

-- Enums are not ordered by unless one says so.
COMMENT ON COLUMN peer.rule.category IS '@behavior +orderBy';
COMMENT ON COLUMN peer.finding.severity IS '@behavior +orderBy';
COMMENT ON COLUMN peer.finding_group.severity IS '@behavior +orderBy';
