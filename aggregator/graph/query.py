"""The roots of every question."""

import strawberry

from aggregator.graph import cluster as cluster_noun
from aggregator.graph import (
    compliance,
    event,
    event_group,
    failed_report,
    finding,
    group,
    image,
    package,
    report,
    subject,
)
from aggregator.graph import fleet as fleet_noun
from aggregator.graph import rule as rule_noun
from aggregator.graph.finding_arguments import FINDING_ARGUMENTS, FINDING_FILTER
from aggregator.graph.mapping import Computed, mapped
from aggregator.graph.node import NODE_ID, Node, node
from aggregator.graph.pages import AFTER, FIRST
from aggregator.graph.scalars import FindingCategory


@strawberry.type(description="Questions about the fleet, answered within the token's scope.")
class Query:
    fleet: fleet_noun.Fleet = mapped(
        Computed(fleet_noun.fleet),
        "The fleet in numbers.",
        cluster_noun.FILTER,
    )
    cluster: cluster_noun.Cluster | None = mapped(
        Computed(cluster_noun.by_name), "One cluster.", ("name", str, "Its name.")
    )
    clusters: cluster_noun.ClusterConnection = mapped(
        cluster_noun.ALL, "Clusters.", cluster_noun.FILTER, cluster_noun.ORDER, FIRST, AFTER
    )
    findings: finding.FindingConnection = mapped(
        finding.ALL, "Findings; what needs attention unless asked otherwise.", *FINDING_ARGUMENTS
    )
    finding_groups: group.FindingGroupConnection = mapped(
        Computed(group.groups),
        "Findings counted by dimensions.",
        group.BY,
        group.LABEL_KEY,
        FINDING_FILTER,
        *group.PAGE,
    )
    controls: compliance.ControlConnection = mapped(
        Computed(compliance.controls),
        "Compliance: the controls of benchmarks, by key, and where they fail.",
        *compliance.ARGUMENTS,
    )
    rule: rule_noun.Rule | None = mapped(
        Computed(rule_noun.by_key),
        "One rule.",
        ("key", str, "Its key: a CVE, a policy, a check."),
        ("category", FindingCategory | None, "Its category, where a key is used in several."),
    )
    rules: rule_noun.RuleConnection = mapped(
        rule_noun.ALL,
        "Rules that something in scope was checked by.",
        rule_noun.FILTER,
        rule_noun.ORDER,
        FIRST,
        AFTER,
    )
    subjects: subject.SubjectConnection = mapped(
        subject.ALL, "Subjects, found in or not.", subject.FILTER, subject.ORDER, FIRST, AFTER
    )
    images: image.ImageConnection = mapped(
        image.ALL, "Images that run or that reports name.", image.FILTER, image.ORDER, FIRST, AFTER
    )
    packages: package.PackageConnection = mapped(
        package.ALL, "Packages in bills of materials.", package.FILTER, FIRST, AFTER
    )
    reports: report.ReportConnection = mapped(
        report.ALL, "Reports as they stand.", report.FILTER, FIRST, AFTER
    )
    failed_reports: failed_report.FailedReportConnection = mapped(
        failed_report.ALL, "Objects that could not be read.", cluster_noun.FILTER, FIRST, AFTER
    )
    runtime_events: event.RuntimeEventConnection = mapped(
        event.ALL, "What runtime sensors saw, newest first.", *event.ARGUMENTS
    )
    runtime_event_groups: list[event_group.RuntimeEventGroup] = mapped(
        Computed(event_group.groups),
        "Runtime events counted by dimensions; by TIME, intervals without events are there too.",
        *event_group.ARGUMENTS,
    )
    node: Node | None = mapped(Computed(node), "Anything by its id; null if it is gone.", NODE_ID)
