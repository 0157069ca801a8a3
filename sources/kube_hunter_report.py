"""KubeHunterReport of Starboard: how the cluster looks to an attacker.

kube-hunter runs as a pod, and names it where a weakness was found from inside it. That name is new
with each run: it is cut from the location, or nothing would ever be found twice.
"""

import re
from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical
from sources.catalogue import UNNAMED, catalogue, https_links
from sources.metadata import Metadata
from sources.owner import STARBOARD, Owner
from sources.report import Category, ContentKind, Finding, Part, Reading, Rule, Source, Status
from sources.resource import CLUSTER
from sources.severity import severity_of
from sources.shape import conform, decode

_OWN_POD = re.compile(r"^Local to Pod \(.*\)$", re.DOTALL)
IN_OWN_POD = "Local to Pod"


class Weakness(Struct):
    """One entry of `report.vulnerabilities`; `vid` is "None" for some, as kube-hunter prints it."""

    vid: str | None = None
    vulnerability: str | None = None  # its title
    description: str | None = None
    severity: str | None = None
    location: str | None = None
    evidence: str | None = None
    avd_reference: str | None = None


class Content(Struct):
    """What is stored."""

    vulnerabilities: list[Weakness] | None


class Report(Content):
    """`report`; a list that is null is empty, one that is not there is no result."""

    scanner: aquasecurity.Scanner | None = None
    update_timestamp: Any = field(name="updateTimestamp", default=None)


class KubeHunterReport(Struct):
    """The whole object."""

    report: Report
    metadata: Metadata = field(default_factory=Metadata)


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of the cluster."""
    shaped = conform(obj, KubeHunterReport)
    lasting = map(_lasting, obj["report"]["vulnerabilities"] or ())
    return [
        aquasecurity.part(
            KUBE_HUNTER,
            canonical.encode({"vulnerabilities": canonical.sort_results(lasting)}),
            metadata=shaped.metadata,
            owner=Owner(subject=CLUSTER, container=""),
            scanner=shaped.report.scanner,
            updated=shaped.report.update_timestamp,
            default_source=STARBOARD,
        )
    ]


def read(content: bytes) -> Reading:
    """A finding for each weakness, always open."""
    weaknesses = decode(content, Content).vulnerabilities or []
    return Reading(
        findings=tuple(map(_finding, weaknesses)), rules=catalogue(map(_rule, weaknesses))
    )


def _lasting(weakness: dict[str, Any]) -> dict[str, Any]:
    location = weakness.get("location")
    if not location or not _OWN_POD.match(location):
        return weakness
    return {**weakness, "location": IN_OWN_POD}


def _finding(weakness: Weakness) -> Finding:
    return Finding(
        rule=_key(weakness),
        severity=severity_of(weakness.severity),
        status=Status.FAIL,
        target=weakness.location or None,
        message=weakness.evidence or None,
    )


def _rule(weakness: Weakness) -> Rule:
    return Rule(
        key=_key(weakness),
        severity=severity_of(weakness.severity),
        title=weakness.vulnerability or None,
        description=weakness.description or None,
        links=https_links(weakness.avd_reference),
    )


def _key(weakness: Weakness) -> str:
    return weakness.vid or weakness.vulnerability or UNNAMED


KUBE_HUNTER = ContentKind(
    name="kube-hunter", format=1, reader=1, category=Category.INFRASTRUCTURE, read=read
)

SOURCE = Source(
    name="kube-hunter-report",
    kinds=(aquasecurity.kind("KubeHunterReport", namespaced=False),),
    contents=(KUBE_HUNTER,),
    split=split,
)
