"""What appeared lately: the keys that transitions opened, instead of a look at every finding.

A finding was first seen when the latest transition that opened its key at its placement happened.
So a feed of the newest walks over transitions backwards, and what appeared since a time is what the
transitions since then opened.
"""

from aggregator.graph import cluster_filter
from aggregator.graph.compiler import Compilation
from aggregator.graph.finding_filter import FIRST_SEEN, FindingQuestion
from aggregator.graph.limits import RECENT_OPENED
from aggregator.graph.statement import Cells, Row, where
from aggregator.graph.tables import TRANSITION

# Of a transition: the keys that are open after it and were not before.
_OPENED = (
    "SELECT unnest(k.keys) AS key FROM keyset k WHERE k.id = ANY({tr.after})"
    " EXCEPT SELECT unnest(k.keys) FROM keyset k WHERE k.id = ANY({tr.before})"
)
_LATE = f"{TRANSITION.source} CROSS JOIN LATERAL ({_OPENED}) {{op}}"
# The entries with a placement's keys: a content is read once for all of them. Joined freely, whole tables are.
_ENTRIES = (
    "JOIN placement_content {pc} ON {pc.placement_id} = {cd.placement_id}"
    " CROSS JOIN LATERAL (SELECT o.*, n.at AS opened_at FROM finding o"
    " JOIN unnest({cd.keys}, {cd.times}) n (key, at) ON n.key = o.key"
    " WHERE o.content_id = {pc.content_id} OFFSET 0) {f}"
    " CROSS JOIN LATERAL (SELECT * FROM placement o WHERE o.id = {pc.placement_id} OFFSET 0) {p}"
)


def since(
    compilation: Compilation, question: FindingQuestion, up: Row, tie: str | None
) -> tuple[Row, str, list[str]]:
    """Return the findings opened since the filter's time: the row, its FROM, conditions beside.

    `seen` of the row is when it was; `tie` is that of severity_count to the row around.
    """
    late = _row(compilation, up)
    row = Row({**compilation.statement.row("f", "pc", "p", "cd"), "up": up})
    latest = late.fill(
        f"SELECT {{tr.placement_id}}, {{op.key}}, max({{tr.at}}) AS at FROM {_LATE}"
    ) + where(_conditions(compilation, question, late, tie))
    candidates = (
        "SELECT o.placement_id, array_agg(o.key) AS keys, array_agg(o.at) AS times"
        f" FROM ({latest} GROUP BY 1, 2) o GROUP BY 1"
    )
    row["seen"] = row.fill("{f.opened_at}")
    return row, f"({candidates}) {row.fill('{cd} ' + _ENTRIES)}", []


def feed(
    compilation: Compilation, question: FindingQuestion, up: Row, tie: str | None
) -> tuple[Row, str, list[str]]:
    """Return the same for findings of any time, to be walked from the newest on."""
    late = _row(compilation, up)
    row = Row({**compilation.statement.row("f", "pc", "p"), **late})
    row["cd"] = Cells(compilation.statement.alias("cd"))
    row["seen"] = row.fill("{tr.at}")
    found = _conditions(compilation, question, late, tie)
    # It did not go and come again later: true as a rule, which an equality would hide from the planner.
    found.append(row.fill(f"CASE WHEN {FIRST_SEEN} = {{tr.at}} THEN true ELSE false END"))
    walked = row.fill(
        f"{TRANSITION.source} CROSS JOIN LATERAL (SELECT {{tr.placement_id}}, ARRAY({_OPENED}) AS keys,"
        f" NULL::timestamptz[] AS times) {{cd}} {_ENTRIES}"
    )
    return row, walked, found


def few_since(compilation: Compilation, question: FindingQuestion) -> list[str]:
    """Return the condition that few keys were opened since the filter's time, if it has one."""
    if not question.since:
        return []
    row = _row(compilation, Row())
    opened = f"SELECT FROM {row.fill(_LATE)}{where(_conditions(compilation, question, row))}"
    return [f"(SELECT count(*) FROM ({opened} LIMIT {RECENT_OPENED} + 1) o) <= {RECENT_OPENED}"]


def _row(compilation: Compilation, up: Row) -> Row:
    return Row({**compilation.statement.row("tr", "op"), "up": up})


def _conditions(
    compilation: Compilation, question: FindingQuestion, row: Row, tie: str | None = None
) -> list[str]:
    found = [f"{row['tr'].at} >= {bound}" for bound in question.bounds(compilation)]
    cluster = dict(question.together()).get("cluster")
    return [
        *found,
        *([Row({**row, "sc": row["tr"]}).fill(tie)] if tie else []),
        *TRANSITION.scope(compilation.statement, row),
        *cluster_filter.within(compilation, row["tr"].cluster_id, cluster),
    ]
