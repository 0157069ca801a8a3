"""What findings can be grouped by: the expression over a finding's row, and how it sorts."""

from dataclasses import dataclass
from enum import Enum

import strawberry


@strawberry.enum(description="What findings are grouped by.")
class FindingDimension(Enum):
    CLUSTER = "CLUSTER"
    CLUSTER_LABEL = "CLUSTER_LABEL"
    NAMESPACE = "NAMESPACE"
    CATEGORY = "CATEGORY"
    SOURCE = "SOURCE"
    SEVERITY = "SEVERITY"
    STATUS = "STATUS"
    RULE = "RULE"
    IMAGE = "IMAGE"
    PACKAGE = "PACKAGE"
    SUBJECT = "SUBJECT"
    SUBJECT_KIND = "SUBJECT_KIND"
    SUBJECT_LABEL = "SUBJECT_LABEL"
    CONTAINER = "CONTAINER"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension. `{d}` in `sort` is the group's value; `empty` stands for null in cursors."""

    name: str
    sql: str
    type: str = "text"
    empty: str = "''"
    sort: str = "coalesce({d}::text, '')"


def _named(table: str, column: str) -> str:
    return f"coalesce((SELECT o.{column} FROM {table} o WHERE o.id = {{d}}), '')"


DIMENSIONS = {
    dimension.name: dimension
    for dimension in (
        Dimension("CLUSTER", "{pc.cluster_id}", "bigint", "0", _named("cluster", "name")),
        Dimension(
            "CLUSTER_LABEL",
            "(SELECT o.labels ->> $label FROM cluster o WHERE o.id = {pc.cluster_id})",
        ),
        Dimension("NAMESPACE", "{p.namespace}"),
        Dimension("CATEGORY", "{f.category}"),
        Dimension("SOURCE", "{p.source}"),
        # Worst last, so that descending is worst first.
        Dimension(
            "SEVERITY", "{f.severity}", sort="array_position(enum_range(NULL::severity), {d})::text"
        ),
        Dimension("STATUS", "{f.status}"),
        Dimension("RULE", "{f.rule_id}", "bigint", "0", _named("rule", "key")),
        Dimension("IMAGE", "{pc.image_id}", "bigint", "0", _named("image", "name")),
        Dimension("PACKAGE", "{f.package}"),
        Dimension("SUBJECT", "{p.subject_id}", "bigint", "0", _named("subject", "name")),
        Dimension("SUBJECT_KIND", "(SELECT o.kind FROM subject o WHERE o.id = {p.subject_id})"),
        Dimension(
            "SUBJECT_LABEL",
            "(SELECT o.labels ->> $label FROM subject o WHERE o.id = {p.subject_id})",
        ),
        Dimension("CONTAINER", "{p.container}"),
    )
}
