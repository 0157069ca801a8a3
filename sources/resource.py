"""Kubernetes resources known by their kind alone: their API group, and whether namespaces hold them.

Labels and some policy results name a kind without its group, and results leave the namespace out
where it is the report's. The table answers both for the kinds that Kubernetes itself has, so that
one Deployment is one subject whoever speaks of it.
"""

from sources import text
from sources.report import Ref

CLUSTER = Ref(group="", kind="Cluster", namespace="", name="cluster")  # the cluster as a whole

_NAMESPACED = {
    "": "ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate "
    "ReplicationController ResourceQuota Secret Service ServiceAccount",
    "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling": "HorizontalPodAutoscaler",
    "batch": "CronJob Job",
    "coordination.k8s.io": "Lease",
    "discovery.k8s.io": "EndpointSlice",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "policy": "PodDisruptionBudget",
    "rbac.authorization.k8s.io": "Role RoleBinding",
}
_CLUSTER_WIDE = {
    "": "Cluster Namespace Node PersistentVolume",
    "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "
    "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
    "ValidatingWebhookConfiguration",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "aquasecurity.github.io": "ClusterSbomReport",  # the owner of a cluster's own vulnerabilities
    "certificates.k8s.io": "CertificateSigningRequest",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "kyverno.io": "ClusterCleanupPolicy ClusterPolicy",
    "networking.k8s.io": "IngressClass",
    "node.k8s.io": "RuntimeClass",
    "policy": "PodSecurityPolicy",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment",
}
_GROUPS = {
    kind: group
    for table in (_NAMESPACED, _CLUSTER_WIDE)
    for group, kinds in table.items()
    for kind in kinds.split()
}
_HELD_BY_NO_NAMESPACE = frozenset(
    (group, kind) for group, kinds in _CLUSTER_WIDE.items() for kind in kinds.split()
)


def group_of(kind: str, api_version: str | None) -> str:
    """Read the group of "apps/v1"; without a version, what the kind is known for, else ""."""
    if api_version:
        return api_version.rpartition("/")[0]
    return _GROUPS.get(kind, "")


def ref(*, group: str, kind: str | None, namespace: str | None, name: str | None) -> Ref:
    """Name a resource; a kind known to be cluster-wide loses the namespace it was given."""
    clean_kind = text.clean(kind)
    held = (group, clean_kind) not in _HELD_BY_NO_NAMESPACE
    return Ref(
        group=text.clean(group),
        kind=clean_kind,
        namespace=text.clean(namespace) if held else "",
        name=text.clean(name),
    )


def namespace_or_cluster(namespace: str | None) -> Ref:
    """Return the subject of what is known to be about no smaller thing."""
    if not namespace:
        return CLUSTER
    return ref(group="", kind="Namespace", namespace="", name=namespace)
