"""How a page of findings is fetched: a walk over entries in order, each looking up its places.

A content's entries are stored once and appear at every placement of the content. By severity, the
page is the first rows of

    entries by (severity, id)  x  the entry's places by (cluster, placement), at most a page of them

so an index gives the order and the walk ends with the page. A filter that names a rule, package,
categories, subjects or an image *pins* the walk: it runs once per value through that value's
index, and the first rows of the few walks are the page (finding_pins.py); so do limits to clusters,
namespaces or a source (finding_reach.py). The newest come from transitions (finding_recent.py).
Other orders sort everything that matches, in small scopes only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.graph import cursors, finding_recent
from aggregator.graph.compiler import Compilation
from aggregator.graph.finding_filter import (
    DENSE,
    FIRST_SEEN,
    ON_COUNTS,
    ON_USAGE,
    Conditions,
    FindingQuestion,
    on_table,
)
from aggregator.graph.finding_pins import by_outcome, categories, few, few_values
from aggregator.graph.finding_reach import Pin, Reach
from aggregator.graph.pages import Pager, Term, Terms, beyond, bound, connection, ordering
from aggregator.graph.scalars import Direction
from aggregator.graph.selection import Selected
from aggregator.graph.statement import CarriedRow, Cells, Row, where
from aggregator.graph.tables import FINDING, NAMED_PLACE, PLACE, USAGE, severity_counts

_PLACE_TERMS = (Term("{pc.cluster_id}", "int"), Term("{pc.placement_id}", "bigint"))
_ENTRY = Term("{f.id}", "bigint")
_KEY_TERMS = (_ENTRY, Term("{pc.placement_id}", "bigint"))
ORDERS = {
    "SEVERITY": (Term("{f.severity}", "severity"), _ENTRY, *_PLACE_TERMS),
    "SCORE": (Term("coalesce({f.score}, '-infinity'::real)", "real"), _ENTRY, *_PLACE_TERMS),
    "RULE": (Term("(SELECT o.key FROM rule o WHERE o.id = {f.rule_id})", "text"), *_KEY_TERMS),
    "FIRST_SEEN": (Term(FIRST_SEEN, "timestamptz"), *_KEY_TERMS),
}
NEWEST = "FIRST_SEEN DESC"
WALKED = ("SEVERITY", "SCORE")  # orders of entries that an index has
DEFAULT = ("SEVERITY", Direction.DESC)
BROAD = (
    "filter by rule, image, package (eq, in, or few by contains or startsWith), subject.name, firstSeenAt"
    " of late, or by cluster and namespace"
)


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A connection of findings: all in scope, or those that belong to a row.

    `entry` and `place` tie them to the row around; `few` says that the tie is to few contents.
    """

    entry: str | None = None
    place: str | None = None
    counts: str | None = None  # the same tie for severity_count, where it holds it
    few: bool = False  # whether the tie leaves few findings

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the connection."""
        arguments = compilation.arguments(field)
        question = FindingQuestion(arguments.get("filter"))
        order, direction = ordering(arguments.get("orderBy"), DEFAULT)
        if not row:  # below another object the rows are bounded by its page
            self._guard(compilation, field, question, f"{order} {direction.name}")

        def make(after: cursors.After | None) -> Pager:
            return _FindingPager(
                compilation,
                up=row,
                tie=self,
                question=question,
                order=order,
                direction=direction,
                after=after,
            )

        return connection(
            compilation, field, row, make, question=f"finding|{order}|{direction.name}"
        )

    def _guard(
        self, compilation: Compilation, field: Selected, question: FindingQuestion, order: str
    ) -> None:
        """Refuse what would look at every finding in scope, where there are many."""
        if self.few or question.few or _served(compilation, question, order):
            return

        def counted(counts: Row) -> list[str]:
            return question.counted(compilation, on_table("sc", counts))

        names = sorted(question.names - DENSE) or ["or", "not"]
        what = f"Filtering by {', '.join(names)}"
        if question.dense:
            what = f"Ordering by {order.replace(' ', ', ')}"
        compilation.refuse_unless_small(
            f"{what} is too broad for a fleet of this size: {BROAD}.",
            field.path,
            within=counted,
            namespaces="namespace" in question.names,
            unless=_unless(compilation, question, order),
        )


def _served(compilation: Compilation, question: FindingQuestion, order: str) -> bool:
    """Tell whether an index has the order, and whether the walk soon finds what is asked for."""
    if order == NEWEST:
        return question.lately and not compilation.statement.scoped_namespaces
    name, _ = order.split()
    return name in WALKED and question.dense and (name == "SEVERITY" or question.open)


def _unless(compilation: Compilation, question: FindingQuestion, order: str) -> list[str]:
    """Return the condition under which few findings are looked at all the same."""
    if order.split(maxsplit=1)[0] in WALKED and question.by_pattern and not question.combined:
        return few_values(compilation, question)
    if question.since and not question.by_pattern:
        return finding_recent.few_since(compilation, question)
    return []


class _FindingPager:
    """One page of findings."""

    stems = ("f", "pc", "p")

    def __init__(
        self,
        compilation: Compilation,
        *,
        up: Row,
        tie: FindingPage,
        question: FindingQuestion,
        order: str,
        direction: Direction,
        after: cursors.After | None,
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._up = up
        self._tie = tie
        self._question = question
        self._order = order
        self._direction = direction
        self._after = after
        self.terms = ORDERS[order]
        self._reach = Reach(compilation, question, tie.counts, up)

    # ------------------------------------------------------------ the rows

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows of the page."""
        source = self._source()
        if source is not None:
            return self._sorted(row, limit, *source)
        ctes, pins = self._pins()
        walks = [self._pinned(row, limit, pin) for pin in pins]
        if not walks:
            return self._walk(row, limit, Pin("", ()))
        if len(walks) == 1:
            return walks[0]
        found = self._statement.alias("w")
        union = " UNION ALL ".join(f"({walk})" for walk in walks)
        return (
            f"{ctes}SELECT * FROM ({union}) {found} ORDER BY {self._ordered(found)} LIMIT {limit}"
        )

    def _source(self) -> tuple[Row, str, list[str]] | None:
        """Return what is sorted: a row, its FROM and conditions; None where a walk finds the page."""
        question, tie = self._question, self._tie
        order = f"{self._order} {self._direction.name}"
        if order == NEWEST and question.lately and not (tie.few or tie.entry):
            return finding_recent.feed(self._compilation, question, self._up, tie.counts)
        if question.since and not (question.few or question.by_pattern or tie.few or tie.entry):
            return finding_recent.since(self._compilation, question, self._up, tie.counts)
        walked = self._order == "SEVERITY" or (
            self._order == "SCORE"
            and question.open
            and bool(question.dense or question.few or question.by_pattern or tie.few or tie.entry)
        )
        if walked:
            return None
        inner = FINDING.row(self._statement, self._up)
        return inner, inner.fill(FINDING.source), []

    def _pinned(self, row: CarriedRow, limit: str, pin: Pin) -> str:
        alias, found = self._statement.alias("v"), self._statement.alias("w")
        conditions = tuple(each.replace("{v}", alias) for each in pin.conditions)
        if pin.surely:
            return self._walk(row, limit, Pin(f"({pin.values}) {alias}", conditions), ordered=True)
        walk = self._walk(row, limit, Pin("", conditions), ordered=True)
        return (
            f"SELECT {found}.* FROM ({pin.values}) {alias} CROSS JOIN LATERAL ({walk}) {found}"
            f" ORDER BY {self._ordered(found)} LIMIT {limit}"
        )

    def _ordered(self, alias: str) -> str:
        return ", ".join(f"{alias}.o{index} {way}" for index, way in enumerate(self._ways()))

    def _ways(self) -> list[str]:
        return [self._direction.name, self._direction.name, "ASC", "ASC"]

    def _conditions(self, row: Row) -> Conditions:
        found = self._question.conditions(self._compilation, row)
        if self._tie.entry:
            found.entry.append(row.fill(self._tie.entry))
        if self._tie.place:
            found.place.append(row.fill(self._tie.place))
        found.place += FINDING.scope(self._statement, row)
        return found

    def _walk(self, row: CarriedRow, limit: str, pin: Pin, *, ordered: bool = False) -> str:
        place = self._statement.row("pc", "p")
        near = CarriedRow(self._statement.alias("pl"), ("pc", "p"))
        entry = self._statement.row("f")
        inner = Row({**entry, **place, "up": self._up})
        outer = Row({**entry, **{stem: near[stem] for stem in ("pc", "p")}})
        conditions = self._conditions(inner)
        conditions.entry += [each.replace("{f}", str(inner["f"])) for each in pin.conditions]
        if self._after:
            self._begin(inner, conditions, self._after)
        terms = [term.fill(self._compilation, outer) for term in self.terms]
        columns = row.columns(Row({**outer, "t": Terms(terms)})) or ["1"]
        if ordered:
            columns += [f"{term} AS o{index}" for index, term in enumerate(terms)]
        order = ", ".join(f"{term} {way}" for term, way in zip(terms, self._ways(), strict=True))
        places = f"CROSS JOIN LATERAL ({self._places(inner, near, conditions, limit)}) {near['pc']}"
        f, entries = inner["f"], f"finding {inner['f']}{where(conditions.entry)}"
        if pin.values:
            # Each entry has a place, so the first entries of all are enough.
            ways = zip(terms[:2], self._ways(), strict=False)
            first = f"ORDER BY {', '.join(f'{term} {way}' for term, way in ways)} LIMIT {limit} + 1"
            each = f"SELECT {f}.* FROM {entries} {first}"
            entries = (
                f"(SELECT {f}.* FROM {pin.values} CROSS JOIN LATERAL ({each}) {f} {first}) {f}"
            )
            return f"SELECT {', '.join(columns)} FROM {entries} {places} ORDER BY {order} LIMIT {limit}"
        return (
            f"SELECT {', '.join(columns)} FROM finding {f} {places}{where(conditions.entry)}"
            f" ORDER BY {order} LIMIT {limit}"
        )

    def _places(self, inner: Row, near: CarriedRow, conditions: Conditions, limit: str) -> str:
        columns = ", ".join(near.columns(inner)) or "1"
        found = [inner.fill("{pc.content_id} = {f.content_id}"), *conditions.place]
        needed = f"{inner['p']}." in f"{columns} {found}"
        source = PLACE.source if needed else "placement_content {pc}"
        if self._reach.by_namespace:
            inner = Row({**inner, **self._statement.row("u")})
            source = NAMED_PLACE.source
            found += self._reach.uses(inner, "{f.content_id}")
        return (
            f"SELECT {columns} FROM {inner.fill(source)}{where(found)}"
            f" ORDER BY {inner.fill('{pc.cluster_id}, {pc.placement_id}')} LIMIT {limit}"
        )

    def _begin(self, row: Row, conditions: Conditions, after: cursors.After) -> None:
        # The walk begins at the cursor's entry; of that entry alone, places up to the cursor's
        # are skipped. Both are index conditions.
        value, entry, cluster, placement = (
            bound(self._compilation, term, after, index) for index, term in enumerate(self.terms)
        )
        sign = "<=" if self._direction is Direction.DESC else ">="
        conditions.entry.append(
            row.fill(
                f"({self.terms[0].fill(self._compilation, row)}, {{f.id}}) {sign} ({value}, {entry})"
            )
        )
        conditions.place.append(
            row.fill("({pc.cluster_id}, {pc.placement_id}) > ")
            + row.fill(
                f"(CASE WHEN {{f.id}} = {entry} THEN {cluster} ELSE -1 END,"
                f" CASE WHEN {{f.id}} = {entry} THEN {placement} ELSE -1 END)"
            )
        )

    def _sorted(
        self, row: CarriedRow, limit: str, inner: Row, source: str, found: Sequence[str]
    ) -> str:
        terms = [term.fill(self._compilation, inner) for term in self.terms]
        if self._order == "FIRST_SEEN":
            terms[0] = inner.get("seen") or terms[0]
        conditions = [*found, *self._conditions(inner).every]
        if self._after:
            conditions.append(self._beyond(terms, self._after))
        columns = row.columns(Row({**inner, "t": Terms(terms)})) or ["1"]
        ways = self._ways() if self._order in WALKED else [self._direction.name] * len(terms)
        order = ", ".join(f"{term} {way}" for term, way in zip(terms, ways, strict=True))
        return f"SELECT {', '.join(columns)} FROM {source}{where(conditions)} ORDER BY {order} LIMIT {limit}"

    def _beyond(self, terms: list[str], after: cursors.After) -> str:
        if self._order not in WALKED:
            return beyond(self._compilation, terms, self.terms, after, self._direction)
        # Entries one way, their places the other.
        bounds = [
            bound(self._compilation, term, after, index) for index, term in enumerate(self.terms)
        ]
        sign = "<" if self._direction is Direction.DESC else ">"
        entry, at = f"({terms[0]}, {terms[1]})", f"({bounds[0]}, {bounds[1]})"
        place, place_at = f"({terms[2]}, {terms[3]})", f"({bounds[2]}, {bounds[3]})"
        return f"({entry} {sign} {at} OR ({entry} = {at} AND {place} > {place_at}))"

    # ------------------------------------------------------------ what narrows the walk

    def _pins(self) -> tuple[str, list[Pin]]:
        """Return what the walk is pinned by; where by several, the first rows of all are the page."""
        question = self._question
        if self._tie.entry or not question.current:
            return "", []  # the row around gives one value
        contents = self._contents if self._tie.few or question.by_contents else None
        pin = few(self._compilation, question, contents)
        if pin is not None:
            return "", [pin]
        if self._order != "SEVERITY":  # its index knows no categories
            return self._reach.contents(self._placed) if question.dense else ("", [])
        ctes, pins = "", categories(self._statement, question.categories)
        if self._reach.limited and question.current:
            ctes, pins = self._reach.pins(self._placed if question.dense else None)
        return ctes, by_outcome(self._statement, question, pins)

    def _placed(self, content: Cells) -> str:
        """Return the condition that a content has a place that is asked about."""
        inner = Row({**self._statement.row("f", "pc", "p"), "up": self._up})
        conditions = Conditions(place=self._conditions(inner).place)
        near = CarriedRow(self._statement.alias("pl"), ("pc", "p"))
        places = self._places(Row({**inner, "f": content}), near, conditions, "1")
        return f"(SELECT true FROM ({places}) {near['pc']})"  # a scalar: looked up for each

    def _contents(self) -> str:
        inner = Row({**self._statement.row("f", "pc", "p"), "up": self._up})
        place = self._conditions(inner).place
        alone = [each for each in place if f"{inner['f']}." not in each]
        return f"SELECT DISTINCT {inner['pc'].content_id} FROM {inner.fill(PLACE.source)}{where(alone)}"

    # ------------------------------------------------------------ how many

    def occurrences(self) -> str:
        """Return the template for how many of the asked reports carry a finding."""
        return self._question.occurrences()

    def total(self) -> str:
        """Return the number of all rows: of a rollup where one knows, else by counting."""
        question, statement = self._question, self._statement
        if (
            question.default_states
            and question.names <= ON_COUNTS
            and (self._tie.counts or not (self._tie.entry or self._tie.place))
        ):
            table = severity_counts(statement, namespaces="namespace" in question.names)
            counts = table.row(statement, self._up)
            row = on_table("sc", counts)
            found = question.conditions(self._compilation, row, counters=False).every
            found += table.scope(statement, counts)
            if self._tie.counts:
                found.append(counts.fill(self._tie.counts))
            return (
                f"(SELECT coalesce(sum({counts['sc'].findings}), 0)::bigint"
                f" FROM {counts.fill(table.source)}{where(found)})"
            )
        if question.default_states and question.names <= ON_USAGE and not self._tie.place:
            uses = Row({**statement.row("f", "u"), "up": self._up})
            row = on_table("u", uses, entry="f")
            found = question.conditions(self._compilation, row, counters=False).every
            found += USAGE.scope(statement, uses)
            if self._tie.entry:
                found.append(uses.fill(self._tie.entry))
            return (
                f"(SELECT coalesce(sum({uses['u'].placements}), 0)::bigint FROM finding {uses['f']}"
                f" JOIN usage {uses['u']} ON {uses.fill('{u.content_id} = {f.content_id}')}"
                f"{where(found)})"
            )
        inner = FINDING.row(statement, self._up)
        found = self._conditions(inner).every
        return f"(SELECT count(*) FROM {inner.fill(FINDING.source)}{where(found)})"
