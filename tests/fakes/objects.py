"""Objects as clusters hold them, with as much in them as the tests need; and noise to trim."""

from typing import Any

NOISE = {"kubectl.kubernetes.io/last-applied-configuration": '{"env":"hunter2"}'}
DIGEST = "sha256:" + "b" * 64
IMAGE_ID = "sha256:" + "c" * 64


def owner(kind: str, name: str, *, api_version: str = "apps/v1") -> list[dict[str, Any]]:
    """Owner references with one controller."""
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "1"}
    return [
        other,
        {"apiVersion": api_version, "kind": kind, "name": name, "uid": "2", "controller": True},
    ]


def pod(
    name: str,
    *,
    namespace: str = "default",
    owners: list[dict[str, Any]] | None = None,
    image: str = "nginx:1.25",
    image_id: str | None = f"docker.io/library/nginx@{DIGEST}",
    container: str = "nginx",
    phase: str = "Running",
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A pod of one container; `image_id` None is one that has not started."""
    statuses = [] if image_id is None else [{"name": container, "imageID": image_id}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": "nginx", "pod-template-hash": "abc"} if labels is None else labels,
            "annotations": NOISE,
            "ownerReferences": owners or [],
        },
        "spec": {
            "serviceAccountName": "web",
            "containers": [
                {"name": container, "image": image, "env": [{"name": "P", "value": "hunter2"}]}
            ],
        },
        "status": {"phase": phase, "containerStatuses": statuses},
    }


def replica_set(
    name: str,
    *,
    namespace: str = "default",
    owners: list[dict[str, Any]] | None = None,
    revision: int = 1,
) -> dict[str, Any]:
    """A ReplicaSet, by default of the Deployment "nginx"."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": "nginx", "pod-template-hash": name},
            "annotations": {**NOISE, "deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": owner("Deployment", "nginx") if owners is None else owners,
        },
        "spec": {"replicas": 1},
    }


def workload(
    kind: str,
    name: str,
    *,
    api_version: str = "apps/v1",
    namespace: str = "default",
    owners: list[dict[str, Any]] | None = None,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A Deployment, StatefulSet, CronJob and so on."""
    template = {"spec": {"serviceAccountName": "web", "containers": [{"name": "nginx"}]}}
    spec = (
        {"jobTemplate": {"spec": {"template": template}}}
        if kind == "CronJob"
        else {"template": template}
    )
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels or {},
            "annotations": NOISE,
            "ownerReferences": owners or [],
        },
        "spec": spec,
    }


def node(name: str) -> dict[str, Any]:
    """A node."""
    info = {
        "kubeletVersion": "v1.36.0",
        "osImage": "Debian GNU/Linux 12",
        "architecture": "amd64",
        "containerRuntimeVersion": "containerd://2.1.0",
        "bootID": "not read",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"zone": "a"}, "annotations": NOISE},
        "status": {"nodeInfo": info},
    }


def vulnerability_report(
    name: str,
    *,
    namespace: str = "default",
    subject: tuple[str, str] = ("ReplicaSet", "nginx-1"),
    container: str = "nginx",
    repository: str = "library/nginx",
    tag: str = "1.25",
    digest: str = IMAGE_ID,
    rules: tuple[str, ...] = ("CVE-2026-0001",),
    updated: str = "2026-01-01T00:00:00Z",
) -> dict[str, Any]:
    """A VulnerabilityReport of Trivy Operator."""
    kind, of = subject
    return {
        "apiVersion": "aquasecurity.github.io/v1alpha1",
        "kind": "VulnerabilityReport",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                "trivy-operator.container.name": container,
                "trivy-operator.resource.kind": kind,
                "trivy-operator.resource.name": of,
                "trivy-operator.resource.namespace": namespace,
            },
        },
        "report": {
            "artifact": {"repository": repository, "tag": tag, "digest": digest},
            "registry": {"server": "index.docker.io"},
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.68.1"},
            "os": {"family": "debian", "name": "12.5"},
            "summary": {
                "criticalCount": 0,
                "highCount": len(rules),
                "lowCount": 0,
                "mediumCount": 0,
                "unknownCount": 0,
            },
            "updateTimestamp": updated,
            "vulnerabilities": [
                {
                    "vulnerabilityID": rule,
                    "resource": "openssl",
                    "installedVersion": "3.0.1",
                    "fixedVersion": "3.0.2",
                    "severity": "HIGH",
                    "title": "a title",
                    "publishedDate": "2026-01-01T00:00:00Z",
                    "lastModifiedDate": "2026-01-01T00:00:00Z",
                    "links": [],
                }
                for rule in rules
            ],
        },
    }


def policy_report(
    name: str,
    *,
    api_version: str = "wgpolicyk8s.io/v1alpha2",
    kind: str = "PolicyReport",
    namespace: str = "default",
    scope: tuple[str, str, str] = ("apps/v1", "Deployment", "nginx"),
    at: int = 1_767_225_600,
    source: str = "kyverno",
) -> dict[str, Any]:
    """A report of one resource, as Kyverno writes them."""
    scope_version, scope_kind, scope_name = scope
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "scope": {
            "apiVersion": scope_version,
            "kind": scope_kind,
            "namespace": namespace,
            "name": scope_name,
        },
        "results": [
            {
                "policy": "require-labels",
                "rule": "team",
                "result": "fail",
                "source": source,
                "message": "label team is missing",
                "timestamp": {"seconds": at, "nanos": 0},
            }
        ],
        "summary": {"fail": 1},
    }
