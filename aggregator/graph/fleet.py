"""The fleet: counts over all clusters in scope, or over those that a filter lets through."""

import strawberry

from aggregator.graph import cluster_filter
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import among
from aggregator.graph.mapping import Computed, mapped
from aggregator.graph.scalars import ClusterState, Long
from aggregator.graph.selection import Selected
from aggregator.graph.severities import CATEGORY, SeverityCounts, rollup
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import CLUSTER, IMAGE_USAGE, REPORT, SEVERITY_COUNT, SUBJECT, Table

# The kinds that run pods of themselves; others count where an inventory counts their pods.
WORKLOADS = (
    "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController",
    "Job", "CronJob", "Pod",
)  # fmt: skip
_KINDS = ", ".join(f"'{kind}'" for kind in WORKLOADS)


def fleet(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the fleet, knowing its filter."""
    tree = compilation.arguments(field).get("filter")
    return compilation.object(field, Row({**row, "fleet": tree}))


def _found(compilation: Compilation, up: Row, table: Table, row: Row) -> list[str]:
    cluster = row.fill(table.cluster or "")
    return [
        *cluster_filter.within(compilation, cluster, up["fleet"]),
        *table.scope(compilation.statement, row),
    ]


def _count(table: Table, value: str, condition: str = "") -> Computed:
    def make(compilation: Compilation, row: Row, field: Selected) -> str:
        del field
        inner = table.row(compilation.statement)
        found = _found(compilation, row, table, inner)
        if condition:
            found.append(inner.fill(condition))
        return f"(SELECT {inner.fill(value)} FROM {inner.fill(table.source)}{where(found)})"

    return Computed(make)


def _clusters(compilation: Compilation, row: Row, field: Selected) -> str:
    inner = CLUSTER.row(compilation.statement)
    state = compilation.arguments(field).get("state")
    found = [
        *cluster_filter.conditions(compilation, inner, row["fleet"] or {}),
        *among(inner.fill(cluster_filter.STATE), [state.value] if state else None, "text"),
        *CLUSTER.scope(compilation.statement, inner),
    ]
    return f"(SELECT count(*) FROM {inner.fill(CLUSTER.source)}{where(found)})"


def _severities(compilation: Compilation, row: Row, field: Selected) -> str:
    inner = SEVERITY_COUNT.row(compilation.statement)
    return rollup(compilation, inner, field, _found(compilation, row, SEVERITY_COUNT, inner))


@strawberry.type(description="The clusters in scope, in numbers.")
class Fleet:
    clusters: Long = mapped(
        Computed(_clusters),
        "How many clusters there are.",
        ("state", ClusterState | None, "Only clusters in this state."),
    )
    severities: SeverityCounts = mapped(
        Computed(_severities), "Their findings by severity.", CATEGORY
    )
    reports: Long = mapped(_count(REPORT, "count(*)"), "How many reports they hold.")
    images: Long = mapped(
        _count(IMAGE_USAGE, "count(DISTINCT {iu.image_id})"), "How many images they use."
    )
    workloads: Long = mapped(
        _count(SUBJECT, "count(*)", f"({{s.kind}} IN ({_KINDS}) OR {{s.pods}} IS NOT NULL)"),
        "How many workloads they have.",
    )
