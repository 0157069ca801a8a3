"""Compliance: each control of a benchmark, with how many clusters pass it and where it fails.

A benchmark's reports are of one cluster each, so what is read is one entry a control and cluster.
"""

import strawberry

from aggregator.graph import cluster_filter, cursors
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import ClusterFilter, StringFilter, given, text
from aggregator.graph.mapping import One, column, lazy, mapped
from aggregator.graph.pages import (
    AFTER,
    FIRST,
    Connection,
    Pager,
    Term,
    Terms,
    beyond,
    connection,
)
from aggregator.graph.scalars import Direction, FindingStatus, Long
from aggregator.graph.selection import Selected
from aggregator.graph.statement import CarriedRow, Row, where
from aggregator.graph.tables import RULE, USAGE

_FAILING = "{e.status} IN ('FAIL', 'WARN', 'ERROR')"
# Entries that need attention and those that do not have an index each.
_ENTRIES = " UNION ALL ".join(
    "SELECT o.content_id, o.rule_id, o.status FROM finding o"
    f" WHERE o.category = 'BENCHMARK' AND o.status IN ({statuses})"
    for statuses in ("'FAIL', 'WARN', 'ERROR'", "'PASS', 'SKIP'")
)
_COUNTS = ", ".join(
    f"coalesce(sum({{u.placements}}) FILTER (WHERE {{e.status}} = '{status.name}'), 0)::bigint"
    f" AS n_{status.name.lower()}"
    for status in FindingStatus
)


@strawberry.input(description="Which controls. All that is given must hold.")
class ControlFilter:
    benchmark: StringFilter | None = given("By the benchmark: cis, nsa, eks-cis-1.4 …")
    control: StringFilter | None = given("By the whole key: cis/1.2.3 …")
    cluster: ClusterFilter | None = given("Only what is checked in these clusters.")
    failing: bool | None = given("Whether it fails in a cluster.")


@strawberry.type(
    description="A control of a benchmark, over the clusters in scope that were checked."
)
class Control:
    rule = mapped(
        One(RULE, "{r.id} = {up[g].rule_id}"), "What is checked.", returns=lazy("rule", "Rule")
    )
    benchmark: str = column("{g.benchmark}", "The benchmark that it belongs to.")
    clusters: Long = column("{g.clusters}", "How many clusters were checked.")
    failing_clusters: Long = column(
        "{g.failing}", "In how many of them a check fails, warns or ends with an error."
    )
    passed: Long = column("{g.n_pass}", "How many checks passed.")
    failed: Long = column("{g.n_fail}", "How many failed.")
    warned: Long = column("{g.n_warn}", "How many warn.")
    errors: Long = column("{g.n_error}", "How many could not be decided.")
    skipped: Long = column("{g.n_skip}", "How many were skipped or do not apply.")


@strawberry.type(description="Controls of benchmarks.")
class ControlConnection(Connection[Control]):
    pass


class _ControlPager:
    """One page of controls, by key."""

    stems = ("g",)
    terms = (Term("{g.key}", "text"), Term("{g.rule_id}", "int"))

    def __init__(
        self, compilation: Compilation, filter_: dict[str, Tree], after: cursors.After | None
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._filter = filter_
        self._after = after

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows of the page."""
        group = self._statement.row("g")
        terms = [term.fill(self._compilation, group) for term in self.terms]
        found = self._conditions(group)
        if self._after:
            found.append(beyond(self._compilation, terms, self.terms, self._after, Direction.ASC))
        columns = row.columns(Row({**group, "t": Terms(terms)})) or ["1"]
        return (
            f"SELECT {', '.join(columns)} FROM ({self._counted()}) {group['g']}{where(found)}"
            f" ORDER BY {', '.join(terms)} LIMIT {limit}"
        )

    def total(self) -> str:
        """Return the number of controls."""
        group = self._statement.row("g")
        source = f"({self._counted()}) {group['g']}"
        return f"(SELECT count(*) FROM {source}{where(self._conditions(group))})"

    def _conditions(self, group: Row) -> list[str]:
        failing = self._filter.get("failing")
        sign = ""
        if isinstance(failing, Given):
            sign = group.fill("{g.failing} > 0" if failing.value else "{g.failing} = 0")
        return [
            *text(self._compilation, group["g"].benchmark, self._filter.get("benchmark")),
            *text(self._compilation, group["g"].key, self._filter.get("control")),
            *([sign] if sign else []),
        ]

    def _counted(self) -> str:
        row = self._statement.row("e", "u", "r")
        clusters = self._filter.get("cluster")
        found = [
            row.fill("{u.placements} > 0"),
            *USAGE.scope(self._statement, row),
            *cluster_filter.within(self._compilation, row["u"].cluster_id, clusters),
        ]
        return (
            row.fill(
                "SELECT {r.id} AS rule_id, {r.key} AS key, split_part({r.key}, '/', 1) AS benchmark,"
                " count(DISTINCT {u.cluster_id}) AS clusters,"
                f" count(DISTINCT {{u.cluster_id}}) FILTER (WHERE {_FAILING}) AS failing, {_COUNTS}"
                f" FROM ({_ENTRIES}) {{e}} JOIN usage {{u}} ON {{u.content_id}} = {{e.content_id}}"
                " JOIN rule {r} ON {r.id} = {e.rule_id}"
            )
            + f"{where(found)} GROUP BY {row['r'].id}"
        )


def controls(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the connection of controls."""
    filter_ = compilation.arguments(field).get("filter") or {}

    def make(after: cursors.After | None) -> Pager:
        return _ControlPager(compilation, filter_, after)

    return connection(compilation, field, row, make, question="controls")


ARGUMENTS = (("filter", ControlFilter | None, "Which controls."), FIRST, AFTER)
