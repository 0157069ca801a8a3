"""How a page of findings is fetched: a walk over entries in order, each looking up its places.

A content's entries are stored once and appear at every placement of the content. By severity, the
page is the first rows of

    entries by (severity, id)  x  the entry's places by (cluster, placement), at most a page of them

so an index gives the order and the walk ends with the page. A filter that names a rule, package,
categories, subjects or an image *pins* the walk: it runs once per value through that value's
index, and the first rows of the few walks are the page. Where the caller or the filter is limited
to clusters, severity_count tells which severities there are at all, so that the walk does not
look for what nobody has. Other orders sort everything that matches, in small scopes only.
"""

from dataclasses import dataclass

from aggregator.graph import cursors
from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import chosen, pins, text
from aggregator.graph.finding_filter import (
    DENSE,
    FIRST_SEEN,
    ON_COUNTS,
    ON_USAGE,
    Conditions,
    FindingQuestion,
    on_table,
)
from aggregator.graph.pages import Pager, Term, Terms, beyond, bound, connection, ordering
from aggregator.graph.scalars import Direction, FindingCategory
from aggregator.graph.selection import Selected
from aggregator.graph.statement import CarriedRow, Row, literals, where
from aggregator.graph.tables import FINDING, PLACE, USAGE, severity_counts

_PLACE_TERMS = (Term("{pc.cluster_id}", "int"), Term("{pc.placement_id}", "bigint"))
_ENTRY_TERMS = (Term("{f.severity}", "severity"), Term("{f.id}", "bigint"))
_KEY_TERMS = (Term("{f.id}", "bigint"), Term("{pc.placement_id}", "bigint"))
ORDERS = {
    "SEVERITY": (*_ENTRY_TERMS, *_PLACE_TERMS),
    "RULE": (Term("(SELECT o.key FROM rule o WHERE o.id = {f.rule_id})", "text"), *_KEY_TERMS),
    "FIRST_SEEN": (Term(FIRST_SEEN, "timestamptz"), *_KEY_TERMS),
    "SCORE": (Term("coalesce({f.score}, '-infinity')", "real"), *_KEY_TERMS),
}
DEFAULT = ("SEVERITY", Direction.DESC)
BROAD = "filter by rule, image, package (eq or in), subject.name, or by cluster and namespace"


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A connection of findings: all in scope, or those that belong to a row.

    `entry` and `place` tie them to the row around; `pin` says that the tie is to few contents.
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
        narrow = self.few or pinned(question)
        if order != "SEVERITY" and not narrow:
            self._guard(compilation, row, field, question, f"Ordering by {order} is")
        elif not narrow and (
            question.combined or not question.names <= DENSE or not question.current
        ):
            names = sorted(question.names - DENSE) or ["or", "not"]
            self._guard(compilation, row, field, question, f"Filtering by {', '.join(names)} is")

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
        self,
        compilation: Compilation,
        row: Row,
        field: Selected,
        question: FindingQuestion,
        what: str,
    ) -> None:
        if row:  # below another object: the rows that it brings are bounded by its page
            return

        def counted(counts: Row) -> list[str]:
            return question.counted(compilation, on_table("sc", counts))

        compilation.refuse_unless_small(
            f"{what} too broad for a fleet of this size: {BROAD}.",
            field.path,
            within=counted,
            namespaces="namespace" in question.names,
        )


def pinned(question: FindingQuestion) -> bool:
    """Tell whether a filter names what few findings have."""
    return (
        question.pinned("rule")
        or question.pinned("package")
        or question.pinned("image")
        or question.pinned("subject", "name")
        or (question.pinned("cluster", "name") and question.pinned("namespace"))
    )


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

    # ------------------------------------------------------------ the rows

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows of the page."""
        if self._order != "SEVERITY":
            return self._sorted(row, limit)
        pin = self._pin()
        if pin is None:
            return self._walk(row, limit, [])
        column, values = pin
        alias = self._statement.alias("v")
        found = self._statement.alias("w")
        walk = self._walk(row, limit, [f"{{f}}.{column} = {alias}.{column}"], ordered=True)
        terms = ", ".join(f"{found}.o{index} {way}" for index, way in enumerate(self._ways()))
        return (
            f"SELECT {found}.* FROM ({values}) {alias} CROSS JOIN LATERAL ({walk}) {found}"
            f" ORDER BY {terms} LIMIT {limit}"
        )

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

    def _walk(
        self, row: CarriedRow, limit: str, pinned: list[str], *, ordered: bool = False
    ) -> str:
        place = self._statement.row("pc", "p")
        near = CarriedRow(self._statement.alias("pl"), ("pc", "p"))
        entry = self._statement.row("f")
        inner = Row({**entry, **place, "up": self._up})
        outer = Row({**entry, **{stem: near[stem] for stem in ("pc", "p")}})
        conditions = self._conditions(inner)
        conditions.entry += [inner.fill(each) for each in pinned]
        conditions.entry += self._severities(inner)
        if self._after:
            self._begin(inner, conditions, self._after)
        terms = [term.fill(self._compilation, outer) for term in self.terms]
        columns = row.columns(Row({**outer, "t": Terms(terms)})) or ["1"]
        if ordered:
            columns += [f"{term} AS o{index}" for index, term in enumerate(terms)]
        order = ", ".join(f"{term} {way}" for term, way in zip(terms, self._ways(), strict=True))
        return (
            f"SELECT {', '.join(columns)} FROM finding {inner['f']}"
            f" CROSS JOIN LATERAL ({self._places(inner, near, conditions, limit)}) {near['pc']}"
            f"{where(conditions.entry)} ORDER BY {order} LIMIT {limit}"
        )

    def _places(self, inner: Row, near: CarriedRow, conditions: Conditions, limit: str) -> str:
        columns = ", ".join(near.columns(inner))
        found = [inner.fill("{pc.content_id} = {f.content_id}"), *conditions.place]
        needed = f"{inner['p']}." in f"{columns} {found}"
        source = PLACE.source if needed else "placement_content {pc}"
        return (
            f"SELECT {columns} FROM {inner.fill(source)}{where(found)}"
            f" ORDER BY {inner.fill('{pc.cluster_id}, {pc.placement_id}')} LIMIT {limit}"
        )

    def _begin(self, row: Row, conditions: Conditions, after: cursors.After) -> None:
        # The walk begins at the cursor's entry; of that entry alone, places up to the cursor's
        # are skipped. Both are index conditions.
        severity, entry, cluster, placement = (
            bound(self._compilation, term, after, index) for index, term in enumerate(self.terms)
        )
        sign = "<=" if self._direction is Direction.DESC else ">="
        conditions.entry.append(
            row.fill(f"({{f.severity}}, {{f.id}}) {sign} ({severity}, {entry})")
        )
        conditions.place.append(
            row.fill("({pc.cluster_id}, {pc.placement_id}) > ")
            + row.fill(
                f"(CASE WHEN {{f.id}} = {entry} THEN {cluster} ELSE -1 END,"
                f" CASE WHEN {{f.id}} = {entry} THEN {placement} ELSE -1 END)"
            )
        )

    def _sorted(self, row: CarriedRow, limit: str) -> str:
        inner = FINDING.row(self._statement, self._up)
        terms = [term.fill(self._compilation, inner) for term in self.terms]
        conditions = self._conditions(inner).every
        if self._after:
            conditions.append(
                beyond(self._compilation, terms, self.terms, self._after, self._direction)
            )
        columns = row.columns(Row({**inner, "t": Terms(terms)})) or ["1"]
        order = ", ".join(f"{term} {self._direction.name}" for term in terms)
        return (
            f"SELECT {', '.join(columns)} FROM {inner.fill(FINDING.source)}{where(conditions)}"
            f" ORDER BY {order} LIMIT {limit}"
        )

    # ------------------------------------------------------------ what narrows the walk

    def _pin(self) -> tuple[str, str] | None:
        """Return the column that the walk is pinned by and the query for its values."""
        question = self._question
        given = {
            name: value
            for name, value in question.together()
            if name not in {"rule", "package"} or pins(value)
        }
        if self._tie.entry:
            return None  # the row around gives one value
        if question.pinned("rule"):
            return self._rules(given["rule"])
        if self._tie.few or question.pinned("image") or question.pinned("subject", "name"):
            return self._contents()
        if question.pinned("package"):
            return self._packages(given["package"])
        if question.pinned("cluster", "name") and question.pinned("namespace"):
            return self._contents()
        return self._categories(chosen(given.get("category")))

    def _rules(self, tree: Tree) -> tuple[str, str]:
        alias = self._statement.alias("r")
        found = text(self._compilation, f"{alias}.key", tree)
        return "rule_id", f"SELECT {alias}.id AS rule_id FROM rule {alias}{where(found)}"

    def _packages(self, tree: Tree) -> tuple[str, str]:
        alias = self._statement.alias("n")
        eq = tree.get("eq")
        if eq is not None:
            return "package", f"SELECT {self._statement.bind(eq.read, 'text')} AS package"
        values = self._statement.bind(tree["in"].read, "text[]")
        return "package", f"SELECT DISTINCT {alias} AS package FROM unnest({values}) {alias}"

    def _categories(self, members: list[FindingCategory] | None) -> tuple[str, str] | None:
        if members is None or len(members) <= 1:
            return None  # one category is an index condition
        alias = self._statement.alias("n")
        every = literals(members, "finding_category")
        return "category", f"SELECT {alias} AS category FROM unnest(ARRAY[{every}]) {alias}"

    def _contents(self) -> tuple[str, str]:
        inner = Row({**self._statement.row("f", "pc", "p"), "up": self._up})
        place = self._conditions(inner).place
        alone = [each for each in place if f"{inner['f']}." not in each]
        return "content_id", (
            f"SELECT DISTINCT {inner['pc'].content_id} FROM {inner.fill(PLACE.source)}{where(alone)}"
        )

    def _severities(self, row: Row) -> list[str]:
        question = self._question
        places = {"cluster", "namespace", "source"} & question.names
        limited = self._tie.counts or self._statement.scoped or places
        if not limited or not question.current or pinned(question) or self._tie.few:
            return []
        table = severity_counts(self._statement, namespaces="namespace" in question.names)
        counts = table.row(self._statement, self._up)
        alias = self._statement.alias("l")
        found = [
            f"{counts['sc'].severity} = {alias}",
            *question.counted(self._compilation, on_table("sc", counts)),
            *table.scope(self._statement, counts),
        ]
        if self._tie.counts:
            found.append(counts.fill(self._tie.counts))
        return [
            (
                f"{row['f'].severity} = ANY(ARRAY(SELECT {alias} FROM unnest(enum_range(NULL::severity))"
                f" {alias} WHERE EXISTS (SELECT FROM {counts.fill(table.source)}{where(found)})))"
            )
        ]

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
