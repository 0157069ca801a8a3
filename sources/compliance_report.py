"""ClusterComplianceReport: how the cluster stands against a benchmark, such as CIS or NSA.

One kind and version, three shapes: `status.detailReport` has the checks of every control,
`status.summaryReport` only counts of failures, and before Trivy Operator 0.9 `status.controlCheck`
had counts of its own. A control is the rule, and the benchmark belongs to its key: "1.1" is
another control in each. Controls that a person has to check have no checks, hence no findings in
the first shape. Without a status the benchmark has not run yet, and there is no report.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical, text
from sources.catalogue import UNNAMED, catalogue
from sources.metadata import Metadata
from sources.owner import Owner
from sources.report import Category, ContentKind, Finding, Part, Reading, Rule, Source, Status
from sources.resource import CLUSTER
from sources.severity import severity_of
from sources.shape import conform, decode


class Check(Struct):
    """One result of a control; a control that passes has one without id and target."""

    success: bool | None = None
    target: str | None = None  # "namespace/kind-name"
    messages: list[str | None] | None = None
    remediation: str | None = None


class Control(Struct, rename="camel"):
    """A control with its results, or with a count of failures: null where a person has to look."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    severity: str | None = None
    checks: list[Check] | None = None
    total_fail: float | None = None
    fail_total: float | None = None  # before 0.9


class DetailReport(Struct):
    """`status.detailReport`."""

    results: list[Control] | None = None


class SummaryReport(Struct, rename="camel"):
    """`status.summaryReport`."""

    control_check: list[Control] | None = None


class ComplianceStatus(Struct, rename="camel"):
    """`status`."""

    detail_report: DetailReport | None = None
    summary_report: SummaryReport | None = None
    control_check: list[Control] | None = None
    update_timestamp: Any = None


class Described(Struct):
    """A control as the specification has it, with its description."""

    id: str | None = None
    name: str | None = None
    description: str | None = None


class Benchmark(Struct):
    """`spec.compliance`."""

    id: str | None = None
    controls: list[Described] | None = None


class Spec(Struct):
    """`spec`; before 0.9 it held the controls itself."""

    compliance: Benchmark | None = None
    controls: list[Described] | None = None


class ComplianceReport(Struct):
    """The whole object."""

    spec: Spec | None = None
    status: ComplianceStatus | None = None
    metadata: Metadata = field(default_factory=Metadata)


class Content(Struct):
    """What is stored: the results of one of the three shapes, and the words for the controls."""

    benchmark: str
    detail: list[Control] | None = None
    counts: list[Control] | None = None
    controls: list[Described] = []


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of the cluster, none where the benchmark has not run."""
    shaped = conform(obj, ComplianceReport)
    if not obj.get("status") or shaped.status is None:
        return []
    content = {
        "benchmark": _benchmark(shaped),
        "controls": _described(shaped.spec),
        **_results(obj["status"]),
    }
    return [
        aquasecurity.part(
            COMPLIANCE,
            canonical.encode(content),
            metadata=shaped.metadata,
            owner=Owner(subject=CLUSTER, container=""),
            updated=shaped.status.update_timestamp,
        )
    ]


def read(content: bytes) -> Reading:
    """A finding for each check of each control; where there are only counts, for each control."""
    shaped = decode(content, Content)
    descriptions = {one.id: one.description for one in shaped.controls if one.description}
    controls = [*(shaped.detail or ()), *(shaped.counts or ())]
    found = _checked(shaped) if shaped.detail is not None else _counted(shaped)
    return Reading(
        findings=tuple(found),
        rules=catalogue(_rule(shaped.benchmark, one, descriptions) for one in controls),
    )


def _benchmark(report: ComplianceReport) -> str:
    """Name the benchmark: by its id, else by the object's name, which older ones go by."""
    compliance = report.spec.compliance if report.spec else None
    return (compliance.id if compliance else None) or report.metadata.name or UNNAMED


def _described(spec: Spec | None) -> list[Any]:
    """Keep what the results may lack: the words of the controls, not which checks they name."""
    if spec is None:
        return []
    controls = (spec.compliance.controls if spec.compliance else None) or spec.controls or ()
    return canonical.sort_results(
        {"id": one.id, "name": one.name, "description": one.description} for one in controls
    )


def _results(status: dict[str, Any]) -> dict[str, Any]:
    """Take the shape that says most; results and their checks come in any order."""
    if detailed := (status.get("detailReport") or {}).get("results"):
        return {"detail": canonical.sort_results(map(_sorted_checks, detailed))}
    counted = (status.get("summaryReport") or {}).get("controlCheck")
    return {"counts": canonical.sort_results(counted or status.get("controlCheck") or ())}


def _sorted_checks(control: dict[str, Any]) -> dict[str, Any]:
    return {**control, "checks": canonical.sort_results(control.get("checks") or ())}


def _checked(content: Content) -> Iterator[Finding]:
    for control in content.detail or ():
        for check in control.checks or ():
            yield Finding(
                rule=_key(content.benchmark, control),
                severity=severity_of(control.severity),
                status=Status.PASS if check.success else Status.FAIL,
                target=check.target or None,
                message=text.joined(*(check.messages or ())),
            )


def _counted(content: Content) -> Iterator[Finding]:
    for control in content.counts or ():
        failures = (control.total_fail or 0) + (control.fail_total or 0)
        yield Finding(
            rule=_key(content.benchmark, control),
            severity=severity_of(control.severity),
            status=Status.FAIL if failures > 0 else Status.PASS,
        )


def _rule(benchmark: str, control: Control, descriptions: dict[str | None, str]) -> Rule:
    remediations = (check.remediation for check in control.checks or ())
    return Rule(
        key=_key(benchmark, control),
        severity=severity_of(control.severity),
        title=control.name or None,
        description=control.description or descriptions.get(control.id),
        remediation=next(filter(None, remediations), None),
    )


def _key(benchmark: str, control: Control) -> str:
    return f"{benchmark}/{control.id or control.name or UNNAMED}"


COMPLIANCE = ContentKind(
    name="compliance", format=1, reader=1, category=Category.BENCHMARK, read=read
)

SOURCE = Source(
    name="compliance-report",
    kinds=(aquasecurity.kind("ClusterComplianceReport", namespaced=False),),
    contents=(COMPLIANCE,),
    split=split,
)
