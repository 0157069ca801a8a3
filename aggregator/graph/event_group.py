"""Groups of runtime events: counted by dimensions and by time, with the intervals that have none."""

from enum import Enum

import strawberry

from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import BAD_INPUT, LIMIT_EXCEEDED, GraphError
from aggregator.graph.event_filter import RuntimeEventFilter
from aggregator.graph.event_hours import Counting, counted, counting, refuse_unless_small, sources
from aggregator.graph.event_page import narrow
from aggregator.graph.group import GroupOrder
from aggregator.graph.limits import MAX_DIMENSIONS, MAX_PAGE
from aggregator.graph.mapping import Computed, One, column, lazy, mapped
from aggregator.graph.scalars import DateTime, Long, Priority
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Cells, Row, where
from aggregator.graph.tables import CLUSTER, EVENT_HOUR, FLEET_HOUR, RUNTIME_EVENT

DEFAULT_FIRST = 1_000


@strawberry.enum(description="What runtime events are grouped by; TIME needs an interval.")
class RuntimeEventDimension(Enum):
    CLUSTER = "CLUSTER"
    NAMESPACE = "NAMESPACE"
    RULE = "RULE"
    PRIORITY = "PRIORITY"
    SOURCE = "SOURCE"
    HOSTNAME = "HOSTNAME"
    IMAGE = "IMAGE"
    TIME = "TIME"


@strawberry.enum(description="How long an interval of time is, in UTC; weeks begin on Mondays.")
class Interval(Enum):
    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"


# By dimension: the expression over an event's or rollup's row, and how the group's value sorts.
DIMENSIONS = {
    "CLUSTER": ("{e.cluster_id}", "coalesce((SELECT o.name FROM cluster o WHERE o.id = {d}), '')"),
    "NAMESPACE": ("{e.namespace}", "{d}"),
    "RULE": ("{e.rule}", "{d}"),
    "PRIORITY": ("{e.priority}", "{d}"),  # the most urgent is the greatest
    "SOURCE": ("{e.source}", "{d}"),
    "HOSTNAME": ("{e.hostname}", "{d}"),
    "IMAGE": ("{e.image_id}", "coalesce((SELECT o.name FROM image o WHERE o.id = {d}), '')"),
}


def groups(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the list of groups."""
    del row
    arguments = compilation.arguments(field)
    asked = _asked(compilation, arguments)
    tables = sources(compilation, asked)
    if tables[0] is RUNTIME_EVENT and not narrow(asked.tree):
        refuse_unless_small(compilation, field.path, asked.tree, "Counting these groups")
    if asked.interval:
        _check_buckets(compilation, asked, field)
    given = arguments.get("orderBy")
    default = GroupOrder.KEY_ASC if asked.interval else GroupOrder.COUNT_DESC
    order: GroupOrder = given.value if isinstance(given, Given) else default
    alias = compilation.statement.alias("g")
    names = [name for name, _ in asked.by]
    child = Row({"g": Cells(alias), "names": names, "timed": bool(asked.interval)})
    with compilation.rows(field, default=DEFAULT_FIRST) as limit:
        tail = (
            f" FROM ({_filled(counted(compilation, asked, tables), asked)}) {alias}"
            f" ORDER BY {_order(asked, order, alias)} LIMIT {limit}"
        )
        return f"({compilation.rows_of(field, child, lambda: tail)})"


def _asked(compilation: Compilation, arguments: dict[str, Tree]) -> Counting:
    by = [each.name for each in dict.fromkeys(arguments["by"].value)]
    if not 1 <= len(by) <= MAX_DIMENSIONS:
        raise GraphError(BAD_INPUT, f"`by` must name 1 to {MAX_DIMENSIONS} dimensions.")
    interval = arguments.get("interval")
    if "TIME" in by and not isinstance(interval, Given):
        raise GraphError(BAD_INPUT, "`by: TIME` needs `interval`: MINUTE, HOUR, DAY or WEEK.")
    return counting(
        compilation,
        arguments.get("filter"),
        tuple((name, DIMENSIONS[name][0]) for name in by if name != "TIME"),
        interval.value.name if isinstance(interval, Given) and "TIME" in by else "",
    )


def _check_buckets(compilation: Compilation, asked: Counting, field: Selected) -> None:
    since = asked.first
    if not since:
        if asked.interval == "MINUTE":
            raise GraphError(
                BAD_INPUT, "`interval: MINUTE` needs `filter.time` with since or last."
            )
        since = _earliest(compilation)
    step = {"MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}[asked.interval]
    span = f"extract(epoch FROM {asked.last or 'now()'} - {since})"
    compilation.refuse_where(
        f"{span} / {step} > {MAX_PAGE}",
        GraphError(
            LIMIT_EXCEEDED,
            f"There are more than {MAX_PAGE:,} intervals of a {asked.interval}: narrow"
            " `filter.time`, or take a longer interval.",
            path=field.path,
        ),
    )


def _earliest(compilation: Compilation) -> str:
    """Return the hour of the first event that the caller may see."""
    table = EVENT_HOUR if compilation.statement.scoped else FLEET_HOUR
    row = table.row(compilation.statement)
    found = where(table.scope(compilation.statement, row))
    return f"(SELECT min({row['e'].hour}) FROM {row.fill(table.source)}{found})"


def _filled(groups: str, asked: Counting) -> str:
    """Return the groups with those intervals that have no events."""
    if not asked.interval:
        return groups
    since = asked.bucket(asked.first) if asked.since else "(SELECT min(t) FROM counted)"
    # The latest events may lie minutes ahead.
    until = (
        f"{asked.last} - interval '1 microsecond'"
        if asked.until
        else "greatest(now(), (SELECT max(t) FROM counted))"
    )
    keys = [f"d{n}" for n in range(len(asked.by))]
    same = " AND ".join(["c.t = b.t", *(f"c.{key} IS NOT DISTINCT FROM k.{key}" for key in keys)])
    named = "".join(f"k.{key}, " for key in keys)
    distinct = f"SELECT DISTINCT {', '.join(keys)} FROM counted" if keys else "SELECT"
    step = asked.interval.lower()
    return (
        f"WITH counted AS MATERIALIZED ({groups})"
        f" SELECT {named}b.t, coalesce(c.events, 0) AS events"
        f" FROM generate_series({since}, {until}, interval '1 {step}') b (t)"
        f" CROSS JOIN ({distinct}) k LEFT JOIN counted c ON {same}"
    )


def _order(asked: Counting, order: GroupOrder, alias: str) -> str:
    way = "DESC" if order.name.endswith("DESC") else "ASC"
    keys = [f"{alias}.t"] if asked.interval else []
    keys += [DIMENSIONS[name][1].format(d=f"{alias}.d{n}") for n, (name, _) in enumerate(asked.by)]
    if order.name.startswith("COUNT"):
        return ", ".join([f"{alias}.events {way}", *keys])
    return ", ".join(f"{key} {way}" for key in keys)


# ---------------------------------------------------------------- the fields of a group


def _value(name: str, sql: str = "{d}") -> Computed:
    def make(compilation: Compilation, row: Row, field: Selected) -> str:
        del compilation, field
        if name not in row["names"]:
            return "NULL"
        return sql.format(d=row.fill(f"{{g.d{row['names'].index(name)}}}"))

    return Computed(make)


def _cluster(compilation: Compilation, row: Row, field: Selected) -> str:
    if "CLUSTER" not in row["names"]:
        return "NULL"
    number = row["names"].index("CLUSTER")
    return One(CLUSTER, f"{{c.id}} = {{up[g].d{number}}}").compile(compilation, row, field)


def _time(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    return row.fill("{g.t}") if row["timed"] else "NULL"


@strawberry.type(
    description="Runtime events with the same value in each dimension; other dimensions are null."
)
class RuntimeEventGroup:
    cluster = mapped(Computed(_cluster), "By CLUSTER.", returns=lazy("cluster", "Cluster") | None)
    namespace: str | None = mapped(
        _value("NAMESPACE", "nullif({d}, '')"), "By NAMESPACE; null outside of namespaces."
    )
    rule: str | None = mapped(_value("RULE"), "By RULE.")
    priority: Priority | None = mapped(_value("PRIORITY"), "By PRIORITY.")
    source: str | None = mapped(_value("SOURCE"), "By SOURCE.")
    hostname: str | None = mapped(_value("HOSTNAME", "nullif({d}, '')"), "By HOSTNAME.")
    image: str | None = mapped(
        _value("IMAGE", "(SELECT o.name FROM image o WHERE o.id = {d})"),
        "By IMAGE: its name; null for events without one.",
    )
    time: DateTime | None = mapped(Computed(_time), "By TIME: when the interval begins.")
    events: Long = column("{g.events}", "How many events.")


ARGUMENTS = (
    ("by", list[RuntimeEventDimension], "What to group by, one to four."),
    ("interval", Interval | None, "How long an interval of TIME is."),
    ("filter", RuntimeEventFilter | None, "Which events."),
    (
        "order_by",
        GroupOrder | None,
        "In which order; by time if TIME is asked for, else the largest first.",
    ),
    ("first", int | None, "How many groups at most.", DEFAULT_FIRST),
)
