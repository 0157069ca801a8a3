"""The statements behind the ten operations as one writes them by hand, each the fastest known to us.

Where an answer holds many objects Postgres writes its JSON, and by plain concatenation: over HTTP a
page of a hundred took two thirds of the time of rows that Python shapes, and an eighth less than
`row_to_json`. Nested objects are joined, not looked up by sub-selects, and no parent is asked for
twice. Each keeps its plan. Severities of a subject are counted over the very rows that its findings
are from.
"""


def _object(**values: str) -> str:
    """Return the SQL for the text of a JSON object of JSON texts."""
    pairs = " || ',".join(f'"{name}":\' || {value}' for name, value in values.items())
    return f"'{{{pairs} || '}}'"


def _text(expression: str) -> str:
    """Return the SQL for the JSON of what may be null."""
    return f"coalesce(to_json({expression})::text, 'null')"


def _plain(expression: str) -> str:
    """Return the SQL for the JSON string of what needs no escaping: an enum, base64."""
    return f"'\"' || {expression} || '\"'"


def _nodes(each: str, tail: str) -> str:
    """Return the SQL for a connection."""
    return f"(SELECT '{{\"nodes\":[' || coalesce(string_agg({each}, ','), '') || ']}}'{tail})"


def _answer(**values: str) -> str:
    """Return the statement for the bytes of an answer."""
    return f"SELECT convert_to({_object(data=_object(**values))}, 'UTF8')"


# Equal entries of a placement with several contents are numbered through, as our ids are.
ORDINAL = """x.ordinal + CASE WHEN x.contents > 1 THEN (
    SELECT count(*) FROM placement_content o JOIN finding g ON g.content_id = o.content_id AND g.key = x.key
    WHERE o.placement_id = x.placement_id AND o.content_id < x.content_id) ELSE 0 END"""
IDENTITY = f"""
encode(convert_to('Finding:' || x.placement_id || ':' || x.key || ':' || ({ORDINAL}), 'UTF8'), 'base64')"""
STATE = "CASE WHEN x.live > 0 THEN 'LIVE' ELSE 'ABSENT' END"
_PACKAGE = _object(
    name="to_json(x.package)",
    installedVersion=_text("x.installed_version"),
    fixedVersion=_text("x.fixed_version"),
)


def _finding(rule: str, cluster: str, subject: str, **more: str) -> str:
    """Return the SQL for the JSON of a finding; the first three are columns' JSON."""
    return _object(
        id=_plain(IDENTITY),
        severity=_plain("x.severity"),
        status=_plain("x.status"),
        score="coalesce(x.score::text, 'null')",
        message=_text("x.message"),
        namespace=_text("nullif(x.namespace, '')"),
        container=_text("nullif(x.container, '')"),
        occurrences="x.live + x.absent",
        state=_plain(STATE),
        **more,
        rule=_object(key=rule),
        cluster=_object(name=cluster),
        subject=subject,
        package=f"CASE WHEN x.package IS NULL THEN 'null' ELSE {_PACKAGE} END",
    )


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


_SUBJECT = _object(kind="to_json(s.kind)", name="to_json(s.name)")


def _page(found: str, **more: str) -> str:
    each = _finding("to_json(r.key)", "to_json(c.name)", _SUBJECT, **more)
    tail = f""" FROM (SELECT {each} AS each FROM ({found}) x
        JOIN rule r ON r.id = x.rule_id JOIN cluster c ON c.id = x.cluster_id
        JOIN subject s ON s.id = x.subject_id ORDER BY x.{ORDER.format("x", "x")}) x"""
    return _answer(findings=_nodes("each", tail))


PAGE = _page(walk(100), observedAt="to_json(x.observed_at)")
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
_OF_RULE = f""" FROM (SELECT {_finding("to_json(q.key)", "to_json(c.name)", _SUBJECT)} AS each
    FROM ({walk(50, "AND f.rule_id = q.id")}) x
    JOIN cluster c ON c.id = x.cluster_id JOIN subject s ON s.id = x.subject_id
    ORDER BY x.{ORDER.format("x", "x")}) x"""
_RULE = _object(
    key="to_json(q.key)",
    severity=_plain("q.severity"),
    title=_text("q.title"),
    score="coalesce(q.score::text, 'null')",
    findings=_nodes("each", _OF_RULE),
)
RULE = _answer(
    rule=f"""coalesce((SELECT {_RULE} FROM (SELECT r.* FROM rule r WHERE r.key = $1 AND (
        SELECT true FROM finding f JOIN usage u ON u.content_id = f.content_id WHERE f.rule_id = r.id LIMIT 1)
        ORDER BY r.category LIMIT 1) q), 'null')"""
)
# No parameter, so planned once; a group is of one cluster.
_GROUP = _object(
    cluster=_object(name="to_json(c.name)"),
    severity=_plain("g.severity"),
    findings="g.findings",
    occurrences="g.occurrences",
    clusters="'1'",
)
_GROUPS = f""" FROM (SELECT {_GROUP} AS each FROM (
    SELECT cluster_id, severity, sum(findings)::bigint AS findings, sum(occurrences)::bigint AS occurrences
    FROM cluster_severity_count WHERE status IN ('FAIL', 'WARN', 'ERROR') AND findings > 0
    GROUP BY 1, 2 ORDER BY 3 DESC, 1 DESC, severity::text DESC LIMIT 100
) g JOIN cluster c ON c.id = g.cluster_id
ORDER BY g.findings DESC, g.cluster_id DESC, g.severity::text DESC) x"""
GROUPS = _answer(findingGroups=_nodes("each", _GROUPS))
_OF_CLUSTER = "s.present AND s.cluster_id = (SELECT id FROM cluster WHERE name = $1)"
_COUNTS = ", ".join(
    f"count(*) FILTER (WHERE f.severity = '{name}') OVER () AS {name.lower()}"
    for name in ("CRITICAL", "HIGH", "MEDIUM", "LOW")
)
_IN_SUBJECT = _finding("to_json(r.key)", "to_json($1::text)", _SUBJECT)
_WITH = _object(
    kind="to_json(s.kind)",
    name="to_json(s.name)",
    namespace=_text("nullif(s.namespace, '')"),
    labels="s.labels",
    severities=_object(
        **{name: f"coalesce(n.{name}, 0)" for name in ("critical", "high", "medium", "low")}
    ),
    findings="'{\"nodes\":[' || coalesce(n.each, '') || ']}'",
)
_SUMS = ", ".join(f"max({name}) AS {name}" for name in ("critical", "high", "medium", "low"))
SUBJECT = _answer(
    subjects=_nodes(
        _WITH,
        f"""
FROM (SELECT * FROM subject s WHERE s.name = $2 AND {_OF_CLUSTER} ORDER BY s.id LIMIT 1) s
CROSS JOIN LATERAL (SELECT string_agg(each, ',') AS each, {_SUMS} FROM (
    SELECT {_IN_SUBJECT} AS each, x.critical, x.high, x.medium, x.low FROM (
        SELECT f.*, p.namespace, p.container, p.contents, pc.cluster_id, pc.placement_id, pc.live, pc.absent,
            {_COUNTS}
        FROM placement p JOIN placement_content pc ON pc.placement_id = p.id
        JOIN finding f ON f.content_id = pc.content_id
        WHERE p.subject_id = s.id AND pc.live + pc.absent > 0 AND {OPEN}
        ORDER BY f.{ORDER.format("f", "pc")} LIMIT 50
    ) x JOIN rule r ON r.id = x.rule_id ORDER BY x.{ORDER.format("x", "x")}) x) n""",
    )
)
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
