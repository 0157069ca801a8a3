"""InfraAssessmentReport and ClusterInfraAssessmentReport: control plane pods, and nodes.

They say nowhere when they were made.
"""

from typing import Any

from sources import aquasecurity
from sources.check import read_checks, split_checks
from sources.report import Category, ContentKind, Part, Source

INFRA_CHECKS = ContentKind(
    name="infra-checks", format=1, reader=1, category=Category.INFRASTRUCTURE, read=read_checks
)


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of one owner."""
    return split_checks(obj, INFRA_CHECKS)


SOURCE = Source(
    name="infra-assessment-report",
    kinds=(
        aquasecurity.kind("InfraAssessmentReport", namespaced=True),
        aquasecurity.kind("ClusterInfraAssessmentReport", namespaced=False),
    ),
    contents=(INFRA_CHECKS,),
    split=split,
)
