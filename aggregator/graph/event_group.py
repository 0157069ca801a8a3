"""Groups of runtime events: the same events counted by dimensions, by the hour and longer.

Counts come from the cheapest source that knows all dimensions and all of the filter:

    days    runtime_event_fleet_day    rule, priority, source, time by days; for whom sees all
    fleet   runtime_event_fleet_hour   the same by hours
    hours   runtime_event_hour         the same with cluster and namespace
    events  runtime_event              everything

Days and hours are whole. What a time bound cuts off a day is counted by hours, and what it cuts off
an hour from the events themselves, so the sum is exact. The last looks at every event in scope, so it is refused where the
scope is not small, unless the filter pins a pod, image or subject.
"""

from dataclasses import dataclass
from enum import Enum

import strawberry

from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import BAD_INPUT, LIMIT_EXCEEDED, GraphError
from aggregator.graph.event_filter import (
    COMBINED,
    ON_FLEET_HOURS,
    ON_HOURS,
    RuntimeEventFilter,
    conditions,
    together,
)
from aggregator.graph.event_page import narrow, refuse_unless_small
from aggregator.graph.filters import time_bounds
from aggregator.graph.group import GroupOrder
from aggregator.graph.limits import MAX_DIMENSIONS, MAX_PAGE
from aggregator.graph.mapping import Computed, One, column, lazy, mapped
from aggregator.graph.scalars import DateTime, Long, Priority
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Cells, Row, where
from aggregator.graph.tables import CLUSTER, EVENT_HOUR, FLEET_DAY, FLEET_HOUR, RUNTIME_EVENT, Table

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
ON_FLEET = frozenset({"RULE", "PRIORITY", "SOURCE"})
ON_CLUSTERS = ON_FLEET | {"CLUSTER", "NAMESPACE"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    by: tuple[str, ...]  # dimensions but TIME
    interval: str  # "" where TIME is not asked for
    tree: Tree
    since: str  # the time bounds as SQL, "" where there is none
    until: str

    @property
    def names(self) -> frozenset[str]:
        """The inputs of the filter."""
        return frozenset(name for name, _ in together(self.tree))

    def bucket(self, at: str) -> str:
        """Return the beginning of the interval that a time lies in."""
        return f"date_trunc('{self.interval.lower()}', {at}, 'UTC')"


def groups(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the list of groups."""
    del row
    arguments = compilation.arguments(field)
    question = _question(compilation, arguments)
    table = _source(compilation, question)
    if table is RUNTIME_EVENT and not narrow(question.tree):
        refuse_unless_small(compilation, field, question.tree, "Counting these groups")
    if question.interval:
        _check_buckets(compilation, question, field)
    given = arguments.get("orderBy")
    default = GroupOrder.KEY_ASC if question.interval else GroupOrder.COUNT_DESC
    order: GroupOrder = given.value if isinstance(given, Given) else default
    counted = _counted(compilation, question, table)
    alias = compilation.statement.alias("g")
    child = Row({"g": Cells(alias), "names": question.by, "timed": bool(question.interval)})
    with compilation.rows(field, default=DEFAULT_FIRST) as limit:
        tail = (
            f" FROM ({_filled(counted, question)}) {alias}"
            f" ORDER BY {_order(question, order, alias)} LIMIT {limit}"
        )
        return f"({compilation.rows_of(field, child, tail)})"


def _question(compilation: Compilation, arguments: dict[str, Tree]) -> Question:
    by = [each.name for each in dict.fromkeys(arguments["by"].value)]
    if not 1 <= len(by) <= MAX_DIMENSIONS:
        raise GraphError(BAD_INPUT, f"`by` must name 1 to {MAX_DIMENSIONS} dimensions.")
    interval = arguments.get("interval")
    if "TIME" in by and not isinstance(interval, Given):
        raise GraphError(BAD_INPUT, "`by: TIME` needs `interval`: MINUTE, HOUR, DAY or WEEK.")
    tree = arguments.get("filter")
    lower: list[str] = []
    upper: list[str] = []
    for name, value in together(tree):
        if name == "time":
            since, until = time_bounds(compilation, value)
            lower += since
            upper += until
    return Question(
        by=tuple(name for name in by if name != "TIME"),
        interval=interval.value.name if isinstance(interval, Given) and "TIME" in by else "",
        tree=tree,
        since=f"greatest({', '.join(lower)})" if lower else "",
        until=f"least({', '.join(upper)})" if upper else "",
    )


def _source(compilation: Compilation, question: Question) -> Table:
    names, by = question.names, set(question.by)
    if question.interval == "MINUTE" or names & COMBINED:
        return RUNTIME_EVENT
    if not compilation.statement.scoped and names <= ON_FLEET_HOURS and by <= ON_FLEET:
        return FLEET_HOUR if question.interval == "HOUR" else FLEET_DAY
    if names <= ON_HOURS and by <= ON_CLUSTERS:
        return EVENT_HOUR
    return RUNTIME_EVENT


def _check_buckets(compilation: Compilation, question: Question, field: Selected) -> None:
    if not question.since:
        if question.interval == "MINUTE":
            raise GraphError(
                BAD_INPUT, "`interval: MINUTE` needs `filter.time` with since or last."
            )
        return
    step = {"MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}[question.interval]
    span = f"extract(epoch FROM {question.until or 'now()'} - {question.since})"
    compilation.refuse_where(
        f"{span} / {step} > {MAX_PAGE}",
        GraphError(
            LIMIT_EXCEEDED,
            f"There are more than {MAX_PAGE:,} intervals of a {question.interval}: narrow"
            " `filter.time`, or take a longer interval.",
            path=field.path,
        ),
    )


def _counted(compilation: Compilation, question: Question, table: Table) -> str:
    """Return the query for the groups that have events: d0, d1 …, t, events."""
    parts = _parts(compilation, question, table, question.since, question.until)
    columns = [f"d{n}" for n in range(len(question.by))] + (["t"] if question.interval else [])
    keys = ", ".join(columns)
    return (
        f"SELECT {keys}, sum(events)::bigint AS events FROM ({' UNION ALL '.join(parts)}) p"
        f" GROUP BY {keys}"
    )


# What each rollup is by, and what counts the ends that a time bound cuts off.
UNITS = {
    FLEET_DAY.source: ("day", FLEET_HOUR),
    FLEET_HOUR.source: ("hour", RUNTIME_EVENT),
    EVENT_HOUR.source: ("hour", RUNTIME_EVENT),
}


def _parts(
    compilation: Compilation, question: Question, table: Table, since: str, until: str
) -> list[str]:
    """Return the queries that together count everything between two times."""
    if table is RUNTIME_EVENT:
        return [_events(compilation, question, since, until)]
    unit, finer = UNITS[table.source]
    step = f"interval '1 {unit}' - interval '1 microsecond'"
    first = f"date_trunc('{unit}', {since} + ({step}), 'UTC')" if since else ""
    last = f"date_trunc('{unit}', {until}, 'UTC')" if until else ""
    parts = [_whole(compilation, question, table, first, last)]
    if since:
        end = f"least({first}, {until})" if until else first
        parts += _parts(compilation, question, finer, since, end)
    if until:
        start = f"greatest({last}, {first})" if since else last
        parts += _parts(compilation, question, finer, start, until)
    return parts


def _whole(
    compilation: Compilation, question: Question, table: Table, first: str, last: str
) -> str:
    """Return the query for whole days or hours, from the first on and before the last."""
    unit, _ = UNITS[table.source]
    row = table.row(compilation.statement)
    at = row.fill(f"{{e.{unit}}}")
    found = _untimed(compilation, row, question.tree) + table.scope(compilation.statement, row)
    found += [f"{at} >= {first}"] if first else []
    found += [f"{at} < {last}"] if last else []
    columns = _columns(question, row, at)
    return (
        f"SELECT {', '.join([*columns, row.fill('sum({e.events}) AS events')])}"
        f" FROM {row.fill(table.source)}{where(found)}{_by(columns)}"
    )


def _events(compilation: Compilation, question: Question, since: str, until: str) -> str:
    row = RUNTIME_EVENT.row(compilation.statement)
    found = _untimed(compilation, row, question.tree)
    found += RUNTIME_EVENT.scope(compilation.statement, row)
    at = row.fill("{e.at}")
    found += [f"{at} >= {since}"] if since else []
    found += [f"{at} < {until}"] if until else []
    columns = _columns(question, row, at)
    return (
        f"SELECT {', '.join([*columns, 'count(*) AS events'])}"
        f" FROM {row.fill(RUNTIME_EVENT.source)}{where(found)}{_by(columns)}"
    )


def _untimed(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    """Return the conditions of a filter but those on time."""
    return [
        condition
        for name, value in together(tree)
        if name != "time"
        for condition in conditions(compilation, row, {name: value})
    ]


def _columns(question: Question, row: Row, at: str) -> list[str]:
    columns = [f"{row.fill(DIMENSIONS[name][0])} AS d{n}" for n, name in enumerate(question.by)]
    return [*columns, f"{question.bucket(at)} AS t"] if question.interval else columns


def _by(columns: list[str]) -> str:
    return f" GROUP BY {', '.join(str(n + 1) for n in range(len(columns)))}"


def _filled(counted: str, question: Question) -> str:
    """Return the groups with those intervals that have no events."""
    if not question.interval:
        return counted
    since = question.bucket(question.since) if question.since else "(SELECT min(t) FROM counted)"
    until = question.until or "now() + interval '1 microsecond'"
    keys = [f"d{n}" for n in range(len(question.by))]
    same = " AND ".join(["c.t = b.t", *(f"c.{key} IS NOT DISTINCT FROM k.{key}" for key in keys)])
    named = "".join(f"k.{key}, " for key in keys)
    distinct = f"SELECT DISTINCT {', '.join(keys)} FROM counted" if keys else "SELECT"
    step = question.interval.lower()
    return (
        f"WITH counted AS MATERIALIZED ({counted})"
        f" SELECT {named}b.t, coalesce(c.events, 0) AS events"
        f" FROM generate_series({since}, {until} - interval '1 microsecond', interval '1 {step}') b (t)"
        f" CROSS JOIN ({distinct}) k LEFT JOIN counted c ON {same}"
    )


def _order(question: Question, order: GroupOrder, alias: str) -> str:
    way = "DESC" if order.name.endswith("DESC") else "ASC"
    keys = [f"{alias}.t"] if question.interval else []
    keys += [DIMENSIONS[name][1].format(d=f"{alias}.d{n}") for n, name in enumerate(question.by)]
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
