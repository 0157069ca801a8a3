"""The rights that the agent needs: get, list and watch on exactly what it reads.

The chart's ClusterRole is made from this, so that a new source never lacks its right.
"""

from typing import Any

from agent.workloads import WATCHED
from sources import registry

VERBS = ("get", "list", "watch")


def rules() -> list[dict[str, Any]]:
    """Return the rules of a ClusterRole, one an API group, in order."""
    plurals: dict[str, set[str]] = {}
    for watched in WATCHED:
        plurals.setdefault(watched.resource.group, set()).add(watched.resource.plural)
    for kind, _ in registry.kinds().values():
        plurals.setdefault(kind.group, set()).add(kind.plural)
    return [
        {"apiGroups": [group], "resources": sorted(plurals[group]), "verbs": list(VERBS)}
        for group in sorted(plurals)
    ]


def cluster_role(name: str) -> dict[str, Any]:
    """Return the ClusterRole as a manifest."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules(),
    }
