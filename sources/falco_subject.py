"""What a Falco event is about: a pod's container and its image, or what an API request names."""

from typing import Any

from msgspec import Struct

from sources import image
from sources.report import ImageRef, Ref

DEEPEST = 16  # levels of a name
LONGEST_NAME = 100  # characters of what is nested; nothing that is looked for is longer

_NAMESPACE = (
    "k8s.ns.name",
    "k8smeta.ns.name",
    "k8smeta.pod.ns.name",
    "k8smeta.pod.namespace",
    "ka.target.namespace",
)
_POD = ("k8s.pod.name", "k8smeta.pod.name")
_AUDITED_POD = ("ka.target.pod.name", "ka.target.name", "ka.resp.name")
_AUDITED = ("ka.target.name", "ka.resp.name")
_DOCKER_PARTS = 6  # k8s_<container>_<pod>_<namespace>_<uid>_<attempt>
_SANDBOX = "POD"  # the container that holds a pod's namespaces

_RBAC = "rbac.authorization.k8s.io"
_NETWORKING = "networking.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_NAMESPACED = {
    "bindings": ("", "Binding"),
    "configmaps": ("", "ConfigMap"),
    "cronjobs": ("batch", "CronJob"),
    "daemonsets": ("apps", "DaemonSet"),
    "deployments": ("apps", "Deployment"),
    "endpoints": ("", "Endpoints"),
    "endpointslices": ("discovery.k8s.io", "EndpointSlice"),
    "horizontalpodautoscalers": ("autoscaling", "HorizontalPodAutoscaler"),
    "ingresses": (_NETWORKING, "Ingress"),
    "jobs": ("batch", "Job"),
    "leases": ("coordination.k8s.io", "Lease"),
    "limitranges": ("", "LimitRange"),
    "networkpolicies": (_NETWORKING, "NetworkPolicy"),
    "persistentvolumeclaims": ("", "PersistentVolumeClaim"),
    "poddisruptionbudgets": ("policy", "PodDisruptionBudget"),
    "podtemplates": ("", "PodTemplate"),
    "replicasets": ("apps", "ReplicaSet"),
    "replicationcontrollers": ("", "ReplicationController"),
    "resourcequotas": ("", "ResourceQuota"),
    "rolebindings": (_RBAC, "RoleBinding"),
    "roles": (_RBAC, "Role"),
    "secrets": ("", "Secret"),
    "serviceaccounts": ("", "ServiceAccount"),
    "services": ("", "Service"),
    "statefulsets": ("apps", "StatefulSet"),
}
_CLUSTER_SCOPED = {
    "certificatesigningrequests": ("certificates.k8s.io", "CertificateSigningRequest"),
    "clusterrolebindings": (_RBAC, "ClusterRoleBinding"),
    "clusterroles": (_RBAC, "ClusterRole"),
    "customresourcedefinitions": ("apiextensions.k8s.io", "CustomResourceDefinition"),
    "ingressclasses": (_NETWORKING, "IngressClass"),
    "mutatingwebhookconfigurations": (_ADMISSION, "MutatingWebhookConfiguration"),
    "namespaces": ("", "Namespace"),
    "nodes": ("", "Node"),
    "persistentvolumes": ("", "PersistentVolume"),
    "priorityclasses": ("scheduling.k8s.io", "PriorityClass"),
    "runtimeclasses": ("node.k8s.io", "RuntimeClass"),
    "storageclasses": ("storage.k8s.io", "StorageClass"),
    "validatingwebhookconfigurations": (_ADMISSION, "ValidatingWebhookConfiguration"),
}


class About(Struct, frozen=True):
    """What an event is about; "" and None stand for what it does not say."""

    namespace: str
    pod: str
    container: str
    subject: Ref | None
    image: ImageRef | None


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields under their dotted names, nested by a log pipeline or not; flat ones win.

    Fields of which none is nested are returned as they are.
    """
    if dict not in set(map(type, fields.values())):
        return fields
    nested: dict[str, Any] = {}
    for key, value in fields.items():
        if type(value) is dict and len(key) < LONGEST_NAME:
            _flatten(value, f"{key}.", nested, 1)
    known = {key: value for key, value in fields.items() if value is not None}
    return {**fields, **nested, **known}


def about(look: dict[str, Any]) -> About:
    """Find out what an event with these dotted fields is about."""
    namespace, pod = _first(look, _NAMESPACE), _first(look, _POD)
    subject = None
    if resource := _text(look, "ka.target.resource"):
        if resource == "pods" or resource.startswith("pods/"):
            pod = pod or _first(look, _AUDITED_POD)
        else:
            subject = _subject(look, resource, namespace)
    elif not pod:
        pod = _text(look, "ka.target.pod.name")
    container, image_of = _text(look, "container.name"), None
    if _text(look, "container.id") == "host" or (container == "host" and not pod):
        return About(namespace, pod, "", subject, None)
    if container.startswith("k8s_") and container.count("_") >= _DOCKER_PARTS - 1:
        _, container, its_pod, its_namespace, *_ = container.split("_")
        pod, namespace = pod or its_pod, namespace or its_namespace
        container = "" if container == _SANDBOX else container
    image_of = _image(look)
    return About(namespace, pod, container, subject, image_of)


def _text(look: dict[str, Any], name: str) -> str:
    value = look.get(name)
    return value if type(value) is str and value != "<NA>" else ""


def _first(look: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = look.get(name)
        if value and type(value) is str and value != "<NA>":
            return value
    return ""


def _flatten(value: dict[str, Any], prefix: str, flattened: dict[str, Any], depth: int) -> None:
    for key, one in value.items():
        if type(one) is not dict:
            flattened[f"{prefix}{key}"] = one
        elif depth < DEEPEST and len(prefix) + len(key) < LONGEST_NAME:
            _flatten(one, f"{prefix}{key}.", flattened, depth + 1)


def _subject(look: dict[str, Any], resource: str, namespace: str) -> Ref | None:
    name = _first(look, _AUDITED)
    if not name:
        return None
    if known := _NAMESPACED.get(resource):
        return Ref(group=known[0], kind=known[1], namespace=namespace, name=name)
    if known := _CLUSTER_SCOPED.get(resource):
        return Ref(group=known[0], kind=known[1], namespace="", name=name)
    return None


def _image(look: dict[str, Any]) -> ImageRef | None:
    repository = _text(look, "container.image.repository")
    tag, digest = _text(look, "container.image.tag"), _text(look, "container.image.digest")
    if not repository:
        repository = _text(look, "container.image")
        if not repository or repository.startswith("sha256:"):
            return None
        repository, _, named = repository.partition("@")
        digest = digest or named
        path, _, last = repository.rpartition("/")
        last, _, its_tag = last.partition(":")
        repository, tag = f"{path}/{last}" if path else last, tag or its_tag
    return image.named(repository, tag, digest)
