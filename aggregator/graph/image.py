"""Images: what runs and what reports name, across the clusters in scope."""

from collections.abc import Sequence
from enum import Enum

import strawberry

from aggregator.graph import cluster_filter, taken
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import ClusterFilter, StringFilter, given, order_direction, text
from aggregator.graph.finding_arguments import FINDING_ARGUMENTS
from aggregator.graph.mapping import Computed, Later, column, lazy, mapped
from aggregator.graph.node import Node, identity
from aggregator.graph.pages import AFTER, FIRST, Connection, Listing, Page, Term
from aggregator.graph.scalars import Direction, Long
from aggregator.graph.selection import Selected
from aggregator.graph.severities import OPEN, SeverityCounts, counts
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import IMAGE, IMAGE_USAGE, places


@strawberry.input(description="Which images. All that is given must hold.")
class ImageFilter:
    name: StringFilter | None = given("By the full name: registry/repository:tag@digest.")
    registry: StringFilter | None = given("By the registry: docker.io, ghcr.io …")
    repository: StringFilter | None = given("By the repository: library/nginx …")
    tag: StringFilter | None = given("By the tag.")
    digest: StringFilter | None = given("By the digest: sha256:…")
    running: bool | None = given("Whether a pod runs it.")
    scanned: bool | None = given("Whether a live or absent report is about it.")
    cluster: ClusterFilter | None = given("By the clusters that use it.")


@strawberry.enum(description="What images are ordered by.")
class ImageOrderField(Enum):
    NAME = "NAME"
    CRITICAL = "CRITICAL"
    CLUSTERS = "CLUSTERS"


@strawberry.input(description="The order of images.")
class ImageOrder:
    field: ImageOrderField = strawberry.field(description="By what.")
    direction: Direction | None = order_direction(Direction.DESC)


def _usage(compilation: Compilation, row: Row, value: str, conditions: Sequence[str] = ()) -> str:
    inner = IMAGE_USAGE.row(compilation.statement, row)
    found = [
        inner.fill("{iu.image_id} = {up[i].id}"),
        *(inner.fill(condition) for condition in conditions),
        *IMAGE_USAGE.scope(compilation.statement, inner),
    ]
    return f"SELECT {inner.fill(value)} FROM {inner.fill(IMAGE_USAGE.source)}{where(found)}"


def _uses(value: str) -> Computed:
    return Computed(lambda c, row, _: f"({_usage(c, row, value)})")


def _any(condition: str) -> Computed:
    return Computed(lambda c, row, _: f"EXISTS ({_usage(c, row, '', [condition])})")


_CLUSTERS = "count(DISTINCT {iu.cluster_id})"
_RUNNING = "{iu.pods} > 0"
_SCANNED = "{iu.reports} > 0"


def _places(compilation: Compilation, row: Row) -> tuple[Row, str]:
    """Return where live and absent reports are about an image: the row, and FROM and WHERE."""
    table = places(compilation.statement)
    inner = table.row(compilation.statement, row)
    found = [
        inner.fill("{pc.image_id} = {up[i].id} AND {pc.live} + {pc.absent} > 0"),
        *table.scope(compilation.statement, inner),
    ]
    return inner, f" FROM {inner.fill(table.source)}{where(found)}"


def _counted(compilation: Compilation, row: Row, *more: str) -> tuple[str, str]:
    # By content first: an image at thousands of places has few contents. OFFSET: each is looked up.
    inner, tail = _places(compilation, row)
    statement = compilation.statement
    at, alias, counted = statement.alias("at"), statement.alias("n"), statement.row("cc")
    found = [f"{{cc.content_id}} = {at}.content_id AND {{cc.status}} IN ({OPEN})", *more]
    return alias, (
        f" FROM (SELECT {inner['pc'].content_id}, count(*) AS places{tail} GROUP BY 1) {at}"
        f" CROSS JOIN LATERAL (SELECT {counted['cc'].severity},"
        f" {counted['cc'].findings} * {at}.places AS findings"
        f" FROM content_count {counted['cc']}{where(counted.fill(each) for each in found)} OFFSET 0) {alias}"
    )


def _severities(compilation: Compilation, row: Row, field: Selected) -> str:
    return counts(compilation, field, *_counted(compilation, row))


def _critical(compilation: Compilation, row: Row) -> str:
    alias, tail = _counted(compilation, row, "{cc.severity} = 'CRITICAL'")
    return f"(SELECT coalesce(sum({alias}.findings), 0)::bigint{tail})"


def _by_critical(compilation: Compilation, row: Row) -> str:
    exact = _critical(compilation, row)
    if compilation.statement.scoped:
        return exact
    return taken.either(
        compilation.statement,
        exact,
        f"(SELECT coalesce(sum(o.findings), 0)::bigint FROM image_stat o WHERE o.image_id = {row['i'].id}"
        f" AND o.severity = 'CRITICAL' AND o.status IN ({OPEN}))",
    )


def _by_clusters(compilation: Compilation, row: Row) -> str:
    exact = f"({_usage(compilation, row, _CLUSTERS)})"
    if compilation.statement.scoped:
        return exact
    spread = f"SELECT o.clusters FROM image_spread o WHERE o.image_id = {row['i'].id}"
    return taken.either(compilation.statement, exact, f"coalesce(({spread}), 0)::bigint")


def _os(compilation: Compilation, row: Row, field: Selected) -> str:
    del field
    inner, tail = _places(compilation, row)
    content = compilation.statement.alias("ct")
    return (
        f"(SELECT {content}.os FROM content {content} WHERE {content}.os IS NOT NULL"
        f" AND {content}.id IN (SELECT {inner['pc'].content_id}{tail}) ORDER BY {content}.id DESC LIMIT 1)"
    )


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of an ImageFilter."""
    found = [
        condition
        for name in ("name", "registry", "repository", "tag", "digest")
        for condition in text(compilation, row.fill(f"{{i.{name}}}"), tree.get(name))
    ]
    for name, condition in (("running", _RUNNING), ("scanned", _SCANNED)):
        leaf = tree.get(name)
        if isinstance(leaf, Given):
            used = f"EXISTS ({_usage(compilation, row, '', [condition])})"
            found.append(used if leaf.value else f"NOT {used}")
    cluster = tree.get("cluster")
    if isinstance(cluster, dict):
        clusters = f"{{iu.cluster_id}} = ANY({cluster_filter.ids(compilation, cluster)})"
        found.append(f"EXISTS ({_usage(compilation, row, '', [clusters])})")
    return found


@strawberry.type(description="A container image, as reports or pods name it.")
class Image(Node):
    id: strawberry.ID = column(identity("Image", "{i.id}"), "Opaque and stable.")
    registry: str = column("{i.registry}", "docker.io where none is named.")
    repository: str = column("{i.repository}", "library/… for Docker's own.")
    tag: str | None = column("nullif({i.tag}, '')", "Null where only a digest is known.")
    digest: str | None = column("nullif({i.digest}, '')", "Null where it is not known.")
    digest_trusted: bool = column(
        "{i.digest_trusted}", "Whether pods were seen running this digest; reports may be wrong."
    )
    name: str = column("{i.name}", "registry/repository:tag@digest, what is known of it.")
    os: str | None = mapped(Computed(_os), "The operating system that a scan found in it.")
    severities: SeverityCounts = mapped(Computed(_severities), "Its findings by severity.")
    cluster_count: Long = mapped(_uses(_CLUSTERS), "How many clusters use it.")
    workload_count: Long = mapped(
        _uses("count(DISTINCT {iu.subject_id})"), "How many workloads use it."
    )
    running: bool = mapped(_any(_RUNNING), "Whether a pod runs it.")
    scanned: bool = mapped(_any(_SCANNED), "Whether a live or absent report is about it.")
    clusters = mapped(
        Later("cluster", "OF_IMAGE"),
        "The clusters that use it.",
        FIRST,
        AFTER,
        returns=lazy("cluster", "ClusterConnection"),
    )
    subjects = mapped(
        Later("subject", "OF_IMAGE"),
        "The workloads that use it.",
        FIRST,
        AFTER,
        returns=lazy("subject", "SubjectConnection"),
    )
    findings = mapped(
        Later("finding", "OF_IMAGE"),
        "What was found in it, at every place.",
        *FINDING_ARGUMENTS,
        returns=lazy("finding", "FindingConnection"),
    )
    packages = mapped(
        Later("package", "OF_IMAGE"),
        "The packages in it, by its bills of materials.",
        ("filter", lazy("package", "PackageFilter") | None, "Which packages."),
        FIRST,
        AFTER,
        returns=lazy("package", "PackageConnection"),
    )
    runtime_events = mapped(
        Later("event", "OF_IMAGE"),
        "What runtime sensors saw in containers of it, newest first.",
        ("filter", lazy("event_filter", "RuntimeEventFilter") | None, "Which events."),
        FIRST,
        AFTER,
        returns=lazy("event", "RuntimeEventConnection"),
    )


@strawberry.type(description="Images.")
class ImageConnection(Connection[Image]):
    pass


def _of_cluster(compilation: Compilation, row: Row) -> list[str]:
    inner = IMAGE_USAGE.row(compilation.statement, row["up"])
    found = [
        inner.fill("{iu.cluster_id} = {up[c].id}"),
        *IMAGE_USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill(IMAGE_USAGE.source)
    return [row.fill("{i.id}") + f" IN (SELECT {inner['iu'].image_id} FROM {source}{where(found)})"]


def _among_places(joined: str, tie: str) -> Page:
    def link(compilation: Compilation, row: Row) -> list[str]:
        statement = compilation.statement
        table = places(statement)
        inner = Row({**table.row(statement, row["up"]), **statement.row("f", "cp")})
        found = [
            inner.fill(f"{tie} AND {{pc.live}} + {{pc.absent}} > 0"),
            *table.scope(statement, inner),
        ]
        source = inner.fill(f"{table.source} JOIN {joined}")
        return [
            row.fill("{i.id}") + f" IN (SELECT {inner['pc'].image_id} FROM {source}{where(found)})"
        ]

    return Page(IMAGES, link)


_ID = Term("{i.id}", "bigint")
IMAGES = Listing(
    table=IMAGE,
    orders={
        "NAME": (Term("{i.name}", "text"), _ID),
        "CRITICAL": (Term(_by_critical, "bigint"), _ID),
        "CLUSTERS": (Term(_by_clusters, "bigint"), _ID),
    },
    default=("NAME", Direction.ASC),
    conditions=conditions,
    costly=frozenset({"CRITICAL", "CLUSTERS"}),
    taken=frozenset({"CRITICAL", "CLUSTERS"}),
    counted="EXISTS (SELECT FROM image_spread o WHERE o.image_id = {i.id})",
)
ALL = Page(IMAGES)
OF_CLUSTER = Page(IMAGES, _of_cluster)
OF_RULE = _among_places(
    "finding {f} ON {f.content_id} = {pc.content_id}",
    f"{{f.rule_id}} = {{up[r].id}} AND {{f.status}} IN ({OPEN})",
)
OF_PACKAGE = _among_places(
    "content_package {cp} ON {cp.content_id} = {pc.content_id}", "{cp.package_id} = {up[pk].id}"
)
FILTER = ("filter", ImageFilter | None, "Which images.")
ORDER = ("order_by", ImageOrder | None, "In which order; by name if not given.")
