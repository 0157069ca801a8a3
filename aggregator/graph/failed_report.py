"""Failed reports: objects that could not be read or taken in, and why."""

import strawberry

from aggregator.graph import cluster_filter
from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.mapping import One, column, lazy, mapped
from aggregator.graph.pages import Connection, Listing, Page, Term
from aggregator.graph.scalars import DateTime, Direction, Long
from aggregator.graph.statement import Row
from aggregator.graph.tables import CLUSTER, FAILED_REPORT


@strawberry.type(description="An object of a known kind that could not be read or taken in.")
class FailedReport:
    cluster = mapped(
        One(CLUSTER, "{c.id} = {up[fr].cluster_id}"),
        "Where it is.",
        returns=lazy("cluster", "Cluster"),
    )
    group: str = column("{fr.api_group}", "Its API group.")
    kind: str = column("{fr.kind}", "Its kind.")
    namespace: str | None = column("nullif({fr.namespace}, '')", "Null in cluster scope.")
    name: str = column("{fr.name}", "Its name.")
    reason: str = column("{fr.reason}", "Why.")
    bytes: Long | None = column("{fr.bytes}", "Its size, where known.")
    observed_at: DateTime = column("{fr.observed_at}", "When its agent last saw it change.")


@strawberry.type(description="Failed reports.")
class FailedReportConnection(Connection[FailedReport]):
    pass


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of a ClusterFilter on failed reports."""
    return cluster_filter.within(compilation, row.fill("{fr.cluster_id}"), tree)


FAILED_REPORTS = Listing(
    table=FAILED_REPORT,
    orders={"ID": (Term("{fr.id}", "bigint"),)},
    default=("ID", Direction.ASC),
    conditions=conditions,
)
ALL = Page(FAILED_REPORTS)
