"""What `findings` takes, wherever it stands: the filter, the order, the page."""

from enum import Enum
from typing import Optional

import strawberry

from aggregator.graph.filters import (
    CategoryFilter,
    ClusterFilter,
    SeverityFilter,
    StatusFilter,
    StringFilter,
    TimeFilter,
    given,
    order_direction,
)
from aggregator.graph.pages import AFTER, FIRST
from aggregator.graph.scalars import Direction, ReportState
from aggregator.graph.subject_filter import SubjectFilter


@strawberry.input(
    description=(
        "Which findings. All that is given must hold. Without `status`, those that need attention"
        " (FAIL, WARN, ERROR); without `state`, those of live and absent reports."
    )
)
class FindingFilter:
    and_: list["FindingFilter"] | None = given("All of these hold.", "and")
    or_: list["FindingFilter"] | None = given("At least one of these holds.", "or")
    not_: Optional["FindingFilter"] = given("This does not hold.", "not")
    cluster: ClusterFilter | None = given("By the cluster.")
    category: CategoryFilter | None = given("By the category.")
    source: StringFilter | None = given("By what produced it: trivy-operator, kyverno …")
    status: StatusFilter | None = given("By the outcome.")
    severity: SeverityFilter | None = given("By the severity.")
    rule: StringFilter | None = given("By the rule's key: a CVE, a policy, a check.")
    namespace: StringFilter | None = given("By the subject's namespace.")
    subject: SubjectFilter | None = given("By what it is about.")
    container: StringFilter | None = given("By the container.")
    image: StringFilter | None = given("By the image's name: registry/repository:tag@digest.")
    package: StringFilter | None = given("By the package's name.")
    fixable: bool | None = given("Whether a fixed version is known.")
    score_at_least: float | None = given("By the score.")
    first_seen_at: TimeFilter | None = given("By when it was first seen at its place.")
    observed_at: TimeFilter | None = given("By when its report was last observed to change.")
    state: list[ReportState] | None = given("By the state of the reports that carry it.")


@strawberry.enum(description="What findings are ordered by.")
class FindingOrderField(Enum):
    SEVERITY = "SEVERITY"
    RULE = "RULE"
    FIRST_SEEN = "FIRST_SEEN"
    SCORE = "SCORE"


@strawberry.input(description="The order of findings.")
class FindingOrder:
    field: FindingOrderField = strawberry.field(description="By what.")
    direction: Direction | None = order_direction(Direction.DESC)


FINDING_FILTER = ("filter", FindingFilter | None, "Which findings.")
FINDING_ARGUMENTS = (
    FINDING_FILTER,
    ("order_by", FindingOrder | None, "In which order; the worst first if not given."),
    FIRST,
    AFTER,
)
__all__ = ["FINDING_ARGUMENTS", "FINDING_FILTER", "FindingFilter", "FindingOrder"]
