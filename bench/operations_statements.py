"""The statements behind the ten operations as one writes them by hand, each the fastest known to us.

Rows come out and Python shapes them: beside JSON made by Postgres that took a fifth to a third less
here. What costs is planning, as parameters are planned anew each time, so the statements name few
tables: no parent is asked for twice, and severities of a subject are counted over the very rows that
its findings are chosen from.
"""

# Equal entries of a placement with several contents are numbered through, as our ids are.
ORDINAL = """x.ordinal + CASE WHEN x.contents > 1 THEN (
    SELECT count(*) FROM placement_content o JOIN finding g ON g.content_id = o.content_id AND g.key = x.key
    WHERE o.placement_id = x.placement_id AND o.content_id < x.content_id) ELSE 0 END"""
# A real's shortest text is what JSON shows of it; Python would show the eight bytes it widens to.
FINDING = f"""
    encode(convert_to('Finding:' || x.placement_id || ':' || x.key || ':' || ({ORDINAL}), 'UTF8'), 'base64'),
    x.severity::text, x.status::text, x.score::text::float8, x.message, nullif(x.namespace, ''),
    nullif(x.container, ''), x.live + x.absent,
    CASE WHEN x.live > 0 THEN 'LIVE' ELSE 'ABSENT' END"""
_PACKAGE = "x.package, x.installed_version, x.fixed_version"
OPEN = "f.status IN ('FAIL', 'WARN', 'ERROR')"
ORDER = "severity DESC, {0}.id DESC, {1}.cluster_id, {1}.placement_id"


def walk(limit: int, entry: str = "", place: str = "") -> str:
    """Return the query for a page of findings by severity."""
    return f"""
    SELECT f.*, pc.* FROM finding f CROSS JOIN LATERAL (
        SELECT pc.placement_id, pc.cluster_id, pc.live, pc.absent, pc.observed_at, p.subject_id,
            p.namespace, p.container, p.contents
        FROM placement_content pc JOIN placement p ON p.id = pc.placement_id
        WHERE pc.content_id = f.content_id AND pc.live + pc.absent > 0 {place}
        ORDER BY pc.cluster_id, pc.placement_id LIMIT {limit}
    ) pc WHERE {OPEN} {entry} ORDER BY f.{ORDER.format("f", "pc")} LIMIT {limit}"""


def _page(found: str, columns: str = "") -> str:
    return f"""
SELECT {FINDING}, r.key, c.name, s.kind, s.name, {_PACKAGE}{columns} FROM ({found}) x
JOIN rule r ON r.id = x.rule_id JOIN cluster c ON c.id = x.cluster_id JOIN subject s ON s.id = x.subject_id
ORDER BY x.{ORDER.format("x", "x")}"""


PAGE = _page(walk(100), ", x.observed_at")
DEEP_PAGE = _page(
    walk(
        50,
        "AND (f.severity, f.id) <= ($1::text::severity, $2::bigint)",
        "AND (pc.cluster_id, pc.placement_id) > (CASE WHEN f.id = $2 THEN $3::int ELSE -1 END,"
        " CASE WHEN f.id = $2 THEN $4::bigint ELSE -1 END)",
    )
)
NO_MATCH = _page(walk(50, "AND f.severity = 'CRITICAL' AND f.package = $1"))
# Who sees nothing of a severity must not look for it through all that others have of it.
SCOPED_PAGE = _page(
    walk(
        50,
        "AND f.severity = ANY(ARRAY(SELECT DISTINCT n.severity FROM cluster_severity_count n"
        " WHERE n.cluster_id = ANY($1::int[]) AND n.status IN ('FAIL', 'WARN', 'ERROR')))",
        "AND pc.cluster_id = ANY($1::int[])",
    )
)
RULE = f"""
SELECT q.key, q.severity::text, q.title, q.score::text::float8, x.* FROM (
    SELECT r.* FROM rule r WHERE r.key = $1 AND (
        SELECT true FROM finding f JOIN usage u ON u.content_id = f.content_id WHERE f.rule_id = r.id LIMIT 1)
    ORDER BY r.category LIMIT 1
) q LEFT JOIN LATERAL (
    SELECT {FINDING}, c.name, s.kind, s.name, {_PACKAGE}
    FROM ({walk(50, "AND f.rule_id = q.id")}) x
    JOIN cluster c ON c.id = x.cluster_id JOIN subject s ON s.id = x.subject_id
    ORDER BY x.{ORDER.format("x", "x")}
) x ON true"""
# No parameter, so planned once; a group is of one cluster.
GROUPS = """
SELECT c.name, g.severity::text, g.findings, g.occurrences FROM (
    SELECT cluster_id, severity, sum(findings)::bigint AS findings, sum(occurrences)::bigint AS occurrences
    FROM cluster_severity_count WHERE status IN ('FAIL', 'WARN', 'ERROR') AND findings > 0
    GROUP BY 1, 2 ORDER BY 3 DESC, 1 DESC, severity::text DESC LIMIT 100
) g JOIN cluster c ON c.id = g.cluster_id ORDER BY g.findings DESC, g.cluster_id DESC, g.severity::text DESC"""
_OF_CLUSTER = "s.present AND s.cluster_id = (SELECT id FROM cluster WHERE name = $1)"
_COUNTS = ", ".join(
    f"count(*) FILTER (WHERE f.severity = '{name}') OVER () AS {name.lower()}"
    for name in ("CRITICAL", "HIGH", "MEDIUM", "LOW")
)
SUBJECT = f"""
SELECT s.kind, s.name, nullif(s.namespace, ''), s.labels::text, x.critical, x.high, x.medium, x.low, {FINDING},
    r.key, {_PACKAGE}
FROM (SELECT * FROM subject s WHERE s.name = $2 AND {_OF_CLUSTER} ORDER BY s.id LIMIT 1) s
LEFT JOIN LATERAL (
    SELECT f.*, p.namespace, p.container, p.contents, pc.cluster_id, pc.placement_id, pc.live, pc.absent, {_COUNTS}
    FROM placement p JOIN placement_content pc ON pc.placement_id = p.id
    JOIN finding f ON f.content_id = pc.content_id
    WHERE p.subject_id = s.id AND pc.live + pc.absent > 0 AND {OPEN}
    ORDER BY f.{ORDER.format("f", "pc")} LIMIT 50
) x ON true LEFT JOIN rule r ON r.id = x.rule_id ORDER BY x.{ORDER.format("x", "x")}"""
# An image's places share few contents: they are counted by content before severities are.
IMAGES = """
SELECT i.name, (
    SELECT ARRAY[sum(t.findings * pc.places) FILTER (WHERE t.severity = 'CRITICAL'),
        sum(t.findings * pc.places) FILTER (WHERE t.severity = 'HIGH')]::bigint[]
    FROM (SELECT content_id, count(*) AS places FROM placement_content
        WHERE image_id = i.id AND live + absent > 0 GROUP BY 1) pc
    JOIN content_count t ON t.content_id = pc.content_id
    WHERE t.status IN ('FAIL', 'WARN', 'ERROR') AND t.severity IN ('CRITICAL', 'HIGH')
), ARRAY(
    SELECT c.name FROM cluster c
    WHERE c.id = ANY(ARRAY(SELECT DISTINCT cluster_id FROM image_usage WHERE image_id = i.id))
    ORDER BY c.name LIMIT 50
) FROM image i
WHERE i.repository = $1 AND (SELECT true FROM image_usage u WHERE u.image_id = i.id LIMIT 1)
ORDER BY i.name, i.id LIMIT 4"""
# The index of a content's entries gives the worst first, so each content is left after five.
NESTED = f"""
SELECT s.id, s.name, x.severity::text, r.key, r.title FROM (
    SELECT s.id, s.name FROM subject s WHERE {_OF_CLUSTER} ORDER BY s.name, s.id LIMIT 10
) s LEFT JOIN LATERAL (
    SELECT f.*, pc.cluster_id, pc.placement_id
    FROM placement p JOIN placement_content pc ON pc.placement_id = p.id CROSS JOIN LATERAL (
        SELECT f.id, f.severity, f.rule_id FROM finding f WHERE f.content_id = pc.content_id AND {OPEN}
        ORDER BY f.severity DESC, f.id DESC LIMIT 5
    ) f WHERE p.subject_id = s.id AND pc.live + pc.absent > 0
    ORDER BY f.{ORDER.format("f", "pc")} LIMIT 5
) x ON true LEFT JOIN rule r ON r.id = x.rule_id
ORDER BY s.name, s.id, x.{ORDER.format("x", "x")}"""
CLUSTER = """
SELECT c.name, CASE WHEN c.mode IS NULL THEN 'NEVER_SEEN' WHEN c.mode = 'PUSH' THEN 'PUSHED'
        WHEN e.last_seen_at >= now() - interval '45 seconds' THEN 'ONLINE'
        WHEN e.last_seen_at >= now() - interval '900 seconds' THEN 'STALE' ELSE 'OFFLINE' END,
    c.labels::text, e.last_seen_at
FROM cluster c LEFT JOIN agent_session e ON e.cluster_id = c.id WHERE c.name = $1"""
