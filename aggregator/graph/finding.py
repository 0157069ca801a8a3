"""Findings: what a check found, at every place where the report that says so stands."""

import strawberry

from aggregator.graph.compiler import Compilation
from aggregator.graph.finding_filter import FIRST_SEEN
from aggregator.graph.finding_page import FindingPage
from aggregator.graph.mapping import Computed, Inline, Many, One, column, lazy, listed, mapped
from aggregator.graph.node import FINDING_ID, Node
from aggregator.graph.pages import Connection
from aggregator.graph.scalars import (
    DateTime,
    FindingCategory,
    FindingStatus,
    ReportState,
    Severity,
)
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Row
from aggregator.graph.tables import CLUSTER, IMAGE, REPORT, RULE, SUBJECT

REPORTS_DEFAULT = 10  # reports shown of a finding
STATE = (
    "CASE WHEN {pc.live} > 0 THEN 'LIVE' WHEN {pc.absent} > 0 THEN 'ABSENT' ELSE 'SUPERSEDED' END"
)


def _occurrences(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    page = row.get("page")
    counters = page.pager.occurrences() if page else "{pc.live} + {pc.absent}"
    return row.fill(f"({counters})")


@strawberry.type(description="The package that a finding is in.")
class FindingPackage:
    name: str = column("{f.package}", "Its name.")
    installed_version: str | None = column("{f.installed_version}", "The version found.")
    fixed_version: str | None = column("{f.fixed_version}", "The version that mends it.")
    type: str | None = column("{f.package_type}", "Its kind: deb, gomod, npm …")
    purl: str | None = column("{f.purl}", "Its package URL.")
    path: str | None = column("{f.package_path}", "Where in the image it was found.")


@strawberry.type(
    description="One result of a check at one place, with how many reports carry it there."
)
class Finding(Node):
    id: strawberry.ID = column(
        FINDING_ID, "The same after a rescan; `node` of one that is fixed is null."
    )
    category: FindingCategory = column("{f.category}", "What kind of check it comes from.")
    source: str = column("{p.source}", "What produced it: trivy-operator, kyverno …")
    status: FindingStatus = column("{f.status}", "The outcome of the check.")
    severity: Severity = column("{f.severity}", "How bad it is.")
    score: float | None = column("{f.score}", "The CVSS score or what the source gives as one.")
    message: str | None = column("{f.message}", "What the check says of this subject.")
    rule = mapped(
        One(RULE, "{r.id} = {up[f].rule_id}"), "What was checked.", returns=lazy("rule", "Rule")
    )
    cluster = mapped(
        One(CLUSTER, "{c.id} = {up[pc].cluster_id}"),
        "Where it was found.",
        returns=lazy("cluster", "Cluster"),
    )
    namespace: str | None = column(
        "nullif({p.namespace}, '')", "The subject's namespace; null in cluster scope."
    )
    subject = mapped(
        One(SUBJECT, "{s.id} = {up[p].subject_id}"),
        "What it is about.",
        returns=lazy("subject", "Subject"),
    )
    container: str | None = column("nullif({p.container}, '')", "The container, where it has one.")
    image = mapped(
        One(IMAGE, "{i.id} = {up[pc].image_id}"),
        "The image, where it has one.",
        returns=lazy("image", "Image") | None,
    )
    package: FindingPackage | None = mapped(
        Inline(when="{f.package} IS NOT NULL"), "The package, where it is in one."
    )
    target: str | None = column("{f.target}", "The file or part of the subject, where given.")
    occurrences: int = mapped(
        Computed(_occurrences),
        "How many of the reports asked for carry it here.",
    )
    state: ReportState = column(STATE, "LIVE where a live report carries it, else ABSENT, …")
    first_seen_at: DateTime = column(FIRST_SEEN, "Since when it is open at this place.")
    observed_at: DateTime = column(
        "{pc.observed_at}", "When the newest report that carries it was observed."
    )
    reports = mapped(
        Many(
            REPORT,
            "{rp.placement_id} = {up[pc].placement_id} AND {rp.content_id} = {up[f].content_id}",
            "{rp.key}",
            REPORTS_DEFAULT,
        ),
        "The reports that carry it here.",
        ("first", int | None, "How many at most.", REPORTS_DEFAULT),
        returns=listed("report", "Report"),
    )


@strawberry.type(description="Findings.")
class FindingConnection(Connection[Finding]):
    pass


ALL = FindingPage()
OF_CLUSTER = FindingPage(
    place="{pc.cluster_id} = {up[c].id}", counts="{sc.cluster_id} = {up[c].id}"
)
OF_RULE = FindingPage(entry="{f.rule_id} = {up[r].id}", few=True)
OF_SUBJECT = FindingPage(place="{p.subject_id} = {up[s].id}", few=True)
OF_IMAGE = FindingPage(place="{pc.image_id} = {up[i].id}", few=True)
