"""Clusters: what they are, how fresh their data is, what they hold."""

from enum import Enum

import strawberry

from aggregator.graph.cluster_filter import STATE, conditions
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import ClusterFilter, order_direction
from aggregator.graph.finding_arguments import FINDING_ARGUMENTS
from aggregator.graph.mapping import Computed, Later, Many, column, lazy, listed, mapped
from aggregator.graph.node import Node, identity
from aggregator.graph.pages import AFTER, FIRST, Connection, Listing, Page, Term
from aggregator.graph.scalars import ClusterState, DateTime, Direction, Json, KindState, Long
from aggregator.graph.selection import Selected
from aggregator.graph.severities import CATEGORY, NAMESPACE, OPEN, SeverityCounts, rollup
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import (
    CLUSTER,
    EVENT_GAP,
    FAILED_REPORT,
    IMAGE_USAGE,
    KIND,
    REPORT,
    SEVERITY_COUNT,
    USAGE,
    severity_counts,
)

MAX_GAPS = 50  # gaps shown of a cluster unless asked otherwise
MAX_KINDS = 200  # kinds of reports shown of a cluster


def _critical(compilation: Compilation, row: Row) -> str:
    table = severity_counts(compilation.statement, namespaces=False)
    inner = table.row(compilation.statement, row)
    found = [
        inner.fill("{sc.cluster_id} = {up[c].id} AND {sc.severity} = 'CRITICAL'"),
        inner.fill(f"{{sc.status}} IN ({OPEN})"),
        *table.scope(compilation.statement, inner),
    ]
    return (
        f"(SELECT coalesce(sum({inner['sc'].findings}), 0)::bigint"
        f" FROM {inner.fill(table.source)}{where(found)})"
    )


@strawberry.enum(description="What clusters are ordered by.")
class ClusterOrderField(Enum):
    NAME = "NAME"
    LAST_SEEN = "LAST_SEEN"
    CRITICAL = "CRITICAL"


@strawberry.input(description="The order of clusters.")
class ClusterOrder:
    field: ClusterOrderField = strawberry.field(description="By what.")
    direction: Direction | None = order_direction(Direction.ASC)


_LAST_SEEN = Term("coalesce({ses.last_seen_at}, '-infinity')", "timestamptz")
_ID = Term("{c.id}", "int")
CLUSTERS = Listing(
    table=CLUSTER,
    orders={
        "NAME": (Term("{c.name}", "text"),),
        "LAST_SEEN": (_LAST_SEEN, _ID),
        "CRITICAL": (Term(_critical, "bigint"), _ID),
    },
    default=("NAME", Direction.ASC),
    conditions=conditions,
)


@strawberry.type(description="What is known of one kind of report in a cluster.")
class ClusterKind:
    group: str = column("split_part({k.kind}, '/', 1)", "The API group.")
    kind: str = column("split_part({k.kind}, '/', 2)", "The kind.")
    state: KindState = column("{k.state}", "Whether it could be listed and is watched.")
    reports: Long = mapped(
        Computed(lambda c, row, _: _held(c, row, "{k.entries}", "count(*)")),
        "How many reports of this kind are held.",
    )
    newest_report_at: DateTime | None = mapped(
        Computed(lambda c, row, _: _held(c, row, "{k.newest_report_at}", "max({rp.reported_at})")),
        "The newest time that a report of this kind names.",
    )
    scanner: str | None = column("{k.scanner}", "The scanner that wrote them, with its version.")


def _held(compilation: Compilation, row: Row, kept: str, value: str) -> str:
    """Return what is kept of all reports of a kind; of some namespaces' alone, the same of these."""
    if not compilation.statement.scoped_namespaces:
        return row.fill(kept)
    inner = REPORT.row(compilation.statement, row)
    found = [
        inner.fill("{rp.cluster_id} = {up[k].cluster_id}"),
        inner.fill(
            "{rp.kind_id} = (SELECT o.id FROM report_kind o"
            " WHERE o.api_group || '/' || o.kind = {up[k].kind})"
        ),
        *REPORT.scope(compilation.statement, inner),
    ]
    return f"(SELECT {inner.fill(value)} FROM {inner.fill(REPORT.source)}{where(found)})"


def _severities(compilation: Compilation, row: Row, field: Selected) -> str:
    inner = SEVERITY_COUNT.row(compilation.statement, row)
    found = [
        inner.fill("{sc.cluster_id} = {up[c].id}"),
        *SEVERITY_COUNT.scope(compilation.statement, inner),
    ]
    return rollup(compilation, inner, field, found)


def _failed(compilation: Compilation, row: Row, field: Selected) -> str:
    del field
    inner = FAILED_REPORT.row(compilation.statement, row)
    found = [
        inner.fill("{fr.cluster_id} = {up[c].id}"),
        *FAILED_REPORT.scope(compilation.statement, inner),
    ]
    return f"(SELECT count(*) FROM {inner.fill(FAILED_REPORT.source)}{where(found)})"


@strawberry.type(description="One Kubernetes cluster of the fleet.")
class Cluster(Node):
    id: strawberry.ID = column(identity("Cluster", "{c.id}"), "Opaque and stable.")
    name: str = column("{c.name}", "Its name, unique in the fleet.")
    labels: Json = column("{c.labels}", "Its labels: an object of strings.")
    uid: str | None = column(
        "{c.uid}", "The UID of its kube-system namespace; null for a pushed cluster."
    )
    kubernetes_version: str | None = column("{c.kubernetes_version}", "What its API server runs.")
    agent_version: str | None = column("{c.agent_version}", "What its agent runs.")
    state: ClusterState = column(STATE, "How fresh its data is.")
    last_seen_at: DateTime | None = column(
        "{ses.last_seen_at}", "When its agent was last heard of."
    )
    last_full_sync_at: DateTime | None = column(
        "{ses.last_full_sync_at}", "When all its kinds were last known to be equal to the cluster."
    )
    clock_skew_ms: int | None = column(
        "{ses.clock_skew_ms}", "How far its clock is ahead, in milliseconds."
    )
    events_waiting: Long | None = column(
        "{ses.spool_events}",
        "How many runtime events waited in its agent's spool when it was last heard of; null where it"
        " never said.",
    )
    oldest_event_waiting_at: DateTime | None = column(
        "{ses.spool_oldest_at}", "When the first of those was received; null where none waited."
    )
    kinds: list[ClusterKind] = mapped(
        Many(
            KIND,
            "{k.cluster_id} = {up[c].id} AND {k.kind} NOT LIKE 'inventory/%'",
            "{k.kind}",
            MAX_KINDS,
        ),
        "The kinds of reports that its agent watches, and whether it may.",
    )
    severities: SeverityCounts = mapped(
        Computed(_severities), "Its findings by severity.", CATEGORY, NAMESPACE
    )
    findings = mapped(
        Later("finding", "OF_CLUSTER"),
        "Its findings.",
        *FINDING_ARGUMENTS,
        returns=lazy("finding", "FindingConnection"),
    )
    subjects = mapped(
        Later("subject", "OF_CLUSTER"),
        "What its reports are about.",
        ("filter", lazy("subject", "SubjectFilter") | None, "Which subjects."),
        FIRST,
        AFTER,
        returns=lazy("subject", "SubjectConnection"),
    )
    images = mapped(
        Later("image", "OF_CLUSTER"),
        "The images that run in it or that its reports name.",
        ("filter", lazy("image", "ImageFilter") | None, "Which images."),
        FIRST,
        AFTER,
        returns=lazy("image", "ImageConnection"),
    )
    runtime_events = mapped(
        Later("event", "OF_CLUSTER"),
        "What its runtime sensors saw, newest first.",
        ("filter", lazy("event_filter", "RuntimeEventFilter") | None, "Which events."),
        FIRST,
        AFTER,
        returns=lazy("event", "RuntimeEventConnection"),
    )
    event_gaps = mapped(
        Many(
            EVENT_GAP, "{g.cluster_id} = {up[c].id}", "{g.recorded_at} DESC, {g.id} DESC", MAX_GAPS
        ),
        "Runtime events that are known to be missing, the latest news first.",
        ("first", int | None, "How many at most.", MAX_GAPS),
        returns=listed("event", "EventGap"),
    )
    failed_reports: Long = mapped(
        Computed(_failed), "How many of its reports could not be read or taken in."
    )


@strawberry.type(description="Clusters.")
class ClusterConnection(Connection[Cluster]):
    pass


def _of_rule(compilation: Compilation, row: Row) -> list[str]:
    inner = Row({**compilation.statement.row("f", "u"), "up": row["up"]})
    found = [
        inner.fill("{f.rule_id} = {up[r].id}"),
        inner.fill(f"{{f.status}} IN ({OPEN}) AND {{u.placements}} > 0"),
        *USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill("finding {f} JOIN usage {u} ON {u.content_id} = {f.content_id}")
    return [
        row.fill("{c.id}") + f" IN (SELECT {inner['u'].cluster_id} FROM {source}{where(found)})"
    ]


def _of_image(compilation: Compilation, row: Row) -> list[str]:
    inner = IMAGE_USAGE.row(compilation.statement, row["up"])
    found = [
        inner.fill("{iu.image_id} = {up[i].id}"),
        *IMAGE_USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill(IMAGE_USAGE.source)
    return [
        row.fill("{c.id}") + f" IN (SELECT {inner['iu'].cluster_id} FROM {source}{where(found)})"
    ]


def _of_package(compilation: Compilation, row: Row) -> list[str]:
    inner = Row({**compilation.statement.row("cp", "u"), "up": row["up"]})
    found = [
        inner.fill("{cp.package_id} = {up[pk].id} AND {u.placements} > 0"),
        *USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill("content_package {cp} JOIN usage {u} ON {u.content_id} = {cp.content_id}")
    return [
        row.fill("{c.id}") + f" IN (SELECT {inner['u'].cluster_id} FROM {source}{where(found)})"
    ]


def by_name(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the cluster with a name."""
    inner = CLUSTER.row(compilation.statement, row)
    name = compilation.statement.bind(compilation.arguments(field)["name"].read, "text")
    found = [f"{inner['c'].name} = {name}", *CLUSTER.scope(compilation.statement, inner)]
    tail = f" FROM {inner.fill(CLUSTER.source)}{where(found)}"
    return f"({compilation.object_from(field, inner, tail)})"


ALL = Page(CLUSTERS)
OF_RULE = Page(CLUSTERS, _of_rule)
OF_IMAGE = Page(CLUSTERS, _of_image)
OF_PACKAGE = Page(CLUSTERS, _of_package)
FILTER = ("filter", ClusterFilter | None, "Which clusters.")
ORDER = ("order_by", ClusterOrder | None, "In which order; by name if not given.")
