"""How a page of runtime events is fetched: newest first, a walk through an index.

`runtime_event` is partitioned by day on `at`, so a walk by (at, id) goes from day to day and ends with
the page. A filter that names values *pins* the walk: it runs once a value through that value's index
(value, at, id), and the newest rows of the few walks are the page. So a filter that matches nothing
costs a look into each day's index. Where a second filter could make a pinned walk look at much for
little, the hourly counts say in which hours there is anything at all, and the walk goes from one such
hour to the next. What no index serves looks at rows one by one; it is refused where the scope, as far
as the hourly counts know the filter, holds too many events.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aggregator.graph import cluster_filter, cursors
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.event_filter import conditions, images, named, priorities, together
from aggregator.graph.event_hours import (
    anything,
    counted,
    counting,
    refuse_unless_small,
    rules,
    sources,
    windows,
)
from aggregator.graph.finding_filter import subjects
from aggregator.graph.limits import WALKED_CLUSTERS
from aggregator.graph.pages import Pager, Term, Terms, beyond, bound, connection
from aggregator.graph.scalars import Direction
from aggregator.graph.selection import Selected
from aggregator.graph.statement import (
    CarriedRow,
    Row,
    literals,
    read_scope_clusters,
    read_scope_namespaces,
    where,
)
from aggregator.graph.tables import EVENT_HOUR, FLEET_HOUR, RUNTIME_EVENT, Table

TERMS = (Term("{e.at}", "timestamptz"), Term("{e.id}", "bigint"))
NARROW = ("pod", "subject", "image")  # whose values have few events, the fewest first
NARROW_COLUMNS = frozenset({"pod", "subject_id", "image_id"})
FLEET_KNOWN = frozenset({"rule", "priority", "source"})  # beside time, by hour and by day
KNOWN = FLEET_KNOWN | {"namespace"}  # by hour in a cluster
SCOPE_CLUSTERS, SCOPE_NAMESPACES = "clusters", "namespaces"
SERVED = frozenset({"time", "cluster", "rule", "priority", "source", "namespace", *NARROW})


@dataclass(frozen=True, slots=True)
class EventPage:
    """A connection of events: all in scope, or those that `tie` ties to the row around."""

    tie: str | None = None
    few: bool = False  # whether the tie leaves few

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the connection."""
        tree = compilation.arguments(field).get("filter")
        if not self.few and not row and not narrow(tree):
            outside = outside_of_index(compilation, tree)
            if outside:
                what = f"Filtering by {', '.join(outside)}"
                refuse_unless_small(compilation, field.path, tree, what)

        def make(after: cursors.After | None) -> Pager:
            return _EventPager(compilation, up=row, tie=self, tree=tree, after=after)

        return connection(compilation, field, row, make, question=f"runtime_event|{self.tie}")


def narrow(tree: Tree) -> bool:
    """Tell whether a filter names what few events have."""
    return any(name in NARROW and named(name, value) for name, value in together(tree))


def outside_of_index(compilation: Compilation, tree: Tree) -> list[str]:
    """Return the inputs of a filter that no index serves."""
    served = {"time", "cluster"}
    if not compilation.statement.scoped:
        served.add("rule")  # by whatever text: few counts tell which rules there are
    return sorted(
        {
            name
            for name, value in together(tree)
            if name not in served and not (name in SERVED and named(name, value))
        }
    )


@dataclass(frozen=True, slots=True)
class _Pin:
    """How a walk is kept short. Without values, and without hours, it is not."""

    column: str = ""
    values: str = ""  # the array of values of the column, each walked by itself
    condition: str = ""  # that an index asks for
    # The input, or the part of the scope, that the values settle: tested again, Postgres would
    # multiply its odds and take what is left for so little that it reads and sorts all of it.
    settles: Tree = None
    hours: Table | None = None  # the rollup that tells the hours to look into


class _EventPager:
    """One page of events."""

    stems = RUNTIME_EVENT.stems
    terms = TERMS

    def __init__(
        self,
        compilation: Compilation,
        *,
        up: Row,
        tie: EventPage,
        tree: Tree,
        after: cursors.After | None,
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._up = up
        self._tie = tie
        self._tree = tree
        self._after = after
        self._given: dict[str, Tree] = {}  # of inputs given twice, one that names values
        for name, value in together(tree):
            if name not in self._given or named(name, value):
                self._given[name] = value
        self._named = {name for name, value in self._given.items() if named(name, value)}

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows of the page."""
        if self._tie.tie:
            # The row around gives one value.
            hours = EVENT_HOUR if not self._tie.few and self._known() else None
            return self._fetch(row, limit, _Pin(hours=hours), "")
        narrow = self._narrow()
        clusters = self._clusters()
        if narrow or not clusters:
            return self._fetch(row, limit, narrow or self._broad(), "")
        pin = _Pin(
            "cluster_id",
            clusters,
            hours=EVENT_HOUR if self._known() else None,
            settles=self._given.get("cluster") or SCOPE_CLUSTERS,
        )
        few = self._few_clusters()
        if few is not None:
            return self._fetch(row, limit, pin if few else self._broad(), "")
        # One of the two runs: the gate is settled before any row is read.
        gate = f"cardinality({clusters}) <= {WALKED_CLUSTERS}"
        each = self._fetch(row, limit, pin, gate)
        all_ = self._fetch(row, limit, self._broad(), f"NOT {gate}")
        return (
            f"SELECT * FROM (({each}) UNION ALL ({all_})) {self._statement.alias('w')}"
            f" ORDER BY o0 DESC, o1 DESC LIMIT {limit}"
        )

    def total(self) -> str:
        """Return the number of all rows."""
        asked = counting(self._compilation, self._tree, tie=self._tie.tie, up=self._up)
        tables = (RUNTIME_EVENT,) if self._tie.few else sources(self._compilation, asked)
        return f"({counted(self._compilation, asked, tables)})"

    # ------------------------------------------------------------ ways to walk

    def _fetch(self, row: CarriedRow, limit: str, pin: _Pin, gate: str) -> str:
        gates = [each for each in (gate, self._anything(pin)) if each]
        if not pin.values:
            if pin.hours is None:
                return self._walk(row, limit, pin, lambda _: gates)
            return self._by_hours(row, limit, pin, "", gates)
        value, page = self._statement.alias("v"), self._statement.alias("w")
        tied = f"{{e.{pin.column}}} = {value}"
        if pin.hours is not None:
            walk = self._by_hours(row, limit, pin, tied, [])
        else:
            tied += f" AND {pin.condition}" if pin.condition else ""
            walk = self._walk(row, limit, pin, lambda inner: [inner.fill(tied)])
        return (
            f"SELECT {page}.* FROM unnest({pin.values}) {value} CROSS JOIN LATERAL ({walk}) {page}"
            f"{where(gates)} ORDER BY {page}.o0 DESC, {page}.o1 DESC LIMIT {limit}"
        )

    def _by_hours(self, row: CarriedRow, limit: str, pin: _Pin, tied: str, gates: list[str]) -> str:
        hour, page = self._statement.alias("h"), self._statement.alias("w")

        def within(inner: Row) -> list[str]:
            at = inner.fill("{e.at}")
            found = [f"{at} >= {hour}.hour", f"{at} < {hour}.hour + interval '1 hour'"]
            return [inner.fill(tied), *found] if tied else found

        hours = windows(
            self._compilation,
            self._tree,
            pin.hours or EVENT_HOUR,
            tied or self._tie.tie or "",
            up=self._up,
            before=bound(self._compilation, TERMS[0], self._after, 0) if self._after else "",
        )
        # Hours come in order and do not overlap, so each is sorted by itself, until the page is full.
        return (
            f"SELECT {page}.* FROM ({hours}) {hour}"
            f" CROSS JOIN LATERAL ({self._walk(row, limit, pin, within)}) {page}{where(gates)}"
            f" ORDER BY {hour}.hour DESC, {page}.o0 DESC, {page}.o1 DESC LIMIT {limit}"
        )

    def _walk(
        self, row: CarriedRow, limit: str, pin: _Pin, tied: Callable[[Row], list[str]]
    ) -> str:
        inner = RUNTIME_EVENT.row(self._statement, self._up)
        terms = [term.fill(self._compilation, inner) for term in TERMS]
        found = [*tied(inner), *self._conditions(inner, pin.settles)]
        if self._after:
            # The first alone tells which days are left.
            found.append(f"{terms[0]} <= {bound(self._compilation, TERMS[0], self._after, 0)}")
            found.append(beyond(self._compilation, terms, TERMS, self._after, Direction.DESC))
        columns = row.columns(Row({**inner, "t": Terms(terms)}))
        columns += [f"{term} AS o{index}" for index, term in enumerate(terms)]
        order = ", ".join(f"{term} DESC" for term in terms)
        return (
            f"SELECT {', '.join(columns)} FROM {inner.fill(RUNTIME_EVENT.source)}{where(found)}"
            f" ORDER BY {order} LIMIT {limit}"
        )

    def _conditions(self, inner: Row, settled: Tree) -> list[str]:
        found = [
            condition
            for name, value in together(self._tree)
            if value is not settled
            for condition in conditions(self._compilation, inner, {name: value})
        ]
        found += self._statement.scope(
            None if settled == SCOPE_CLUSTERS else inner.fill("{e.cluster_id}"),
            None if settled == SCOPE_NAMESPACES else inner.fill("{e.namespace}"),
        )
        if self._tie.tie:
            found.append(inner.fill(self._tie.tie))
        return found

    # ------------------------------------------------------------ what pins the walk

    def _anything(self, pin: _Pin) -> str:
        """Return the condition that there is anything to walk to, where a pin may not tell soon."""
        beside = self._given.keys() & KNOWN - {pin.column}
        if self._tie.few or pin.column in NARROW_COLUMNS or not beside & FLEET_KNOWN:
            return ""
        return anything(self._compilation, self._tree)

    def _known(self) -> bool:
        """Tell whether anything beside the cluster thins out a cluster's events by the hour."""
        return self._statement.scoped_namespaces or bool(self._given.keys() & KNOWN)

    def _narrow(self) -> _Pin | None:
        """Return what few events have, by the row around or the filter."""
        given = self._given
        if "pod" in self._named:
            return self._named_by("pod", "{e.pod} <> ''")
        if "subject" in self._named:
            found = subjects(self._compilation, self._statement, given["subject"])
            return _Pin("subject_id", found, settles=given["subject"])
        if "image" in self._named:
            found = f"ARRAY({images(self._compilation, given['image'])})"
            return _Pin("image_id", found, settles=given["image"])
        return None

    def _broad(self) -> _Pin:
        """Return what many events may have."""
        given, found = self._given, self._named
        several = len(given.keys() & FLEET_KNOWN) > 1 and ("rule" in found or "rule" not in given)
        limited = self._statement.scoped or bool(given.keys() & {"namespace", "cluster"})
        ways: tuple[tuple[bool, Callable[[], _Pin]], ...] = (
            (several and not limited, lambda: _Pin(hours=FLEET_HOUR)),
            # By its statistics, Postgres knows which of the two is the rarer.
            ({"rule", "namespace"} <= found and self._single("rule", "namespace"), _Pin),
            (
                "namespace" in found,
                lambda: self._named_by("namespace", "{e.namespace} <> ''"),
            ),
            (self._statement.scoped_namespaces, self._scope_namespaces),
            ("rule" in found, lambda: self._named_by("rule")),
            (
                "rule" in given and not self._statement.scoped,
                lambda: _Pin("rule", rules(self._compilation, self._tree)),
            ),
            # Its index leaves syscall out, so the value is needed to tell that it may be used.
            ("source" in found, lambda: _Pin("source", self._values(given["source"]))),
            ("priority" in found, lambda: _by_priority(given["priority"])),
        )
        return next((make() for holds, make in ways if holds), _Pin())

    def _single(self, *names: str) -> bool:
        return all(isinstance(self._given[name].get("eq"), Given) for name in names)

    def _named_by(self, name: str, condition: str = "") -> _Pin:
        tree = self._given[name]
        tests = [test for test in tree.values() if isinstance(test, Given)]
        return _Pin(name, self._values(tree), condition, settles=tree if len(tests) == 1 else None)

    def _scope_namespaces(self) -> _Pin:
        values = self._statement.bind(read_scope_namespaces, "text[]")
        return _Pin("namespace", values, "{e.namespace} <> ''", settles=SCOPE_NAMESPACES)

    def _clusters(self) -> str:
        """Return the array of the clusters that the filter or the scope is limited to."""
        if isinstance(self._given.get("cluster"), dict):
            return cluster_filter.ids(self._compilation, self._given["cluster"])
        if self._statement.scoped_clusters:
            return self._statement.bind(read_scope_clusters, "int[]")
        return ""

    def _few_clusters(self) -> bool | None:
        """Tell whether these clusters are few; None if only the statement can tell."""
        given = self._given.get("cluster")
        if not isinstance(given, dict):
            return self._statement.few_clusters
        name = given.get("name")
        return True if isinstance(name, dict) and isinstance(name.get("eq"), Given) else None

    def _values(self, tree: Tree) -> str:
        eq, among = tree.get("eq"), tree.get("in")
        if isinstance(eq, Given):
            return f"ARRAY[{self._statement.bind(eq.read, 'text')}]"
        values = self._statement.bind(among.read, "text[]")
        alias = self._statement.alias("d")
        return f"ARRAY(SELECT DISTINCT {alias} FROM unnest({values}) {alias})"


def _by_priority(tree: Tree) -> _Pin:
    allowed = literals(priorities(tree) or (), "event_priority")
    return _Pin("priority", f"ARRAY[{allowed}]::event_priority[]", settles=tree)
