"""CISKubeBenchReport of Starboard: how a node is set up, by the CIS benchmark.

The object is named like its node. Sections (control plane, etcd, node) hold groups of tests, and
each has results with an outcome but no severity. The counts beside them are derived, and cut.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical, resource
from sources.catalogue import UNNAMED, catalogue
from sources.metadata import Metadata
from sources.owner import STARBOARD, Owner, owner_of
from sources.report import (
    Category,
    ContentKind,
    Finding,
    Part,
    Reading,
    Rule,
    Severity,
    Source,
)
from sources.severity import status_of
from sources.shape import conform, decode

COUNTS = frozenset(
    {"pass", "fail", "warn", "info", "total_pass", "total_fail", "total_warn", "total_info"}
)


class Result(Struct):
    """One test of the benchmark."""

    test_number: str | None = None
    test_desc: str | None = None
    remediation: str | None = None
    status: str | None = None


class Group(Struct):
    """A group of tests, such as "4.1 Worker Node Configuration Files"."""

    results: list[Result] | None = None


class Section(Struct):
    """A section; `version` is the benchmark's, such as "1.6"."""

    version: str | None = None
    tests: list[Group] | None = None


class Sections(Struct):
    """What is stored."""

    sections: list[Section] | None


class Report(Sections, rename="camel"):
    """`report`; a list that is null is empty, one that is not there is no result."""

    scanner: aquasecurity.Scanner | None = None
    update_timestamp: Any = None


class CisKubeBenchReport(Struct):
    """The whole object."""

    report: Report
    metadata: Metadata = field(default_factory=Metadata)


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of one node."""
    shaped = conform(obj, CisKubeBenchReport)
    content = {"sections": [_lasting_section(one) for one in obj["report"]["sections"] or ()]}
    return [
        aquasecurity.part(
            CIS_KUBE_BENCH,
            canonical.encode(content),
            metadata=shaped.metadata,
            owner=_node(shaped.metadata),
            scanner=shaped.report.scanner,
            updated=shaped.report.update_timestamp,
            default_source=STARBOARD,
        )
    ]


def read(content: bytes) -> Reading:
    """A finding for each result, passed or not; kube-bench knows no severity."""
    found = [*_results(decode(content, Sections))]
    return Reading(
        findings=tuple(
            Finding(rule=key, severity=Severity.UNKNOWN, status=status_of(result.status))
            for key, result in found
        ),
        rules=catalogue(
            Rule(
                key=key,
                title=result.test_desc or None,
                remediation=result.remediation or None,
            )
            for key, result in found
        ),
    )


def _node(metadata: Metadata) -> Owner:
    owner = owner_of(metadata)
    if owner.subject.kind == "Node" or not metadata.name:
        return owner
    subject = resource.ref(group="", kind="Node", namespace="", name=metadata.name)
    return Owner(subject=subject, container="")


def _lasting_section(section: dict[str, Any]) -> dict[str, Any]:
    tests = [_lasting_group(group) for group in section.get("tests") or ()]
    return {**_uncounted(section), "tests": tests}


def _lasting_group(group: dict[str, Any]) -> dict[str, Any]:
    results = canonical.sort_results(group.get("results") or ())
    return {**_uncounted(group), "results": results}


def _uncounted(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in COUNTS}


def _results(content: Sections) -> Iterator[tuple[str, Result]]:
    for section in content.sections or ():
        for group in section.tests or ():
            for result in group.results or ():
                number = result.test_number or UNNAMED
                yield f"{section.version}/{number}" if section.version else number, result


CIS_KUBE_BENCH = ContentKind(
    name="cis-kube-bench", format=1, reader=1, category=Category.BENCHMARK, read=read
)

SOURCE = Source(
    name="cis-kube-bench-report",
    kinds=(aquasecurity.kind("CISKubeBenchReport", namespaced=False),),
    contents=(CIS_KUBE_BENCH,),
    split=split,
)
