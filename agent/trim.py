"""The few fields that are read of pods, workloads, namespaces and nodes; the rest is never decoded.

Environment values, annotations such as last-applied-configuration, and managedFields have no field
here, so they cannot leave the cluster. Of kinds that `WATCHED` marks as metadata only, the server
does not even send them.
"""

from typing import Any

import msgspec
from msgspec import Struct

from agent.images import running
from protocol.messages import Image, Node, Object

WORKLOAD_GROUPS = {
    "Pod": "",
    "ReplicationController": "",
    "ReplicaSet": "apps",
    "Deployment": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
}

# Put on pods by their controllers: they differ from pod to pod or from rollout to rollout.
POD_LABEL_NOISE = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "pod-template-generation",
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "statefulset.kubernetes.io/pod-name",
    }
)

Labels = tuple[tuple[str, str], ...]  # sorted; dicts are made when they are sent


class _OwnerReference(Struct, frozen=True):
    apiVersion: str = ""  # noqa: N815 - as on the wire
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class _Annotations(Struct, frozen=True):
    revision: str | None = msgspec.field(default=None, name="deployment.kubernetes.io/revision")


class _Metadata(Struct, frozen=True):
    name: str
    namespace: str | None = None
    labels: dict[str, str] | None = None
    creationTimestamp: str | None = None  # noqa: N815 - as on the wire
    ownerReferences: list[_OwnerReference] | None = None  # noqa: N815 - as on the wire
    annotations: _Annotations | None = None

    def controller(self) -> Object | None:
        """Who controls it. A mirror pod is controlled by its Node, which is no workload."""
        for owner in self.ownerReferences or ():
            if (
                owner.controller
                and owner.kind
                and (owner.kind != "Node" or "/" in owner.apiVersion)
            ):
                group = owner.apiVersion.rpartition("/")[0]
                return Object(group, owner.kind, self.namespace or "", owner.name)
        return None

    def trimmed_labels(self, noise: frozenset[str] = POD_LABEL_NOISE) -> Labels:
        """Labels in order, without noise."""
        return tuple(sorted((k, v) for k, v in (self.labels or {}).items() if k not in noise))


class _Container(Struct, frozen=True):
    name: str
    image: str | None = None


class _PodSpec(Struct, frozen=True):
    serviceAccountName: str | None = None  # noqa: N815 - as on the wire
    containers: list[_Container] | None = None
    initContainers: list[_Container] | None = None  # noqa: N815 - as on the wire
    ephemeralContainers: list[_Container] | None = None  # noqa: N815 - as on the wire


class _ContainerStatus(Struct, frozen=True):
    name: str
    image: str | None = None
    imageID: str | None = None  # noqa: N815 - as on the wire


class _PodStatus(Struct, frozen=True):
    phase: str | None = None
    containerStatuses: list[_ContainerStatus] | None = None  # noqa: N815 - as on the wire
    initContainerStatuses: list[_ContainerStatus] | None = None  # noqa: N815 - as on the wire
    ephemeralContainerStatuses: list[_ContainerStatus] | None = None  # noqa: N815 - as on the wire


class _Pod(Struct, frozen=True):
    metadata: _Metadata
    spec: _PodSpec | None = None
    status: _PodStatus | None = None


class _Template(Struct, frozen=True):
    spec: _PodSpec | None = None


class _JobSpec(Struct, frozen=True):
    template: _Template | None = None


class _JobTemplate(Struct, frozen=True):
    spec: _JobSpec | None = None


class _WorkloadSpec(Struct, frozen=True):
    template: _Template | None = None
    jobTemplate: _JobTemplate | None = None  # noqa: N815 - as on the wire

    def pod(self) -> _PodSpec | None:
        job = self.jobTemplate.spec if self.jobTemplate else None
        template = self.template or (job.template if job else None)
        return template.spec if template else None


class _Workload(Struct, frozen=True):
    metadata: _Metadata
    spec: _WorkloadSpec | None = None


class _NodeInfo(Struct, frozen=True):
    kubeletVersion: str = ""  # noqa: N815 - as on the wire
    osImage: str = ""  # noqa: N815 - as on the wire
    architecture: str = ""
    containerRuntimeVersion: str = ""  # noqa: N815 - as on the wire


class _NodeStatus(Struct, frozen=True):
    nodeInfo: _NodeInfo | None = None  # noqa: N815 - as on the wire


class _Node(Struct, frozen=True):
    metadata: _Metadata
    status: _NodeStatus | None = None


class Pod(Struct, frozen=True, gc=False):
    """A pod at rest. `images` are (container, image) in the order of their names."""

    owner: Object | None
    active: bool  # neither Succeeded nor Failed
    service_account: str
    labels: Labels
    images: tuple[tuple[str, Image], ...]


class Controller(Struct, frozen=True, gc=False):
    """A workload or something between it and its pods. `age` orders ReplicaSets of one owner."""

    owner: Object | None
    service_account: str
    labels: Labels
    age: tuple[int, str]  # revision, creation time


def pod(raw: Any) -> Pod:
    """Trim a pod."""
    found = msgspec.json.decode(raw, type=_Pod)
    spec, status = found.spec or _PodSpec(), found.status or _PodStatus()
    asked = {
        container.name: container.image or ""
        for group in (spec.containers, spec.initContainers, spec.ephemeralContainers)
        for container in group or ()
    }
    reported = {
        container.name: container
        for group in (
            status.containerStatuses,
            status.initContainerStatuses,
            status.ephemeralContainerStatuses,
        )
        for container in group or ()
    }
    images = []
    for name in sorted(asked.keys() | reported.keys()):
        one = reported.get(name)
        image_id, image = (one.imageID or "", one.image or "") if one else ("", "")
        images.append((name, running(asked.get(name, ""), image_id, image)))
    return Pod(
        found.metadata.controller(),
        status.phase not in ("Succeeded", "Failed"),
        spec.serviceAccountName or "",
        found.metadata.trimmed_labels(),
        tuple(images),
    )


def controller(raw: Any) -> Controller:
    """Trim a workload, a ReplicaSet or a Job."""
    found = msgspec.json.decode(raw, type=_Workload)
    pod_spec = found.spec.pod() if found.spec else None
    revision = (found.metadata.annotations and found.metadata.annotations.revision) or ""
    return Controller(
        found.metadata.controller(),
        (pod_spec.serviceAccountName or "") if pod_spec else "",
        found.metadata.trimmed_labels(),
        (int(revision) if revision.isdecimal() else 0, found.metadata.creationTimestamp or ""),
    )


def namespace_labels(raw: Any) -> dict[str, str]:
    """Read the labels of a namespace."""
    return dict(msgspec.json.decode(raw, type=_Workload).metadata.trimmed_labels(frozenset()))


def node(raw: Any) -> Node:
    """Trim a node."""
    found = msgspec.json.decode(raw, type=_Node)
    info = (found.status and found.status.nodeInfo) or _NodeInfo()
    labels = dict(found.metadata.trimmed_labels(frozenset()))
    return Node(
        labels, info.kubeletVersion, info.osImage, info.architecture, info.containerRuntimeVersion
    )
