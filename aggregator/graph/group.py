"""Groups of findings: the same findings counted by dimensions (from what: group_sources.py).

Groups that look at every finding in scope are refused where there are many, unless the filter pins
a rule, package, image or subject.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import cast

import strawberry

from aggregator.graph import cursors, taken
from aggregator.graph.arguments import Given
from aggregator.graph.compiler import Compilation
from aggregator.graph.dimensions import DIMENSIONS, Dimension, FindingDimension
from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.finding_filter import FindingQuestion, on_table
from aggregator.graph.finding_page import BROAD
from aggregator.graph.group_sources import COUNTED, Source, Sources
from aggregator.graph.limits import EXACT_SUBJECTS_REPORTS, MAX_DIMENSIONS
from aggregator.graph.mapping import Column, Computed, Mapping, One, column, lazy, mapped
from aggregator.graph.pages import (
    AFTER,
    Connection,
    OpenPage,
    Pager,
    Term,
    Terms,
    beyond,
    connection,
)
from aggregator.graph.scalars import (
    CountRelation,
    DateTime,
    Direction,
    FindingCategory,
    FindingStatus,
    Long,
    Severity,
)
from aggregator.graph.selection import Selected
from aggregator.graph.statement import CarriedRow, Row, where
from aggregator.graph.tables import CLUSTER, IMAGE, RULE, SUBJECT, USAGE

DEFAULT_FIRST = 100
LABELS = ("CLUSTER_LABEL", "SUBJECT_LABEL")  # what `labelKey` is a label of


@strawberry.enum(description="What groups are ordered by: how many findings, or their key.")
class GroupOrder(Enum):
    COUNT_DESC = "COUNT_DESC"
    COUNT_ASC = "COUNT_ASC"
    KEY_ASC = "KEY_ASC"
    KEY_DESC = "KEY_DESC"


class GroupPager:
    """One page of groups."""

    stems = ("g",)

    def __init__(
        self,
        compilation: Compilation,
        *,
        question: FindingQuestion,
        by: Sequence[Dimension],
        label: str,
        order: GroupOrder,
        after: cursors.After | None,
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._question = question
        self._label = label
        self._after = after
        self._direction = Direction.DESC if order.name.endswith("DESC") else Direction.ASC
        self.by = by
        self.names = [dimension.name for dimension in by]
        self.sources = Sources(compilation, question, self.names)
        keys = [Term(each.sort.format(d=f"{{g.d{n}}}"), "text") for n, each in enumerate(by)]
        unique = [
            Term(f"coalesce({{g.d{n}}}::{each.type}, {each.empty})", each.type)
            for n, each in enumerate(by)
        ]
        count = Term("{g.findings}", "bigint")
        first = [count] if order.name.startswith("COUNT") else keys
        self.terms: tuple[Term, ...] = (*first, *unique)

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the groups of the page."""
        group = self._statement.row("g")
        terms = [term.fill(self._compilation, group) for term in self.terms]
        columns = row.columns(Row({**group, "t": Terms(terms)})) or ["1"]
        sums = {column for table, column in row.carried if table == "g"} | {"findings"}
        conditions = []
        if self._after:
            conditions.append(
                beyond(self._compilation, terms, self.terms, self._after, self._direction)
            )
        order = ", ".join(f"{term} {self._direction.name}" for term in terms)
        return (
            f"SELECT {', '.join(columns)} FROM ({self._groups(sums)}) {group['g']}{where(conditions)}"
            f" ORDER BY {order} LIMIT {limit}"
        )

    def total(self) -> str:
        """Return the number of groups."""
        return f"(SELECT count(*) FROM ({self._groups(set())}) {self._statement.alias('g')})"

    def _dimensions(self, row: Row) -> list[str]:
        return [row.fill(each.sql.replace("$label", self._label)) for each in self.by]

    def _groups(self, sums: set[str]) -> str:
        return " UNION ALL ".join(self._grouped(each, sums) for each in self.sources.all())

    def _grouped(self, source: Source, sums: set[str]) -> str:
        dimensions = self._dimensions(source.row)
        columns = [f"{expression} AS d{n}" for n, expression in enumerate(dimensions)]
        counted = {
            "findings": f"coalesce(sum({source.findings}), 0)::bigint AS findings",
            "occurrences": f"coalesce(sum({source.occurrences}), 0)::bigint AS occurrences",
            "clusters": f"{source.clusters} AS clusters",
        }
        columns += [sql for name, sql in counted.items() if name in sums]
        numbers = ", ".join(str(n + 1) for n in range(len(dimensions)))
        return f"SELECT {', '.join(columns)}{source.tail} GROUP BY {numbers}"

    def taken(self) -> str:
        """Return when the counts were taken, null where that is now."""
        if self.sources.known or self.sources.stats is None:
            return "NULL::timestamptz"
        return taken.at(self._statement)

    def subjects(self, page: OpenPage, row: Row) -> tuple[str, str]:
        """Return how many subjects a group has, and whether that is exact."""
        name = f"{page.name}_subjects"
        if not any(cte.startswith(name) for cte in page.ctes):
            inner, tail = self.sources.places()
            columns = [f"{sql} AS d{n}" for n, sql in enumerate(self._dimensions(inner))]
            numbers = ", ".join(str(n + 1) for n in range(len(columns)))
            columns.append(inner.fill("count(DISTINCT {p.subject_id}) AS subjects"))
            page.ctes.append(
                f"{name} AS MATERIALIZED (SELECT {', '.join(columns)}{tail} GROUP BY {numbers})"
            )
        uses = USAGE.row(self._statement)
        exact = (
            f"(SELECT coalesce(sum({uses['u'].reports}), 0) FROM {uses.fill(USAGE.source)}"
            f"{where(USAGE.scope(self._statement, uses))}) <= {EXACT_SUBJECTS_REPORTS}"
        )
        alias = self._statement.alias("s")
        same = [
            f"{alias}.d{n} IS NOT DISTINCT FROM {getattr(row['g'], f'd{n}')}"
            for n in range(len(self.by))
        ]
        known = f"(SELECT {alias}.subjects FROM {name} {alias}{where(same)})"
        # Where it cannot be exact: a cluster with a finding has a subject with it.
        return f"CASE WHEN {exact} THEN {known} ELSE {row['g'].clusters} END", exact


def groups(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the connection of groups."""
    arguments = compilation.arguments(field)
    question = FindingQuestion(arguments.get("filter"))
    by = [DIMENSIONS[each.name] for each in dict.fromkeys(arguments["by"].value)]
    if not 1 <= len(by) <= MAX_DIMENSIONS:
        raise GraphError(BAD_INPUT, f"`by` must name 1 to {MAX_DIMENSIONS} dimensions.")
    key = arguments.get("labelKey")
    label = "NULL"
    labelled = [each.name for each in by if each.name in LABELS]
    if len(labelled) > 1:
        raise GraphError(BAD_INPUT, f"`by` may name one of {' and '.join(LABELS)}.")
    if labelled:
        if not isinstance(key, Given):
            raise GraphError(BAD_INPUT, f"`by: {labelled[0]}` needs `labelKey`: which label.")
        label = compilation.statement.bind(key.read, "text")
    order = arguments.get("orderBy")
    chosen: GroupOrder = order.value if isinstance(order, Given) else GroupOrder.COUNT_DESC
    _guard(compilation, field, question, [each.name for each in by])

    def make(after: cursors.After | None) -> Pager:
        return GroupPager(
            compilation, question=question, by=by, label=label, order=chosen, after=after
        )

    asked = f"group|{chosen.name}|{','.join(each.name for each in by)}"
    more = [key] if isinstance(key, Given) else []
    return connection(
        compilation, field, row, make, question=asked, default=DEFAULT_FIRST, more=more
    )


def _guard(
    compilation: Compilation, field: Selected, question: FindingQuestion, by: Sequence[str]
) -> None:
    sources = Sources(compilation, question, by)
    if sources.known or question.few:
        return
    if sources.stats is not None:
        taken.refuse_until_taken(compilation, field.path, BROAD)
        return
    compilation.refuse_unless_small(
        "These groups look at every finding in scope, too many in a fleet of this size: group"
        f" by {', '.join(sorted(COUNTED))}, by RULE, PACKAGE or IMAGE with CATEGORY, SEVERITY and"
        f" STATUS, or {BROAD}.",
        field.path,
        within=lambda counts: question.counted(compilation, on_table("sc", counts)),
        namespaces="namespace" in question.names,
        unless=[sources.few] if sources.used or sources.placed else [],
    )


# ---------------------------------------------------------------- the fields of a group


def _pager(row: Row) -> GroupPager:
    page: OpenPage = row["page"]
    return cast("GroupPager", page.pager)


def _dimension(name: str, made: Callable[[str], Mapping]) -> Computed:
    """Return the mapping of a field that is null unless the groups are by its dimension."""

    def make(compilation: Compilation, row: Row, field: Selected) -> str:
        names = _pager(row).names
        if name not in names:
            return "NULL"
        return made(f"g.d{names.index(name)}").compile(compilation, row, field)

    return Computed(make)


def _plain(name: str) -> Computed:
    return _dimension(name, lambda cell: Column(f"{{{cell}}}"))


def _label(compilation: Compilation, row: Row, field: Selected) -> str:
    name = next((each for each in _pager(row).names if each in LABELS), LABELS[0])
    return _plain(name).compile(compilation, row, field)


def _text(name: str) -> Computed:
    return _dimension(name, lambda cell: Column(f"nullif({{{cell}}}, '')"))


def _object(name: str, table: object, key: str) -> Computed:
    def made(cell: str) -> Mapping:
        _, column_name = cell.split(".")
        return One(table, f"{key} = {{up[g].{column_name}}}")  # type: ignore[arg-type]

    return _dimension(name, made)


@strawberry.type(description="How many there are.")
class Count:
    value: Long = column("{n.value}", "The number, or the least that it can be.")
    relation: CountRelation = column("{n.relation}", "Whether it is exact.")


def _subjects(compilation: Compilation, row: Row, field: Selected) -> str:
    value, exact = _pager(row).subjects(row["page"], row)
    inner = compilation.statement.row("n")
    tail = (
        f" FROM (SELECT {value} AS value,"
        f" CASE WHEN {exact} THEN 'EXACT' ELSE 'AT_LEAST' END AS relation) {inner['n']}"
    )
    return f"({compilation.object_from(field, inner, tail)})"


@strawberry.type(
    description="Findings with the same value in each dimension; other dimensions are null."
)
class FindingGroup:
    cluster = mapped(
        _object("CLUSTER", CLUSTER, "{c.id}"),
        "By CLUSTER.",
        returns=lazy("cluster", "Cluster") | None,
    )
    label: str | None = mapped(
        Computed(_label), "By CLUSTER_LABEL or SUBJECT_LABEL: the value of the label `labelKey`."
    )
    namespace: str | None = mapped(_text("NAMESPACE"), "By NAMESPACE; null in cluster scope.")
    category: FindingCategory | None = mapped(_plain("CATEGORY"), "By CATEGORY.")
    source: str | None = mapped(_plain("SOURCE"), "By SOURCE.")
    severity: Severity | None = mapped(_plain("SEVERITY"), "By SEVERITY.")
    status: FindingStatus | None = mapped(_plain("STATUS"), "By STATUS.")
    rule = mapped(_object("RULE", RULE, "{r.id}"), "By RULE.", returns=lazy("rule", "Rule") | None)
    image = mapped(
        _object("IMAGE", IMAGE, "{i.id}"),
        "By IMAGE; null for findings without one.",
        returns=lazy("image", "Image") | None,
    )
    package: str | None = mapped(_plain("PACKAGE"), "By PACKAGE: its name.")
    subject = mapped(
        _object("SUBJECT", SUBJECT, "{s.id}"),
        "By SUBJECT.",
        returns=lazy("subject", "Subject") | None,
    )
    subject_kind: str | None = mapped(_plain("SUBJECT_KIND"), "By SUBJECT_KIND.")
    container: str | None = mapped(_text("CONTAINER"), "By CONTAINER.")
    findings: Long = column("{g.findings}", "How many findings.")
    occurrences: Long = column("{g.occurrences}", "How many reports carry them, each counted.")
    clusters: Long = column("{g.clusters}", "In how many clusters.")
    subjects: Count = mapped(Computed(_subjects), "Of how many subjects.")


def _taken(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    return _pager(row).taken()


@strawberry.type(description="Groups of findings.")
class FindingGroupConnection(Connection[FindingGroup]):
    as_of: DateTime | None = mapped(
        Computed(_taken),
        "When these were counted, where it was not now: in a large fleet, groups by RULE, PACKAGE and"
        " IMAGE are some minutes old at most.",
    )


BY = ("by", list[FindingDimension], "What to group by, one to four.")
LABEL_KEY = ("label_key", str | None, "Which label, for CLUSTER_LABEL and SUBJECT_LABEL.")
ORDER = ("order_by", GroupOrder | None, "In which order; the largest first if not given.")
FIRST = ("first", int | None, "How many groups at most.", DEFAULT_FIRST)
PAGE = (ORDER, FIRST, AFTER)
