"""Reports: the objects that clusters hold, as they stand now."""

import strawberry

from aggregator.graph import cluster_filter
from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import ClusterFilter, StringFilter, among, chosen, given, text
from aggregator.graph.mapping import Computed, One, column, lazy, mapped
from aggregator.graph.node import REPORT_ID, Node
from aggregator.graph.pages import Connection, Listing, Page, Term
from aggregator.graph.scalars import (
    DateTime,
    Direction,
    FindingStatus,
    Json,
    ReportState,
    Severity,
)
from aggregator.graph.selection import Selected
from aggregator.graph.severities import OPEN, SeverityCounts, StatusCounts, counts
from aggregator.graph.splices import content
from aggregator.graph.statement import Row
from aggregator.graph.tables import CLUSTER, IMAGE, REPORT, REPORT_GROUP, REPORT_KIND, SUBJECT


@strawberry.input(description="Which reports. All that is given must hold.")
class ReportFilter:
    cluster: ClusterFilter | None = given("By the cluster.")
    source: StringFilter | None = given("By what produced it: trivy-operator, kyverno …")
    kind: StringFilter | None = given("By the kind: VulnerabilityReport …")
    namespace: StringFilter | None = given("By its namespace.")
    name: StringFilter | None = given("By its name.")
    state: list[ReportState] | None = given("By its state.")


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of a ReportFilter."""
    return [
        *cluster_filter.within(compilation, row.fill("{rp.cluster_id}"), tree.get("cluster")),
        *text(compilation, row.fill("{p.source}"), tree.get("source")),
        *text(compilation, row.fill(REPORT_KIND), tree.get("kind")),
        *text(compilation, row.fill("{rp.namespace}"), tree.get("namespace")),
        *text(compilation, row.fill("{rp.name}"), tree.get("name")),
        *among(row.fill("{rp.state}"), chosen(tree.get("state")), "report_state"),
    ]


def _counts(by: type[Severity] | type[FindingStatus], more: str) -> Computed:
    def make(compilation: Compilation, row: Row, field: Selected) -> str:
        alias = compilation.statement.alias("cc")
        tail = f" FROM content_count {alias} WHERE {alias}.content_id = " + row.fill(
            "{rp.content_id}"
        )
        if more:
            tail += f" AND {alias}.status IN ({more})"
        return counts(compilation, field, alias, tail, by=by)

    return Computed(make)


@strawberry.type(description="One report of a cluster, or its share for one subject and source.")
class Report(Node):
    id: strawberry.ID = column(REPORT_ID, "Opaque and stable.")
    cluster = mapped(
        One(CLUSTER, "{c.id} = {up[rp].cluster_id}"),
        "Where it is.",
        returns=lazy("cluster", "Cluster"),
    )
    source: str = column("{p.source}", "What produced it: trivy-operator, kyverno …")
    group: str = column(REPORT_GROUP, "Its API group.")
    kind: str = column(REPORT_KIND, "Its kind: VulnerabilityReport …")
    namespace: str | None = column("nullif({rp.namespace}, '')", "Null in cluster scope.")
    name: str = column("{rp.name}", "Its name.")
    state: ReportState = column("{rp.state}", "Whether it stands, is superseded or gone.")
    subject = mapped(
        One(SUBJECT, "{s.id} = {up[p].subject_id}"),
        "What it is about.",
        returns=lazy("subject", "Subject"),
    )
    container: str | None = column("nullif({p.container}, '')", "The container, where it has one.")
    image = mapped(
        One(IMAGE, "{i.id} = {up[rp].image_id}"),
        "The image, where it has one.",
        returns=lazy("image", "Image") | None,
    )
    scanner: str | None = column("{rp.scanner}", "The scanner that wrote it.")
    scanner_version: str | None = column("{rp.scanner_version}", "The scanner's version.")
    reported_at: DateTime | None = column("{rp.reported_at}", "The time that it names itself.")
    observed_at: DateTime = column("{rp.observed_at}", "When its agent last saw it change.")
    severities: SeverityCounts = mapped(
        _counts(Severity, OPEN), "Its results that need attention, by severity."
    )
    statuses: StatusCounts = mapped(_counts(FindingStatus, ""), "Its results by outcome.")
    content: Json = mapped(
        Computed(content), "What it says, in canonical form: without times, uids and references."
    )


@strawberry.type(description="Reports.")
class ReportConnection(Connection[Report]):
    pass


REPORTS = Listing(
    table=REPORT,
    orders={"ID": (Term("{rp.cluster_id}", "int"), Term("{rp.key}", "uuid"))},
    default=("ID", Direction.ASC),
    conditions=conditions,
)
ALL = Page(REPORTS)
FILTER = ("filter", ReportFilter | None, "Which reports.")
