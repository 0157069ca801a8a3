"""Kinds that the fake API server can serve: the core ones, and those of report CRDs."""

from dataclasses import dataclass

from sources import registry


@dataclass(frozen=True)
class ResourceType:
    """A kind as a server has it."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    namespaced: bool = True


PODS = ResourceType("", ("v1",), "pods", "Pod")
REPLICA_SETS = ResourceType("apps", ("v1",), "replicasets", "ReplicaSet")
DEPLOYMENTS = ResourceType("apps", ("v1",), "deployments", "Deployment")
STATEFUL_SETS = ResourceType("apps", ("v1",), "statefulsets", "StatefulSet")
DAEMON_SETS = ResourceType("apps", ("v1",), "daemonsets", "DaemonSet")
JOBS = ResourceType("batch", ("v1",), "jobs", "Job")
CRON_JOBS = ResourceType("batch", ("v1",), "cronjobs", "CronJob")
REPLICATION_CONTROLLERS = ResourceType(
    "", ("v1",), "replicationcontrollers", "ReplicationController"
)
NAMESPACES = ResourceType("", ("v1",), "namespaces", "Namespace", namespaced=False)
NODES = ResourceType("", ("v1",), "nodes", "Node", namespaced=False)

BUILT_IN = (
    PODS,
    REPLICA_SETS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    REPLICATION_CONTROLLERS,
    NAMESPACES,
    NODES,
)

VULNERABILITY_REPORTS = ResourceType(
    "aquasecurity.github.io", ("v1alpha1",), "vulnerabilityreports", "VulnerabilityReport"
)
CONFIG_AUDIT_REPORTS = ResourceType(
    "aquasecurity.github.io", ("v1alpha1",), "configauditreports", "ConfigAuditReport"
)
POLICY_REPORTS = ResourceType(
    "wgpolicyk8s.io", ("v1alpha2", "v1beta1"), "policyreports", "PolicyReport"
)
OPEN_REPORTS = ResourceType("openreports.io", ("v1alpha1",), "reports", "Report")


def report_kinds() -> tuple[ResourceType, ...]:
    """Every kind that some source reads, in all its versions."""
    return tuple(
        ResourceType(kind.group, kind.versions, kind.plural, kind.kind, kind.namespaced)
        for kind, _ in registry.kinds().values()
    )
