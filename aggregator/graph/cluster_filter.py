"""Which clusters: the conditions that a ClusterFilter stands for, here and in other filters."""

from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import among, chosen, labels, text
from aggregator.graph.limits import ONLINE_WITHIN, STALE_WITHIN
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import CLUSTER

STATE = (
    "CASE WHEN {c.mode} IS NULL THEN 'NEVER_SEEN' WHEN {c.mode} = 'PUSH' THEN 'PUSHED'"
    f" WHEN {{ses.last_seen_at}} >= now() - interval '{ONLINE_WITHIN} seconds' THEN 'ONLINE'"
    f" WHEN {{ses.last_seen_at}} >= now() - interval '{STALE_WITHIN} seconds' THEN 'STALE'"
    " ELSE 'OFFLINE' END"
)


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of a ClusterFilter on a cluster's row."""
    return [
        *text(compilation, row.fill("{c.name}"), tree.get("name")),
        *labels(compilation, row.fill("{c.labels}"), tree.get("labels")),
        *among(row.fill(STATE), chosen(tree.get("state")), "text"),
    ]


def ids(compilation: Compilation, tree: dict[str, Tree]) -> str:
    """Return the array of the clusters that a ClusterFilter lets through; looked up once."""
    row = CLUSTER.row(compilation.statement)
    found = [*conditions(compilation, row, tree), *CLUSTER.scope(compilation.statement, row)]
    source = CLUSTER.source if tree.get("state") else "cluster {c}"
    return f"ARRAY(SELECT {row['c'].id} FROM {row.fill(source)}{where(found)})"


def within(compilation: Compilation, expression: str, tree: Tree) -> list[str]:
    """Return the condition that a cluster's id passes a ClusterFilter."""
    return [f"{expression} = ANY({ids(compilation, tree)})"] if isinstance(tree, dict) else []
