"""Whom a report of Trivy Operator or Starboard is about, and which of the two wrote it.

Both say it in labels with a prefix of their own, and one cluster can hold reports of both: the
objects survive the move from one to the other. A name that is no legal label value stands in an
annotation, and its hash in the label. Trivy Operator never names a Deployment, only its current
ReplicaSet; the agent walks on from there. The object's own name is never parsed: it is cut and
hashed when it gets too long.
"""

from msgspec import Struct

from sources import resource, text
from sources.metadata import Metadata
from sources.report import Ref

TRIVY_OPERATOR = "trivy-operator"
STARBOARD = "starboard"

# The third is how the documentation of Trivy Operator, and what was made from it, spells the first.
_PREFIXES = {
    "trivy-operator.": TRIVY_OPERATOR,
    "starboard.": STARBOARD,
    "annotation.trivy-operator.": TRIVY_OPERATOR,
}
_INSTALLATION = (  # labels of what came with a chart, as compliance reports do
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
)


class Owner(Struct, frozen=True):
    """The subject of a report, and its container where the report is about one."""

    subject: Ref
    container: str


def owner_of(metadata: Metadata) -> Owner:
    """Read the owner from annotation and labels, else from ownerReferences.

    Where nothing is known, the subject is the namespace of the object, or the cluster.
    """
    for prefix in _PREFIXES:
        kind = metadata.label(f"{prefix}resource.kind")
        name = metadata.annotation(f"{prefix}resource.name") or metadata.label(
            f"{prefix}resource.name"
        )
        if kind and name:
            return Owner(
                subject=_labelled(metadata, prefix, kind, name), container=container_of(metadata)
            )
    return Owner(subject=_referenced(metadata), container=container_of(metadata))


def container_of(metadata: Metadata) -> str:
    """Return the container that the report is about, "" where it is about all."""
    names = (metadata.label(f"{prefix}container.name") for prefix in _PREFIXES)
    return text.clean(next(filter(None, names), ""))


def producer_of(metadata: Metadata, default: str) -> str:
    """Tell the source by the prefix of labels and annotations, else by the installation's."""
    keys = [*(metadata.labels or {}), *(metadata.annotations or {})]
    for prefix, producer in _PREFIXES.items():
        if any(key.startswith(prefix) for key in keys):
            return producer
    for label in _INSTALLATION:
        for producer in (TRIVY_OPERATOR, STARBOARD):
            if metadata.label(label).startswith(producer):
                return producer
    return default


def _labelled(metadata: Metadata, prefix: str, kind: str, name: str) -> Ref:
    key = f"{prefix}resource.namespace"  # where it is there, "" says cluster-wide
    namespace = metadata.label(key) if key in (metadata.labels or {}) else metadata.namespace
    group = resource.group_of(kind, None) or _referenced_group(metadata, kind)
    return resource.ref(group=group, kind=kind, namespace=namespace, name=name)


def _referenced_group(metadata: Metadata, kind: str) -> str:
    for reference in metadata.owner_references or ():
        if reference.kind == kind and reference.api_version:
            return resource.group_of(kind, reference.api_version)
    return ""


def _referenced(metadata: Metadata) -> Ref:
    references = [one for one in metadata.owner_references or () if one.kind and one.name]
    references.sort(key=lambda reference: not reference.controller)  # the controller first
    for reference in references:
        return resource.ref(
            group=resource.group_of(reference.kind or "", reference.api_version),
            kind=reference.kind,
            namespace=metadata.namespace,
            name=reference.name,
        )
    return resource.namespace_or_cluster(metadata.namespace)
