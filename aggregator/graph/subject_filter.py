"""Which subjects: the input, and the conditions it stands for."""

import strawberry

from aggregator.graph import cluster_filter
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import ClusterFilter, LabelFilter, StringFilter, given, labels, text
from aggregator.graph.statement import Row


@strawberry.input(description="Which subjects. All that is given must hold.")
class SubjectFilter:
    kind: StringFilter | None = given("By the kind: Deployment, Node …")
    namespace: StringFilter | None = given("By the namespace.")
    name: StringFilter | None = given("By the name.")
    labels: list[LabelFilter] | None = given("By the labels; all must hold.")
    cluster: ClusterFilter | None = given("By the cluster.")
    scanned: bool | None = given("Whether a live or absent report is about it.")


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of a SubjectFilter on a subject's row."""
    found = [
        *text(compilation, row.fill("{s.kind}"), tree.get("kind")),
        *text(compilation, row.fill("{s.namespace}"), tree.get("namespace")),
        *text(compilation, row.fill("{s.name}"), tree.get("name")),
        *labels(compilation, row.fill("{s.labels}"), tree.get("labels")),
        *cluster_filter.within(compilation, row.fill("{s.cluster_id}"), tree.get("cluster")),
    ]
    scanned = tree.get("scanned")
    if isinstance(scanned, Given):
        found.append(("" if scanned.value else "NOT ") + row.fill("{s.scanned}"))
    return found
