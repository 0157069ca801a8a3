"""Subjects: what findings are about: workloads, nodes, namespaces, roles, whole clusters."""

from enum import Enum

import strawberry

from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import order_direction
from aggregator.graph.finding_arguments import FINDING_ARGUMENTS
from aggregator.graph.mapping import Computed, Later, Many, One, column, lazy, listed, mapped
from aggregator.graph.node import Node, identity
from aggregator.graph.pages import AFTER, FIRST, Connection, Listing, Page, Term
from aggregator.graph.scalars import Direction, Json
from aggregator.graph.selection import Selected
from aggregator.graph.severities import CATEGORY, OPEN, SeverityCounts, category, counts
from aggregator.graph.statement import Row, where
from aggregator.graph.subject_filter import SubjectFilter, conditions
from aggregator.graph.tables import CLUSTER, IMAGE, IMAGE_USAGE, REPORT, SUBJECT

MAX_IMAGES = 100  # images shown of a subject
MAX_REPORTS = 1_000  # reports shown of a subject
USUAL_REPORTS = 10  # reports of a subject, for the cost


@strawberry.enum(description="What subjects are ordered by.")
class SubjectOrderField(Enum):
    NAME = "NAME"
    CRITICAL = "CRITICAL"


@strawberry.input(description="The order of subjects.")
class SubjectOrder:
    field: SubjectOrderField = strawberry.field(description="By what.")
    direction: Direction | None = order_direction(Direction.ASC)


# A subject has one cluster and one namespace: who sees it sees all that is counted here.
_COUNTED = (
    "placement {op} JOIN placement_content {oc} ON {oc.placement_id} = {op.id}"
    " JOIN content_count {cc} ON {cc.content_id} = {oc.content_id}"
)


def _counted(compilation: Compilation, row: Row) -> tuple[Row, list[str]]:
    inner = Row({**compilation.statement.row("op", "oc", "cc"), "up": row})
    return inner, [
        inner.fill("{op.subject_id} = {up[s].id} AND {oc.live} + {oc.absent} > 0"),
        inner.fill(f"{{cc.status}} IN ({OPEN})"),
    ]


def _severities(compilation: Compilation, row: Row, field: Selected) -> str:
    inner, found = _counted(compilation, row)
    given = compilation.arguments(field).get("category")
    found += category(inner.fill("{cc.category}"), given)
    tail = f" FROM {inner.fill(_COUNTED)}{where(found)}"
    return counts(compilation, field, str(inner["cc"]), tail)


def _critical(compilation: Compilation, row: Row) -> str:
    inner, found = _counted(compilation, row)
    found.append(inner.fill("{cc.severity} = 'CRITICAL'"))
    return (
        f"(SELECT coalesce(sum({inner['cc'].findings}), 0)::bigint"
        f" FROM {inner.fill(_COUNTED)}{where(found)})"
    )


@strawberry.type(description="What findings are about: a workload, a node, a role …")
class Subject(Node):
    id: strawberry.ID = column(identity("Subject", "{s.id}"), "Opaque and stable.")
    cluster = mapped(
        One(CLUSTER, "{c.id} = {up[s].cluster_id}"),
        "Where it is.",
        returns=lazy("cluster", "Cluster"),
    )
    kind: str = column("{s.kind}", "Its kind: Deployment, Node, ClusterRole …")
    api_group: str | None = column("nullif({s.api_group}, '')", "Null for the core group.")
    namespace: str | None = column("nullif({s.namespace}, '')", "Null in cluster scope.")
    name: str = column("{s.name}", "Its name.")
    labels: Json = column("{s.labels}", "Its labels: an object of strings.")
    resolved: bool = column(
        "{s.resolved}", "Whether an inventory says that it is the owner, not labels alone."
    )
    images = mapped(
        Many(
            IMAGE,
            "{i.id} IN (SELECT iu.image_id FROM image_usage iu WHERE iu.subject_id = {up[s].id})",
            "{i.name}, {i.id}",
            MAX_IMAGES,
            estimate=2,
        ),
        "The images that it runs or that its reports name.",
        returns=listed("image", "Image"),
    )
    pods: int | None = column("{s.pods}", "How many pods it runs; null without an inventory.")
    severities: SeverityCounts = mapped(
        Computed(_severities), "Its findings by severity.", CATEGORY
    )
    scanned: bool = column("{s.scanned}", "Whether a live or absent report is about it.")
    findings = mapped(
        Later("finding", "OF_SUBJECT"),
        "Its findings.",
        *FINDING_ARGUMENTS,
        returns=lazy("finding", "FindingConnection"),
    )
    reports = mapped(
        Many(REPORT, "{p.subject_id} = {up[s].id}", "{rp.key}", MAX_REPORTS, USUAL_REPORTS),
        "The reports about it.",
        returns=listed("report", "Report"),
    )
    runtime_events = mapped(
        Later("event", "OF_SUBJECT"),
        "What runtime sensors saw in it, newest first.",
        ("filter", lazy("event_filter", "RuntimeEventFilter") | None, "Which events."),
        FIRST,
        AFTER,
        returns=lazy("event", "RuntimeEventConnection"),
    )


@strawberry.type(description="Subjects.")
class SubjectConnection(Connection[Subject]):
    pass


def _of_cluster(compilation: Compilation, row: Row) -> list[str]:
    del compilation
    return [row.fill("{s.cluster_id} = {up[c].id} AND {s.present}")]


def _of_image(compilation: Compilation, row: Row) -> list[str]:
    inner = IMAGE_USAGE.row(compilation.statement, row["up"])
    found = [
        inner.fill("{iu.image_id} = {up[i].id}"),
        *IMAGE_USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill(IMAGE_USAGE.source)
    return [
        row.fill("{s.id}") + f" IN (SELECT {inner['iu'].subject_id} FROM {source}{where(found)})"
    ]


_ID = Term("{s.id}", "bigint")
SUBJECTS = Listing(
    table=SUBJECT,
    orders={"NAME": (Term("{s.name}", "text"), _ID), "CRITICAL": (Term(_critical, "bigint"), _ID)},
    default=("NAME", Direction.ASC),
    conditions=conditions,
    costly=frozenset({"CRITICAL"}),
)
ALL = Page(SUBJECTS)
OF_CLUSTER = Page(SUBJECTS, _of_cluster)
OF_IMAGE = Page(SUBJECTS, _of_image)
FILTER = ("filter", SubjectFilter | None, "Which subjects.")
ORDER = ("order_by", SubjectOrder | None, "In which order; by name if not given.")
