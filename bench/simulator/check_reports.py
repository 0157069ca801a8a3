"""What is checked about workloads, roles and the whole cluster."""

from typing import Any

from agent.state import Place
from bench.simulator.objects import (
    CLUSTER,
    GROUP,
    MANAGED_BY,
    TRIVY,
    Benchmark,
    Report,
    Revision,
    Role,
    Shape,
    labels_of,
    scanner,
    time_of,
    written,
)
from protocol import messages as m
from sources.report import Ref
from sources.subject_key import subject_key

# What the posture of an app, bit by bit, fails. Only failed checks are in a report.
CHECKS = (
    (
        "KSV001",
        "MEDIUM",
        "Can elevate its own privileges",
        "securityContext.allowPrivilegeEscalation",
    ),
    (
        "KSV003",
        "LOW",
        "Default capabilities: some containers do not drop all",
        "securityContext.capabilities.drop",
    ),
    ("KSV011", "LOW", "CPU not limited", "resources.limits.cpu"),
    ("KSV012", "MEDIUM", "Runs as root user", "securityContext.runAsNonRoot"),
    (
        "KSV014",
        "HIGH",
        "Root file system is not read-only",
        "securityContext.readOnlyRootFilesystem",
    ),
    ("KSV015", "LOW", "CPU requests not specified", "resources.requests.cpu"),
    ("KSV016", "LOW", "Memory requests not specified", "resources.requests.memory"),
    ("KSV018", "LOW", "Memory not limited", "resources.limits.memory"),
    ("KSV020", "LOW", "Runs with UID <= 10000", "securityContext.runAsUser"),
    ("KSV021", "LOW", "Runs with GID <= 10000", "securityContext.runAsGroup"),
    (
        "KSV030",
        "LOW",
        "Runtime/Default Seccomp profile not set",
        "securityContext.seccompProfile.type",
    ),
    ("KSV017", "HIGH", "Privileged", "securityContext.privileged"),
)
ROLE_CHECKS = (
    ("KSV041", "CRITICAL", "Manage secrets"),
    ("KSV047", "HIGH", "Do not allow privilege escalation from node proxy"),
    ("KSV048", "MEDIUM", "Manage Kubernetes workloads and pods"),
    ("KSV049", "MEDIUM", "Manage configmaps"),
    ("KSV056", "HIGH", "Manage Kubernetes networking"),
)
POLICIES = (
    ("disallow-latest-tag", "require-image-tag", "medium", "Best Practices"),
    (
        "disallow-privileged-containers",
        "privileged-containers",
        "high",
        "Pod Security Standards (Baseline)",
    ),
    ("disallow-host-path", "host-path", "high", "Pod Security Standards (Baseline)"),
    ("disallow-capabilities", "adding-capabilities", "medium", "Pod Security Standards (Baseline)"),
    ("require-run-as-nonroot", "run-as-non-root", "medium", "Pod Security Standards (Restricted)"),
    (
        "restrict-seccomp-strict",
        "check-seccomp-strict",
        "medium",
        "Pod Security Standards (Restricted)",
    ),
    ("require-requests-limits", "validate-resources", "low", "Best Practices"),
    ("require-probes", "validate-probes", "low", "Best Practices"),
)


class Configuration(Shape):
    """ConfigAuditReport. Its messages name the owner, so each rollout has a content of its own."""

    kind = f"{GROUP}/ConfigAuditReport"

    def place(self, about: Revision, part: int) -> Place:  # noqa: ARG002 - of the whole owner
        """Name the object after the owner."""
        return (about.namespace, f"{about.owner[0].lower()}-{about.owner[1]}")

    def content(self, report: Report) -> tuple[object, ...]:
        """It depends on the owner's kind and name, and on what the app fails."""
        about = _revision(report)
        return (self.kind, *about.owner, about.app.number)

    def context(self, report: Report, content: bytes, *, superseded: bool) -> m.Report:
        """Say whose configuration it is."""
        about = _revision(report)
        return m.Report(
            content,
            "trivy-operator",
            about.workload,
            True,
            superseded,
            "",
            None,
            *TRIVY,
            report.at,
            report.uid,
            labels_of(about.owner, about.namespace),
        )

    def write(self, report: Report) -> dict[str, Any]:
        """Write the checks that fail."""
        about = _revision(report)
        checks = [
            self._check(about, check)
            for bit, check in enumerate(CHECKS)
            if about.app.posture >> bit & 1
        ]
        return written(
            report,
            self.place(about, report.part),
            labels_of(about.owner, about.namespace),
            report={
                "checks": checks,
                "scanner": scanner(),
                "summary": {"lowCount": len(checks)},
                "updateTimestamp": time_of(report.at),
            },
        )

    def _check(self, about: Revision, check: tuple[str, str, str, str]) -> dict[str, Any]:
        number, severity, title, field = check
        kind, name = about.owner
        return {
            "category": "Kubernetes Security Check",
            "checkID": number,
            "description": f"{title}: a container that is taken over can do more than it has to, "
            "up to what the node allows.",
            "messages": [
                f"Container '{container}' of {kind} '{name}' should set '{field}'"
                for container, _ in about.app.containers
            ],
            "remediation": f"Set 'containers[].{field}'.",
            "severity": severity,
            "success": False,
            "title": title,
        }


class Roles(Shape):
    """RbacAssessmentReport; many roles are made after one template."""

    kind = f"{GROUP}/RbacAssessmentReport"

    def place(self, about: Role, part: int) -> Place:  # noqa: ARG002 - of the whole role
        """Name the object after the role."""
        return (about.namespace, f"role-{about.name}")

    def content(self, report: Report) -> tuple[object, ...]:
        """It depends on the template."""
        return (self.kind, _role(report).template)

    def context(self, report: Report, content: bytes, *, superseded: bool) -> m.Report:
        """Name the role, which no inventory knows; such a report has no time."""
        about = _role(report)
        subject = m.Object("rbac.authorization.k8s.io", "Role", about.namespace, about.name)
        return m.Report(
            content,
            "trivy-operator",
            subject,
            False,
            superseded,
            "",
            None,
            *TRIVY,
            None,
            report.uid,
            labels_of(("Role", about.name), about.namespace),
        )

    def write(self, report: Report) -> dict[str, Any]:
        """Write the checks that the template fails."""
        about = _role(report)
        checks = [
            {
                "category": "Kubernetes Security Check",
                "checkID": number,
                "description": f"{title}: whoever has this role can do more than it says.",
                "messages": [f"Role permits what {number} forbids, by rule {about.template % 7}"],
                "remediation": "Take the verb out of the rule.",
                "severity": severity,
                "success": False,
                "title": title,
            }
            for bit, (number, severity, title) in enumerate(ROLE_CHECKS)
            if about.template >> bit & 1
        ]
        return written(
            report,
            self.place(about, 0),
            labels_of(("Role", about.name), about.namespace),
            report={"checks": checks, "scanner": scanner(), "summary": {"lowCount": len(checks)}},
        )


class Benchmarks(Shape):
    """ClusterComplianceReport; no two clusters have the same."""

    kind = f"{GROUP}/ClusterComplianceReport"

    def place(self, about: Benchmark, part: int) -> Place:  # noqa: ARG002 - of the cluster
        """Name the object after the benchmark."""
        return ("", about.name)

    def content(self, report: Report) -> tuple[object, ...]:
        """It is made anew by every scan of a cluster."""
        about = report.about
        assert isinstance(about, Benchmark)
        return (self.kind, about.name, about.cluster, report.at)

    def context(self, report: Report, content: bytes, *, superseded: bool) -> m.Report:
        """Name the cluster."""
        return m.Report(
            content,
            "trivy-operator",
            CLUSTER,
            False,
            superseded,
            "",
            None,
            "",
            "",
            report.at,
            report.uid,
            {MANAGED_BY: "trivy-operator"},
        )

    def write(self, report: Report) -> dict[str, Any]:
        """Write how many of the cluster's objects fail each control."""
        about = report.about
        assert isinstance(about, Benchmark)
        counts = [
            {
                "id": f"{1 + number // 10}.{1 + number % 10}",
                "name": f"Control {number} of {about.name}: only what is needed is permitted",
                "severity": ("CRITICAL", "HIGH", "MEDIUM", "LOW")[number % 4],
                "totalFail": max(
                    0, self.chance.below(40, about.name, about.cluster, report.at, number) - 25
                ),
            }
            for number in range(about.controls)
        ]
        return written(
            report,
            self.place(about, 0),
            {MANAGED_BY: "trivy-operator"},
            spec={"compliance": {"id": about.name}},
            status={
                "summaryReport": {"id": about.name, "controlCheck": counts},
                "updateTimestamp": time_of(report.at),
            },
        )


class Policies(Shape):
    """Kyverno's PolicyReport of a workload (part -1) or one of its pods."""

    kind = "wgpolicyk8s.io/PolicyReport"

    def place(self, about: Revision, part: int) -> Place:
        """Name the object after the uid of what it is about."""
        age = 0 if part < 0 else about.number
        return (about.namespace, self.chance.uuid("policed", *_policed(about, part), age))

    def sub(self, about: Revision, part: int) -> str:
        """Name subject and source."""
        kind, name = _policed(about, part)
        group = "apps" if part < 0 else ""
        return subject_key(Ref(group, kind, about.namespace, name), "kyverno")

    def content(self, report: Report) -> tuple[object, ...]:
        """It depends on which policies the app fails."""
        return (self.kind, _revision(report).app.posture % (1 << len(POLICIES)))

    def context(self, report: Report, content: bytes, *, superseded: bool) -> m.Report:
        """Say whose pod it is."""
        about = _revision(report)
        return m.Report(
            content,
            "kyverno",
            about.workload,
            True,
            superseded,
            "",
            None,
            "",
            "",
            report.at,
            report.uid,
            {MANAGED_BY: "kyverno"},
        )

    def write(self, report: Report) -> dict[str, Any]:
        """Write a result of every policy."""
        about = _revision(report)
        kind, name = _policed(about, report.part)
        failed = [bool(about.app.posture >> bit & 1) for bit in range(len(POLICIES))]
        results = [
            {
                "category": category,
                "message": f"validation error: rule {rule} failed at path /spec/containers/0/"
                if fails
                else f"validation rule '{rule}' passed.",
                "policy": policy,
                "properties": {"process": "background scan"},
                "result": "fail" if fails else "pass",
                "rule": rule,
                "scored": True,
                "severity": severity,
                "source": "kyverno",
                "timestamp": {"nanos": 0, "seconds": report.at // 1000},
            }
            for (policy, rule, severity, category), fails in zip(POLICIES, failed, strict=True)
        ]
        scope = {
            "apiVersion": "apps/v1" if report.part < 0 else "v1",
            "kind": kind,
            "namespace": about.namespace,
            "name": name,
        }
        return written(
            report,
            self.place(about, report.part),
            {MANAGED_BY: "kyverno"},
            scope=scope,
            results=results,
            summary={"fail": sum(failed), "pass": len(failed) - sum(failed)},
        )


def _policed(about: Revision, part: int) -> tuple[str, str]:
    """Return kind and name of the workload, or of one of its pods."""
    return (about.app.kind, about.name) if part < 0 else ("Pod", about.pod(part))


def _revision(report: Report) -> Revision:
    assert isinstance(report.about, Revision)
    return report.about


def _role(report: Report) -> Role:
    assert isinstance(report.about, Role)
    return report.about
