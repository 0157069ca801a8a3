"""Kubernetes objects of the demo's clusters, as the API server and the scanners would write them."""

import hashlib
from collections.abc import Iterable
from typing import Any

from demo.images import Software, Vulnerability

Object = dict[str, Any]
TRIVY = {"name": "Trivy", "vendor": "Aqua Security", "version": "0.65.0"}


def digest(text: str) -> str:
    """A digest that is stable for a text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def namespace(name: str, team: str) -> Object:
    """A namespace with its team."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"team": team}},
    }


def node(name: str) -> Object:
    """A worker node."""
    info = {
        "kubeletVersion": "v1.33.2",
        "osImage": "Debian GNU/Linux 12 (bookworm)",
        "architecture": "amd64",
        "containerRuntimeVersion": "containerd://2.0.5",
    }
    labels = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": f"zone-{name[-1]}"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"nodeInfo": info},
    }


class Deployment:
    """A Deployment of one container with its ReplicaSet, pods and reports, at a revision."""

    def __init__(self, name: str, namespace: str, software: Software, *, replicas: int = 2) -> None:
        self.name, self.namespace = name, namespace
        self.software, self.replicas = software, replicas
        self.revision = 1

    @property
    def replica_set(self) -> str:
        """The name of the current ReplicaSet."""
        return (
            f"{self.name}-{hashlib.sha256(f'{self.name}{self.revision}'.encode()).hexdigest()[:9]}"
        )

    @property
    def image(self) -> str:
        """The image as the pod template names it."""
        host = "" if self.software.repository.startswith("library/") else "registry.acme.example/"
        return f"{host}{self.software.repository.removeprefix('library/')}:{self.software.tag}"

    def running(self) -> Iterable[Object]:
        """The Deployment, its ReplicaSet and its pods."""
        template = {"spec": {"containers": [{"name": self.name, "image": self.image}]}}
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self._metadata(self.name, labels={"app": self.name}),
            "spec": {"replicas": self.replicas, "template": template},
            "status": {"replicas": self.replicas},
        }
        yield {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": self._metadata(
                self.replica_set, owner=("apps/v1", "Deployment", self.name)
            ),
            "spec": {"replicas": self.replicas, "template": template},
            "status": {"replicas": self.replicas},
        }
        for number in range(self.replicas):
            yield self._pod(number)

    def pods(self) -> list[str]:
        """The names of its pods."""
        return [self._pod_name(number) for number in range(self.replicas)]

    def reports(self) -> Iterable[Object]:
        """What the scanners say about it."""
        yield self._vulnerabilities()
        yield self._bill_of_materials()
        yield self._config_audit()
        for number in range(self.replicas):
            yield self._policies(number)

    def _pod(self, number: int) -> Object:
        reference = self.image.rpartition(":")[0]
        status = {
            "name": self.name,
            "image": self.image,
            "imageID": f"{reference}@{digest(self.image)}",
            "state": {"running": {}},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self._metadata(
                self._pod_name(number), owner=("apps/v1", "ReplicaSet", self.replica_set)
            ),
            "spec": {"containers": [{"name": self.name, "image": self.image}]},
            "status": {"phase": "Running", "containerStatuses": [status]},
        }

    def _pod_name(self, number: int) -> str:
        return f"{self.replica_set}-{digest(f'{self.replica_set}{number}')[7:12]}"

    def _metadata(
        self,
        name: str,
        *,
        labels: dict[str, str] | None = None,
        owner: tuple[str, str, str] | None = None,
    ) -> Object:
        metadata: Object = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        if owner is not None:
            version, kind, owner_name = owner
            metadata["ownerReferences"] = [
                {
                    "apiVersion": version,
                    "kind": kind,
                    "name": owner_name,
                    "uid": digest(owner_name)[7:43],
                    "controller": True,
                }
            ]
        return metadata

    def _trivy(self, kind: str, *, container: bool, report: Object) -> Object:
        labels = {
            "app.kubernetes.io/managed-by": "trivy-operator",
            "trivy-operator.resource.kind": "ReplicaSet",
            "trivy-operator.resource.name": self.replica_set,
            "trivy-operator.resource.namespace": self.namespace,
        }
        name = f"replicaset-{self.replica_set}"
        if container:
            labels["trivy-operator.container.name"] = self.name
            name += f"-{self.name}"
        return {
            "apiVersion": "aquasecurity.github.io/v1alpha1",
            "kind": kind,
            "metadata": self._metadata(
                name, labels=labels, owner=("apps/v1", "ReplicaSet", self.replica_set)
            ),
            "report": {"updateTimestamp": "2026-11-01T03:00:00Z", "scanner": TRIVY, **report},
        }

    def _artifact(self) -> Object:
        official = self.software.repository.startswith("library/")
        return {
            "artifact": {"repository": self.software.repository, "tag": self.software.tag},
            "registry": {"server": "index.docker.io" if official else "registry.acme.example"},
            "os": {"family": self.software.os[0], "name": self.software.os[1]},
        }

    def _vulnerabilities(self) -> Object:
        found = [_vulnerability(one) for one in self.software.vulnerabilities]
        summary = {
            f"{severity.lower()}Count": sum(one["severity"] == severity for one in found)
            for severity in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
        }
        report = {**self._artifact(), "summary": summary, "vulnerabilities": found}
        return self._trivy("VulnerabilityReport", container=True, report=report)

    def _bill_of_materials(self) -> Object:
        components = [
            {
                "bom-ref": f"pkg:{purl}/{name}@{version}",
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:{purl}/{name}@{version}",
            }
            for name, version, purl in self.software.packages
        ]
        bom = {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "metadata": {"component": {"type": "container", "name": self.image}},
            "components": components,
        }
        summary = {"componentsCount": len(components), "dependenciesCount": 0}
        report = {**self._artifact(), "components": bom, "summary": summary}
        return self._trivy("SbomReport", container=True, report=report)

    def _config_audit(self) -> Object:
        check = {
            "category": "Kubernetes Security Check",
            "checkID": "KSV014",
            "title": "Root file system is not read-only",
            "description": "An immutable root file system prevents applications from writing to "
            "their local disk.",
            "remediation": "Change 'containers[].securityContext.readOnlyRootFilesystem' to 'true'.",
            "severity": "HIGH",
            "success": False,
            "messages": [
                f"Container '{self.name}' should set 'readOnlyRootFilesystem' to true",
            ],
        }
        summary = {"criticalCount": 0, "highCount": 1, "mediumCount": 0, "lowCount": 0}
        return self._trivy(
            "ConfigAuditReport", container=False, report={"checks": [check], "summary": summary}
        )

    def _policies(self, number: int) -> Object:
        pod = self._pod_name(number)
        pinned = self.software.tag != "nightly"
        results = [
            {
                "source": "kyverno",
                "policy": "disallow-latest-tag",
                "rule": "require-image-tag",
                "category": "Best Practices",
                "severity": "medium",
                "result": "pass" if pinned else "fail",
                "scored": True,
                "message": "validation rule 'require-image-tag' passed."
                if pinned
                else "Using a mutable image tag such as 'nightly' is not allowed.",
                "timestamp": {"seconds": 1793500000, "nanos": 0},
            },
            {
                "source": "kyverno",
                "policy": "require-run-as-nonroot",
                "rule": "run-as-non-root",
                "category": "Pod Security Standards (Restricted)",
                "severity": "medium",
                "result": "fail",
                "scored": True,
                "message": "validation error: Running as root is not allowed.",
                "timestamp": {"seconds": 1793500000, "nanos": 0},
            },
        ]
        return {
            "apiVersion": "wgpolicyk8s.io/v1alpha2",
            "kind": "PolicyReport",
            "metadata": self._metadata(
                digest(f"{self.namespace}{pod}")[7:43],
                labels={"app.kubernetes.io/managed-by": "kyverno"},
                owner=("v1", "Pod", pod),
            ),
            "scope": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": self.namespace},
            "results": results,
            "summary": {
                "pass": int(pinned),
                "fail": 2 - int(pinned),
                "warn": 0,
                "error": 0,
                "skip": 0,
            },
        }


def _vulnerability(one: Vulnerability) -> Object:
    return {
        "vulnerabilityID": one.id,
        "resource": one.package,
        "installedVersion": one.installed,
        "fixedVersion": one.fixed,
        "severity": one.severity,
        "score": one.score,
        "title": one.title,
        "primaryLink": f"https://avd.aquasec.com/nvd/{one.id.lower()}",
        "links": [],
        "packageType": one.type,
        "target": "",
    }
