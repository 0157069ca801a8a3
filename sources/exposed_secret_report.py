"""ExposedSecretReport: secrets that lie readable in an image.

`match` is the line with the secret. Trivy masks it, but nothing promises that: it is cut before
anything is hashed or sent. Without it, two secrets of one kind in one file are equal entries, and
two findings.
"""

from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical
from sources.catalogue import UNNAMED, catalogue
from sources.image import Artifact, Registry, image_ref
from sources.metadata import Metadata
from sources.owner import owner_of
from sources.report import Category, ContentKind, Finding, Part, Reading, Rule, Source, Status
from sources.severity import severity_of
from sources.shape import conform, decode

KEPT = ("ruleID", "category", "severity", "title", "target")  # what is not listed stays home


class Secret(Struct):
    """One entry of `report.secrets`, without what must not leave the cluster."""

    rule_id: str = field(name="ruleID")
    category: str | None = None
    severity: str | None = None
    title: str | None = None
    target: str | None = None  # the path of the file


class Report(Struct, rename="camel"):
    """`report`; a list that is null is empty, one that is not there is no scan."""

    secrets: list[Secret] | None
    artifact: Artifact | None = None
    registry: Registry | None = None
    scanner: aquasecurity.Scanner | None = None
    update_timestamp: Any = None


class ExposedSecretReport(Struct):
    """The whole object."""

    report: Report
    metadata: Metadata = field(default_factory=Metadata)


class Content(Struct):
    """What is stored."""

    secrets: list[Secret]


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of one container, without the secrets themselves."""
    shaped = conform(obj, ExposedSecretReport)
    secrets = [
        {name: secret[name] for name in KEPT if name in secret}
        for secret in obj["report"]["secrets"] or ()
    ]
    return [
        aquasecurity.part(
            SECRETS,
            canonical.encode({"secrets": canonical.sort_results(secrets)}),
            metadata=shaped.metadata,
            owner=owner_of(shaped.metadata),
            scanner=shaped.report.scanner,
            updated=shaped.report.update_timestamp,
            image=image_ref(shaped.report.artifact, shaped.report.registry),
        )
    ]


def read(content: bytes) -> Reading:
    """A finding for each secret, always open."""
    shaped = decode(content, Content)
    return Reading(
        findings=tuple(map(_finding, shaped.secrets)),
        rules=catalogue(map(_rule, shaped.secrets)),
    )


def _finding(secret: Secret) -> Finding:
    return Finding(
        rule=secret.rule_id or UNNAMED,
        severity=severity_of(secret.severity),
        status=Status.FAIL,
        target=secret.target or None,
    )


def _rule(secret: Secret) -> Rule:
    return Rule(
        key=secret.rule_id or UNNAMED,
        severity=severity_of(secret.severity),
        title=secret.title or None,
    )


SECRETS = ContentKind(name="secrets", format=1, reader=1, category=Category.SECRET, read=read)

SOURCE = Source(
    name="exposed-secret-report",
    kinds=(aquasecurity.kind("ExposedSecretReport", namespaced=True),),
    contents=(SECRETS,),
    split=split,
)
