"""RbacAssessmentReport and ClusterRbacAssessmentReport: what roles allow.

They say nowhere when they were made. The names of roles are seldom legal label values, so the
owner's name is in the annotation more often than not.
"""

from typing import Any

from sources import aquasecurity
from sources.check import read_checks, split_checks
from sources.report import Category, ContentKind, Part, Source

RBAC_CHECKS = ContentKind(
    name="rbac-checks", format=1, reader=1, category=Category.RBAC, read=read_checks
)


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of one owner."""
    return split_checks(obj, RBAC_CHECKS)


SOURCE = Source(
    name="rbac-assessment-report",
    kinds=(
        aquasecurity.kind("RbacAssessmentReport", namespaced=True),
        aquasecurity.kind("ClusterRbacAssessmentReport", namespaced=False),
    ),
    contents=(RBAC_CHECKS,),
    split=split,
)
