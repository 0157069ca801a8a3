"""ClusterComplianceDetailReport of Starboard: which objects a benchmark's controls found fault with.

It stands beside a ClusterComplianceReport that has the counts. One object is about many: it splits
into a report for each object that its details name, and for the cluster where they name none
("Resource do not exist in cluster"). Names are kept as the details give them.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical, resource
from sources.catalogue import UNNAMED, catalogue
from sources.metadata import Metadata
from sources.owner import STARBOARD, Owner, producer_of
from sources.report import Category, ContentKind, Finding, Part, Reading, Ref, Rule, Source
from sources.severity import severity_of, status_of
from sources.shape import conform, decode
from sources.subject_key import subject_key


class Detail(Struct):
    """What one check says of one object; without a name, of the cluster."""

    name: str | None = None
    namespace: str | None = None
    status: str | None = None
    msg: str | None = None


class CheckResult(Struct, rename="camel"):
    """A check's results for objects of one kind."""

    id: str | None = None
    object_type: str | None = None
    details: list[Detail] | None = None


class Control(Struct, rename="camel"):
    """A control with what its checks found."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    severity: str | None = None
    check_results: list[CheckResult] | None = None


class Report(Struct, rename="camel"):
    """`report`; a list that is null is empty, one that is not there is no result."""

    control_check: list[Control] | None
    update_timestamp: Any = None


class ComplianceDetailReport(Struct):
    """The whole object."""

    report: Report
    metadata: Metadata = field(default_factory=Metadata)


class Result(Struct):
    """One detail as it is stored, with its control."""

    control: str | None = None
    name: str | None = None
    description: str | None = None
    severity: str | None = None
    status: str | None = None
    message: str | None = None
    check: str | None = None


class Content(Struct):
    """What is stored for one subject."""

    benchmark: str
    results: list[Result]


def split(obj: dict[str, Any]) -> list[Part]:
    """One report for each object that the details are about."""
    shaped = conform(obj, ComplianceDetailReport)
    results: dict[Ref, list[dict[str, Any]]] = {}
    for subject, result in _results(shaped.report.control_check or []):
        results.setdefault(subject, []).append(result)
    benchmark = shaped.metadata.name or UNNAMED
    source = producer_of(shaped.metadata, STARBOARD)
    return [
        aquasecurity.part(
            COMPLIANCE_DETAIL,
            canonical.encode({"benchmark": benchmark, "results": canonical.sort_results(found)}),
            metadata=shaped.metadata,
            owner=Owner(subject=subject, container=""),
            updated=shaped.report.update_timestamp,
            default_source=STARBOARD,
            sub_key=subject_key(subject, source),
        )
        for subject, found in results.items()
    ]


def read(content: bytes) -> Reading:
    """A finding for each detail."""
    shaped = decode(content, Content)
    return Reading(
        findings=tuple(_finding(shaped.benchmark, result) for result in shaped.results),
        rules=catalogue(_rule(shaped.benchmark, result) for result in shaped.results),
    )


def _results(controls: list[Control]) -> Iterator[tuple[Ref, dict[str, Any]]]:
    for control in controls:
        for checked in control.check_results or ():
            for detail in checked.details or ():
                yield (
                    _subject(checked, detail),
                    {
                        "control": control.id,
                        "name": control.name,
                        "description": control.description,
                        "severity": control.severity,
                        "check": checked.id,
                        "status": detail.status,
                        "message": detail.msg,
                    },
                )


def _subject(checked: CheckResult, detail: Detail) -> Ref:
    if not detail.name:
        return resource.CLUSTER
    return resource.ref(
        group=resource.group_of(checked.object_type or "", None),
        kind=checked.object_type,
        namespace=detail.namespace,
        name=detail.name,
    )


def _finding(benchmark: str, result: Result) -> Finding:
    return Finding(
        rule=_key(benchmark, result),
        severity=severity_of(result.severity),
        status=status_of(result.status),
        message=result.message or None,
    )


def _rule(benchmark: str, result: Result) -> Rule:
    return Rule(
        key=_key(benchmark, result),
        severity=severity_of(result.severity),
        title=result.name or None,
        description=result.description or None,
    )


def _key(benchmark: str, result: Result) -> str:
    return f"{benchmark}/{result.control or result.name or UNNAMED}"


COMPLIANCE_DETAIL = ContentKind(
    name="compliance-detail", format=1, reader=1, category=Category.BENCHMARK, read=read
)

SOURCE = Source(
    name="compliance-detail-report",
    kinds=(aquasecurity.kind("ClusterComplianceDetailReport", namespaced=False),),
    contents=(COMPLIANCE_DETAIL,),
    split=split,
)
