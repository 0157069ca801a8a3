"""The checks of config audit, RBAC and infrastructure reports: one shape, three categories.

A report holds `checks[]`. Starboard had Polaris for a while, which wrote `podChecks[]` and
`containerChecks{}` with one `message` a check; in between, it wrote `checks[]` and the old lists
with the same results, so the old ones are read only where there are no new ones.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical, text
from sources.catalogue import UNNAMED, catalogue
from sources.metadata import Metadata
from sources.owner import owner_of
from sources.report import (
    ContentKind,
    Finding,
    Part,
    Reading,
    Rule,
    Status,
    UnreadableError,
)
from sources.severity import severity_of
from sources.shape import conform, decode

LISTS = ("checks", "podChecks", "containerChecks")


class Scope(Struct):
    """`scope`: the container or other part that an old check is about."""

    value: str | None = None


class Check(Struct, rename="camel"):
    """One result; nothing but its outcome can be relied on, converted reports lack even the id."""

    check_id: str | None = field(name="checkID", default=None)
    severity: str | None = None
    success: bool | None = None
    title: str | None = None
    description: str | None = None
    remediation: str | None = None
    messages: list[str | None] | None = None
    message: str | None = None  # Polaris
    scope: Scope | None = None


class Checks(Struct, rename="camel"):
    """The lists, in a report and in a content."""

    checks: list[Check] | None = None
    pod_checks: list[Check] | None = None
    container_checks: dict[str, list[Check] | None] | None = None


class Report(Checks, rename="camel"):
    """`report`; RBAC and infrastructure reports have no time."""

    scanner: aquasecurity.Scanner | None = None
    update_timestamp: Any = None


class CheckReport(Struct):
    """The whole object."""

    report: Report
    metadata: Metadata = field(default_factory=Metadata)


def split_checks(obj: dict[str, Any], content_kind: ContentKind) -> list[Part]:
    """One report of one owner; `UnreadableError` where no list of checks is there at all."""
    shaped = conform(obj, CheckReport)
    report = obj["report"]
    if not any(name in report for name in LISTS):
        raise UnreadableError("report.checks: missing")
    return [
        aquasecurity.part(
            content_kind,
            canonical.encode(_content(report)),
            metadata=shaped.metadata,
            owner=owner_of(shaped.metadata),
            scanner=shaped.report.scanner,
            updated=shaped.report.update_timestamp,
        )
    ]


def read_checks(content: bytes) -> Reading:
    """A finding for each check, passed or not."""
    shaped = decode(content, Checks)
    found = [*_placed(shaped)]
    return Reading(
        findings=tuple(_finding(check, target) for check, target in found),
        rules=catalogue(_rule(check) for check, _ in found),
    )


def _content(report: dict[str, Any]) -> dict[str, Any]:
    if report.get("checks") or not (report.get("podChecks") or report.get("containerChecks")):
        return {"checks": canonical.sort_results(report.get("checks") or ())}
    return {
        "podChecks": canonical.sort_results(report.get("podChecks") or ()),
        "containerChecks": {
            container: canonical.sort_results(checks or ())
            for container, checks in (report.get("containerChecks") or {}).items()
        },
    }


def _placed(checks: Checks) -> Iterator[tuple[Check, str | None]]:
    """Pair each check with what tells it from its like: the container, where it names one."""
    for check in (*(checks.checks or ()), *(checks.pod_checks or ())):
        yield check, (check.scope.value or None) if check.scope else None
    for container, listed in (checks.container_checks or {}).items():
        for check in listed or ():
            yield check, container or None


def _finding(check: Check, target: str | None) -> Finding:
    return Finding(
        rule=check.check_id or UNNAMED,
        severity=severity_of(check.severity),
        status=Status.PASS if check.success else Status.FAIL,
        target=target,
        message=text.joined(*(check.messages or ()), check.message),
    )


def _rule(check: Check) -> Rule:
    return Rule(
        key=check.check_id or UNNAMED,
        severity=severity_of(check.severity),
        title=check.title or None,
        description=check.description or None,
        remediation=check.remediation or None,
    )
