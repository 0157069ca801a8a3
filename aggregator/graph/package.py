"""Packages: what bills of materials list, across the images in scope."""

import strawberry

from aggregator.graph import cluster_filter
from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import ClusterFilter, StringFilter, given, text
from aggregator.graph.mapping import Computed, Later, column, lazy, mapped
from aggregator.graph.pages import AFTER, FIRST, Connection, Listing, Page, Term
from aggregator.graph.scalars import Direction, Long
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import PACKAGE, USAGE, places


@strawberry.input(description="Which packages. All that is given must hold.")
class PackageFilter:
    name: StringFilter | None = given("By the name.")
    version: StringFilter | None = given("By the version.")
    type: StringFilter | None = given("By CycloneDX type: library, application, operating-system …")
    purl: StringFilter | None = given("By the package URL.")
    license: StringFilter | None = given("One of its licences passes.")
    cluster: ClusterFilter | None = given("By the clusters that have it.")


def _used(compilation: Compilation, row: Row, value: str, *more: str) -> str:
    inner = Row({**compilation.statement.row("cp", "u"), "up": row})
    found = [
        inner.fill("{cp.package_id} = {up[pk].id} AND {u.placements} > 0"),
        *(inner.fill(each) for each in more),
        *USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill("content_package {cp} JOIN usage {u} ON {u.content_id} = {cp.content_id}")
    return f"SELECT {inner.fill(value)} FROM {source}{where(found)}"


def _clusters(compilation: Compilation, row: Row, field: Selected) -> str:
    del field
    return f"({_used(compilation, row, 'count(DISTINCT {u.cluster_id})')})"


def _images(compilation: Compilation, row: Row, field: Selected) -> str:
    del field
    statement = compilation.statement
    table = places(statement)
    inner = Row({**table.row(statement, row), **statement.row("cp")})
    found = [
        inner.fill("{cp.package_id} = {up[pk].id} AND {pc.live} + {pc.absent} > 0"),
        *table.scope(statement, inner),
    ]
    source = inner.fill(
        table.source + " JOIN content_package {cp} ON {cp.content_id} = {pc.content_id}"
    )
    return f"(SELECT count(DISTINCT {inner['pc'].image_id}) FROM {source}{where(found)})"


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of a PackageFilter."""
    found = [
        condition
        for name in ("name", "version", "type", "purl")
        for condition in text(compilation, row.fill(f"{{pk.{name}}}"), tree.get(name))
    ]
    licenses = text(compilation, "licence", tree.get("license"))
    if licenses:
        found.append(
            row.fill("EXISTS (SELECT FROM unnest({pk.licenses}) licence") + where(licenses) + ")"
        )
    cluster = tree.get("cluster")
    if isinstance(cluster, dict):
        clusters = f"{{u.cluster_id}} = ANY({cluster_filter.ids(compilation, cluster)})"
        found.append(f"EXISTS ({_used(compilation, row, '', clusters)})")
    return found


@strawberry.type(description="A version of a package, as bills of materials list it.")
class Package:
    name: str = column("{pk.name}", "Its name.")
    version: str = column("{pk.version}", "Its version.")
    type: str | None = column(
        "{pk.type}",
        "Its CycloneDX type: library, application, operating-system …; the ecosystem stands in purl.",
    )
    purl: str | None = column("{pk.purl}", "Its package URL.")
    licenses: list[str] = column("{pk.licenses}", "Its licences.")
    image_count: Long = mapped(Computed(_images), "How many images have it.")
    cluster_count: Long = mapped(Computed(_clusters), "How many clusters have it.")
    images = mapped(
        Later("image", "OF_PACKAGE"),
        "The images that have it.",
        FIRST,
        AFTER,
        returns=lazy("image", "ImageConnection"),
    )
    clusters = mapped(
        Later("cluster", "OF_PACKAGE"),
        "The clusters that have it.",
        FIRST,
        AFTER,
        returns=lazy("cluster", "ClusterConnection"),
    )


@strawberry.type(description="Packages.")
class PackageConnection(Connection[Package]):
    pass


def _of_image(compilation: Compilation, row: Row) -> list[str]:
    statement = compilation.statement
    table = places(statement)
    inner = Row({**table.row(statement, row["up"]), **statement.row("cp")})
    found = [
        inner.fill("{pc.image_id} = {up[i].id} AND {pc.live} + {pc.absent} > 0"),
        *table.scope(statement, inner),
    ]
    source = inner.fill(
        table.source + " JOIN content_package {cp} ON {cp.content_id} = {pc.content_id}"
    )
    return [
        row.fill("{pk.id}") + f" IN (SELECT {inner['cp'].package_id} FROM {source}{where(found)})"
    ]


PACKAGES = Listing(
    table=PACKAGE,
    orders={
        "NAME": (
            Term("{pk.name}", "text"),
            Term("{pk.version}", "text"),
            Term("{pk.id}", "bigint"),
        )
    },
    default=("NAME", Direction.ASC),
    conditions=conditions,
)
ALL = Page(PACKAGES)
OF_IMAGE = Page(PACKAGES, _of_image)
FILTER = ("filter", PackageFilter | None, "Which packages.")
