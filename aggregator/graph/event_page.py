"""How a page of runtime events is fetched: newest first, a walk through an index.

`runtime_event` is partitioned by day on `at`, so a walk by (at, id) goes from day to day and ends with
the page. A filter that names values *pins* the walk: it runs once a value through that value's index
(value, at, id), and the newest rows of the few walks are the page. So a filter that matches nothing
costs a look into each day's index. What no index serves looks at rows one by one; it is refused where
the scope, as far as the hourly counts know the filter, holds too many events.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aggregator.graph import cluster_filter, cursors
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import TOO_BROAD, GraphError
from aggregator.graph.event_filter import (
    ON_FLEET_HOURS,
    ON_HOURS,
    conditions,
    images,
    of_hours,
    priorities,
    together,
)
from aggregator.graph.filters import pins
from aggregator.graph.finding_filter import subjects
from aggregator.graph.limits import SMALL_SCOPE_EVENTS, WALKED_CLUSTERS
from aggregator.graph.pages import Pager, Term, Terms, beyond, bound, connection
from aggregator.graph.scalars import Direction
from aggregator.graph.selection import Selected
from aggregator.graph.statement import CarriedRow, Row, literals, read_scope_clusters, where
from aggregator.graph.tables import EVENT_HOUR, FLEET_HOUR, RUNTIME_EVENT

TERMS = (Term("{e.at}", "timestamptz"), Term("{e.id}", "bigint"))
NARROW = frozenset({"pod", "image", "subject"})  # whose values have few events
BROAD = "narrow `time`, or filter by pod, image or subject.name (eq or in), or by cluster"


@dataclass(frozen=True, slots=True)
class EventPage:
    """A connection of events: all in scope, or those that `tie` ties to the row around."""

    tie: str | None = None
    few: bool = False  # whether the tie leaves few

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the connection."""
        tree = compilation.arguments(field).get("filter")
        if not self.few and not row and not narrow(tree):
            outside = outside_of_index(tree)
            if outside:
                refuse_unless_small(compilation, field, tree, f"Filtering by {', '.join(outside)}")

        def make(after: cursors.After | None) -> Pager:
            return _EventPager(compilation, up=row, tie=self.tie, tree=tree, after=after)

        return connection(compilation, field, row, make, question=f"runtime_event|{self.tie}")


def narrow(tree: Tree) -> bool:
    """Tell whether a filter names what few events have."""
    for name, value in together(tree):
        tested = value.get("name") if name == "subject" else value
        if name in NARROW and pins(tested):
            return True
    return False


def outside_of_index(tree: Tree) -> list[str]:
    """Return the inputs of a filter that no index serves."""
    found = []
    for name, value in together(tree):
        served = name in ("time", "cluster", "priority") or (
            name in ("rule", "source", "namespace") and pins(value)
        )
        if not served:
            found.append(name)
    return sorted(set(found))


def refuse_unless_small(compilation: Compilation, field: Selected, tree: Tree, what: str) -> None:
    """Answer TOO_BROAD where the hourly counts know of too many events in scope."""
    names = {name for name, _ in together(tree)}
    fleet = not compilation.statement.scoped and not names & (ON_HOURS - ON_FLEET_HOURS)
    table, known = (FLEET_HOUR, ON_FLEET_HOURS) if fleet else (EVENT_HOUR, ON_HOURS)
    row = table.row(compilation.statement)
    found = [*of_hours(compilation, row, tree, known), *table.scope(compilation.statement, row)]
    compilation.refuse_where(
        f"(SELECT sum({row['e'].events}) FROM {row.fill(table.source)}{where(found)})"
        f" > {SMALL_SCOPE_EVENTS}",
        GraphError(
            TOO_BROAD,
            f"{what} looks at every event in scope, too many in a fleet of this size: {BROAD}.",
            path=field.path,
        ),
    )


class _EventPager:
    """One page of events."""

    stems = RUNTIME_EVENT.stems
    terms = TERMS

    def __init__(
        self,
        compilation: Compilation,
        *,
        up: Row,
        tie: str | None,
        tree: Tree,
        after: cursors.After | None,
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._up = up
        self._tie = tie
        self._tree = tree
        self._after = after

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows of the page."""
        pin = self._pin()
        if pin is None:
            return self._walk(row, limit, lambda _: [])
        column, values, gate = pin
        value = self._statement.alias("v")
        walk = self._walk(row, limit, lambda inner: [f"{inner['e']}.{column} = {value}"])
        page = self._statement.alias("w")
        pinned = (
            f"SELECT {page}.* FROM unnest({values}) {value} CROSS JOIN LATERAL ({walk}) {page}"
            f"{where([gate]) if gate else ''} ORDER BY {page}.o0 DESC, {page}.o1 DESC LIMIT {limit}"
        )
        if not gate:
            return pinned
        # One of the two runs: the gate is settled before any row is read.
        rest = self._walk(row, limit, lambda _: [f"NOT {gate}"])
        return (
            f"SELECT * FROM (({pinned}) UNION ALL ({rest})) {self._statement.alias('w')}"
            f" ORDER BY o0 DESC, o1 DESC LIMIT {limit}"
        )

    def total(self) -> str:
        """Return the number of all rows."""
        inner = RUNTIME_EVENT.row(self._statement, self._up)
        return (
            f"(SELECT count(*) FROM {inner.fill(RUNTIME_EVENT.source)}"
            f"{where(self._conditions(inner))})"
        )

    def _walk(self, row: CarriedRow, limit: str, pinned: Callable[[Row], list[str]]) -> str:
        inner = RUNTIME_EVENT.row(self._statement, self._up)
        terms = [term.fill(self._compilation, inner) for term in TERMS]
        found = [*pinned(inner), *self._conditions(inner)]
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

    def _conditions(self, inner: Row) -> list[str]:
        found = conditions(self._compilation, inner, self._tree)
        found += RUNTIME_EVENT.scope(self._statement, inner)
        if self._tie:
            found.append(inner.fill(self._tie))
        return found

    def _pin(self) -> tuple[str, str, str] | None:
        """Return the column that the walk is pinned by, the array of its values, and a gate."""
        if self._tie:
            return None  # the row around gives one value
        given = dict(together(self._tree))
        named = {name for name, value in given.items() if pins(value)}
        clusters = self._clusters(given)
        if "subject" in given and pins(given["subject"].get("name")):
            found = subjects(self._compilation, self._statement, given["subject"])
            return "subject_id", found, ""
        if "image" in named:
            return "image_id", f"ARRAY({images(self._compilation, given['image'])})", ""
        if clusters and not named & {"pod", "rule", "namespace"}:
            return "cluster_id", clusters, f"cardinality({clusters}) <= {WALKED_CLUSTERS}"
        for name in ("pod", "rule", "namespace", "source"):
            if name in named:
                return name, self._values(given[name]), ""
        allowed = priorities(given.get("priority"))
        return (
            ("priority", f"ARRAY[{literals(allowed, 'event_priority')}]", "") if allowed else None
        )

    def _clusters(self, given: dict[str, Tree]) -> str:
        if isinstance(given.get("cluster"), dict):
            return cluster_filter.ids(self._compilation, given["cluster"])
        if self._statement.scoped_clusters:
            return self._statement.bind(read_scope_clusters, "int[]")
        return ""

    def _values(self, tree: Tree) -> str:
        eq, among = tree.get("eq"), tree.get("in")
        if isinstance(eq, Given):
            return f"ARRAY[{self._statement.bind(eq.read, 'text')}]"
        values = self._statement.bind(among.read, "text[]")
        alias = self._statement.alias("d")
        return f"ARRAY(SELECT DISTINCT {alias} FROM unnest({values}) {alias})"
