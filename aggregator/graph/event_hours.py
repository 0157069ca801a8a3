"""What the hourly counts of runtime events know, and counting with them.

    runtime_event_fleet_day    rule, priority, source, day; for whom sees all
    runtime_event_fleet_hour   the same by hour
    runtime_event_hour         the same with cluster and namespace
    runtime_event              everything

A count comes from the first that knows all dimensions and all of the filter. What a time bound cuts
off a day is counted by hours, and what it cuts off an hour from the events themselves, so sums are
exact. The counts also bound how many events a question may look at, and say in which hours there is
anything to look for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import TOO_BROAD, GraphError
from aggregator.graph.event_filter import conditions, leaves, named, together
from aggregator.graph.filters import time_bounds
from aggregator.graph.limits import SMALL_SCOPE_EVENTS
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import EVENT_HOUR, FLEET_DAY, FLEET_HOUR, RUNTIME_EVENT, Table

ON_FLEET_HOURS = frozenset({"time", "rule", "priority", "source"})
ON_HOURS = ON_FLEET_HOURS | {"cluster", "namespace"}
FLEET_DIMENSIONS = frozenset({"RULE", "PRIORITY", "SOURCE"})
HOUR_DIMENSIONS = FLEET_DIMENSIONS | {"CLUSTER", "NAMESPACE"}
# The time of a table's rows, and what part of time each is about; "" for a moment.
TIMES = {
    FLEET_DAY: ("{e.day}", "day"),
    FLEET_HOUR: ("{e.hour}", "hour"),
    EVENT_HOUR: ("{e.hour}", "hour"),
    RUNTIME_EVENT: ("{e.at}", ""),
}
BROAD = "narrow `time`, or filter by pod, image or subject.name (eq or in), or by cluster"


def of_counts(
    compilation: Compilation, row: Row, table: Table, inputs: Iterable[tuple[str, Tree]]
) -> list[str]:
    """Return what inputs say of a rollup's row, letter `e`; a bound where a time cuts it."""
    sql, unit = TIMES[table]
    found = []
    for name, value in inputs:
        if name == "time":
            since, until = time_bounds(compilation, value)
            begins = row.fill(sql)
            found += [f"{begins} > {bound} - interval '1 {unit}'" for bound in since]
            found += [f"{begins} < {bound}" for bound in until]
        else:
            found += conditions(compilation, row, {name: value})
    return found


def anything(compilation: Compilation, tree: Tree) -> str:
    """Return the condition that the fleet has events at all, as far as its days know; "" if unknown."""
    inputs = [(name, value) for name, value in together(tree) if name in ON_FLEET_HOURS]
    if compilation.statement.scoped or not inputs:
        return ""
    row = FLEET_DAY.row(compilation.statement)
    found = [*of_counts(compilation, row, FLEET_DAY, inputs), row.fill("{e.events} > 0")]
    return f"EXISTS (SELECT FROM {row.fill(FLEET_DAY.source)}{where(found)})"


def windows(
    compilation: Compilation, tree: Tree, table: Table, tied: str, *, up: Row, before: str
) -> str:
    """Return the query for the hours in which a rollup knows of events, the latest first.

    `tied` is a condition on its row; `before` is a time that no later hour is asked for.
    """
    known = ON_FLEET_HOURS if table is FLEET_HOUR else ON_HOURS
    row = table.row(compilation.statement, up)
    inputs = [(name, value) for name, value in together(tree) if name in known]
    hour = row.fill("{e.hour}")
    found = [
        *([row.fill(tied)] if tied else []),
        *of_counts(compilation, row, table, inputs),
        *table.scope(compilation.statement, row),
        *([f"{hour} <= {before}"] if before else []),
    ]
    return (
        f"SELECT DISTINCT {hour} AS hour FROM {row.fill(table.source)}{where(found)}"
        f" ORDER BY {hour} DESC"
    )


def rules(compilation: Compilation, tree: Tree) -> str:
    """Return the array of the fleet's rules that a filter lets through."""
    row = FLEET_DAY.row(compilation.statement)
    inputs = [(name, value) for name, value in together(tree) if name in {"time", "rule"}]
    found = of_counts(compilation, row, FLEET_DAY, inputs)
    return f"ARRAY(SELECT DISTINCT {row['e'].rule} FROM {row.fill(FLEET_DAY.source)}{where(found)})"


def refuse_unless_small(
    compilation: Compilation, path: tuple[str, ...], tree: Tree, what: str
) -> None:
    """Answer TOO_BROAD where the hourly counts know of too many events that may be looked at.

    Only what the walk over events is limited by as well narrows them.
    """
    inputs = [(name, value) for name, value in together(tree) if _narrows(compilation, name, value)]
    names = {name for name, _ in inputs}
    fleet = [(name, value) for name, value in inputs if name in ON_FLEET_HOURS]
    sums = []
    if not compilation.statement.scoped:
        sums.append(_sum(compilation, _of_fleet(fleet), fleet))
    if compilation.statement.scoped or not names <= ON_FLEET_HOURS:
        sums.append(_sum(compilation, EVENT_HOUR, inputs))
    # The fleet's hours are few rows, and where they sum up to little no others are read.
    compilation.refuse_where(
        " AND ".join(f"{each} > {SMALL_SCOPE_EVENTS}" for each in sums),
        GraphError(
            TOO_BROAD,
            f"{what} looks at every event in scope, too many in a fleet of this size: {BROAD}.",
            path=path,
        ),
    )


def _narrows(compilation: Compilation, name: str, value: Tree) -> bool:
    if name in {"namespace", "source"} or (name == "rule" and compilation.statement.scoped):
        return named(name, value)
    return name in ON_HOURS


def _of_fleet(inputs: Iterable[tuple[str, Tree]]) -> Table:
    return FLEET_HOUR if any(name == "time" for name, _ in inputs) else FLEET_DAY


def _sum(compilation: Compilation, table: Table, inputs: list[tuple[str, Tree]]) -> str:
    row = table.row(compilation.statement)
    found = [*of_counts(compilation, row, table, inputs), *table.scope(compilation.statement, row)]
    return f"(SELECT sum({row['e'].events}) FROM {row.fill(table.source)}{where(found)})"


# ---------------------------------------------------------------- counting


@dataclass(frozen=True, slots=True)
class Counting:
    """What is to be counted, by what."""

    tree: Tree
    since: tuple[str, ...]  # the bounds of time, as SQL
    until: tuple[str, ...]
    by: tuple[tuple[str, str], ...] = ()  # dimensions but TIME, each with its template
    interval: str = ""  # "" where TIME is not asked for
    tie: str | None = None  # to the row `up`
    up: Row = field(default_factory=Row)

    @property
    def first(self) -> str:
        """The latest time that events may not be before; "" for none."""
        return _latest(self.since)

    @property
    def last(self) -> str:
        """The earliest time that events must be before; "" for none."""
        return _earliest(self.until)

    def bucket(self, at: str) -> str:
        """Return the beginning of the interval that a time lies in."""
        return f"date_trunc('{self.interval.lower()}', {at}, 'UTC')"

    def columns(self) -> list[str]:
        """Return the names of the columns that tell groups apart."""
        return [f"d{n}" for n in range(len(self.by))] + (["t"] if self.interval else [])


def counting(
    compilation: Compilation,
    tree: Tree,
    by: tuple[tuple[str, str], ...] = (),
    interval: str = "",
    *,
    tie: str | None = None,
    up: Row | None = None,
) -> Counting:
    """Return what is to be counted."""
    lower: list[str] = []
    upper: list[str] = []
    for name, value in together(tree):
        if name == "time":
            since, until = time_bounds(compilation, value)
            lower += since
            upper += until
    return Counting(tree, tuple(lower), tuple(upper), by, interval, tie, up or Row())


def sources(compilation: Compilation, asked: Counting) -> tuple[Table, ...]:
    """Return the table that a count is taken from, and those for what time bounds cut off it."""
    names = {*leaves(asked.tree)}
    by = {name for name, _ in asked.by}
    if asked.interval == "MINUTE" or _times_within(asked.tree):
        return (RUNTIME_EVENT,)
    unscoped = not compilation.statement.scoped and asked.tie is None
    if unscoped and names <= ON_FLEET_HOURS and by <= FLEET_DIMENSIONS:
        days = () if asked.interval == "HOUR" else (FLEET_DAY,)
        return (*days, FLEET_HOUR, RUNTIME_EVENT)
    if names <= ON_HOURS and by <= HOUR_DIMENSIONS:
        return (EVENT_HOUR, RUNTIME_EVENT)
    return (RUNTIME_EVENT,)


def _times_within(tree: Tree) -> bool:
    return any(
        "time" in leaves({name: value}) for name, value in together(tree) if name in {"or", "not"}
    )


def counted(compilation: Compilation, asked: Counting, tables: tuple[Table, ...]) -> str:
    """Return the query for the groups that have events: d0, d1 …, t, events."""
    parts = [
        _counted(compilation, asked, table, since, until)
        for table, since, until in _parts(tables, asked.since, asked.until, cut=(True, True))
    ]
    keys = asked.columns()
    if len(parts) == 1 and keys:
        return parts[0]
    listed = "".join(f"{key}, " for key in keys)
    groups = f" GROUP BY {', '.join(keys)}" if keys else ""
    return (
        f"SELECT {listed}coalesce(sum(events), 0)::bigint AS events"
        f" FROM ({' UNION ALL '.join(parts)}) p{groups}"
    )


Bounds = tuple[str, ...]


def _parts(
    tables: tuple[Table, ...], since: Bounds, until: Bounds, *, cut: tuple[bool, bool]
) -> Iterator[tuple[Table, Bounds, Bounds]]:
    """Yield spans of time that make up the whole, and which table each is counted from.

    `cut` tells whether the bounds may lie within what a row of the table is about.
    """
    table, *rest = tables
    yield table, since, until
    _, unit = TIMES[table]
    if not unit:
        return
    part = f"interval '1 {unit}' - interval '1 microsecond'"
    ceiling = f"date_trunc('{unit}', {_latest(since)} + {part}, 'UTC')"
    floor = f"date_trunc('{unit}', {_earliest(until)}, 'UTC')"
    if since and cut[0]:
        ends = (ceiling, floor) if until else (ceiling,)
        yield from _parts((*rest,), since, ends, cut=(True, False))
    if until and cut[1]:
        yield from _parts((*rest,), (floor, *since), until, cut=(bool(since), True))


def _counted(
    compilation: Compilation, asked: Counting, table: Table, since: Bounds, until: Bounds
) -> str:
    row = table.row(compilation.statement, asked.up)
    sql, unit = TIMES[table]
    time = row.fill(sql)
    found = [
        condition
        for name, value in together(asked.tree)
        if name != "time"
        for condition in conditions(compilation, row, {name: value})
    ]
    found += table.scope(compilation.statement, row)
    found += [row.fill(asked.tie)] if asked.tie else []
    found += [f"{time} >= {bound}" for bound in since]
    # Compared with the bound as it is: what is worked out of it anew for each row costs more.
    found += [
        f"{time} <= {bound} - interval '1 {unit}'" if unit else f"{time} < {bound}"
        for bound in until
    ]
    columns = [f"{row.fill(template)} AS d{n}" for n, (_, template) in enumerate(asked.by)]
    if asked.interval:
        columns.append(f"{asked.bucket(time)} AS t")
    groups = f" GROUP BY {', '.join(str(n + 1) for n in range(len(columns)))}" if columns else ""
    columns.append(row.fill("sum({e.events})::bigint AS events" if unit else "count(*) AS events"))
    return f"SELECT {', '.join(columns)} FROM {row.fill(table.source)}{where(found)}{groups}"


def _latest(bounds: Bounds) -> str:
    return f"greatest({', '.join(bounds)})" if len(bounds) > 1 else "".join(bounds)


def _earliest(bounds: Bounds) -> str:
    return f"least({', '.join(bounds)})" if len(bounds) > 1 else "".join(bounds)
