"""ConfigAuditReport and ClusterConfigAuditReport: how workloads and other objects are configured.

Trivy, Conftest and Polaris have written them; see `sources.check` for their shapes.
"""

from typing import Any

from sources import aquasecurity
from sources.check import read_checks, split_checks
from sources.report import Category, ContentKind, Part, Source

CONFIG_CHECKS = ContentKind(
    name="config-checks", format=1, reader=1, category=Category.MISCONFIGURATION, read=read_checks
)


def split(obj: dict[str, Any]) -> list[Part]:
    """One report of one owner."""
    return split_checks(obj, CONFIG_CHECKS)


SOURCE = Source(
    name="config-audit-report",
    kinds=(
        aquasecurity.kind("ConfigAuditReport", namespaced=True),
        aquasecurity.kind("ClusterConfigAuditReport", namespaced=False),
    ),
    contents=(CONFIG_CHECKS,),
    split=split,
)
