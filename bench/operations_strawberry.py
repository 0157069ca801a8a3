"""The peer: the part of our schema that is asked for, through Strawberry's own executor.

Written as one would without a compiler: a statement a list, data loaders for nested objects, plain
attributes for the rest, parsed and validated documents kept. Types are named as ours are, and the
scalars, enums and filters are ours.
"""

import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

from aggregator.access.principal import Scope
from aggregator.graph.dimensions import FindingDimension
from aggregator.graph.endpoint import GraphQLRequest
from aggregator.graph.finding_arguments import FindingFilter
from aggregator.graph.image import ImageFilter
from aggregator.graph.scalars import (
    SCALARS,
    ClusterState,
    DateTime,
    FindingStatus,
    Json,
    Long,
    ReportState,
    Severity,
)
from aggregator.graph.subject_filter import SubjectFilter
from aggregator.store.pool import Pool, open_pool
from bench import operations_loaders as sql
from bench.operations_by_hand import MAC_BYTES
from bench.operations_loaders import Loaders
from bench.operations_questions import CONNECTIONS, operations, path

Info = strawberry.Info[Loaders, None]


@strawberry.type
class SeverityCounts:
    critical: Long
    high: Long
    medium: Long
    low: Long


@strawberry.type
class Rule:
    number: strawberry.Private[int]
    key: str
    title: str | None
    severity: Severity
    score: float | None

    @strawberry.field
    async def findings(self, info: Info, first: int = 50) -> "FindingConnection":
        return page(await info.context.findings(first, rule=self.number))


@strawberry.type
class Cluster:
    number: strawberry.Private[int]
    name: str
    state: ClusterState
    labels: Json
    last_seen_at: DateTime | None

    @strawberry.field
    async def subjects(self, info: Info, first: int = 50) -> "SubjectConnection":
        rows = await info.context.limited(sql.SUBJECTS_OF, first).load(self.number)
        return SubjectConnection(nodes=[subject(row) for row in rows])


@strawberry.type
class FindingPackage:
    name: str
    installed_version: str | None
    fixed_version: str | None


@strawberry.type
class Finding:
    id: strawberry.ID
    severity: Severity
    status: FindingStatus
    score: float | None
    message: str | None
    namespace: str | None
    container: str | None
    occurrences: int
    state: ReportState
    observed_at: DateTime
    rule_id: strawberry.Private[int]
    cluster_id: strawberry.Private[int]
    subject_id: strawberry.Private[int]
    package: FindingPackage | None

    @strawberry.field
    async def rule(self, info: Info) -> Rule:
        return rule(await info.context.rules.load(self.rule_id))

    @strawberry.field
    async def cluster(self, info: Info) -> Cluster:
        return cluster(await info.context.clusters.load(self.cluster_id))

    @strawberry.field
    async def subject(self, info: Info) -> "Subject":
        return subject(await info.context.subjects.load(self.subject_id))


@strawberry.type
class FindingConnection:
    nodes: list[Finding]


@strawberry.type
class Subject:
    number: strawberry.Private[int]
    kind: str
    name: str
    namespace: str | None
    labels: Json

    @strawberry.field
    async def severities(self, info: Info) -> SeverityCounts:
        return counts(await info.context.severities_of_subject.load(self.number))

    @strawberry.field
    async def findings(self, info: Info, first: int = 50) -> FindingConnection:
        return page(await info.context.limited(sql.FINDINGS_OF, first).load(self.number))


@strawberry.type
class SubjectConnection:
    nodes: list[Subject]


@strawberry.type
class ClusterConnection:
    nodes: list[Cluster]


@strawberry.type
class Image:
    number: strawberry.Private[int]
    name: str

    @strawberry.field
    async def severities(self, info: Info) -> SeverityCounts:
        return counts(await info.context.severities_of_image.load(self.number))

    @strawberry.field
    async def clusters(self, info: Info, first: int = 50) -> ClusterConnection:
        rows = await info.context.limited(sql.CLUSTERS_OF, first).load(self.number)
        return ClusterConnection(nodes=[cluster(row) for row in rows])


@strawberry.type
class ImageConnection:
    nodes: list[Image]


@strawberry.type
class FindingGroup:
    cluster_id: strawberry.Private[int]
    severity: Severity
    findings: Long
    occurrences: Long
    clusters: Long = Long(1)  # as a group is of one

    @strawberry.field
    async def cluster(self, info: Info) -> Cluster:
        return cluster(await info.context.clusters.load(self.cluster_id))


@strawberry.type
class FindingGroupConnection:
    nodes: list[FindingGroup]


def rule(row: Any) -> Rule:
    """Return a rule of its columns."""
    number, key, title, severity, score = row
    return Rule(number=number, key=key, title=title, severity=Severity(severity), score=score)


def cluster(row: Any) -> Cluster:
    """Return a cluster of its columns."""
    number, name, state, labels, seen = row
    return Cluster(
        number=number,
        name=name,
        state=ClusterState(state),
        labels=Json(json.loads(labels)),
        last_seen_at=seen,
    )


def subject(row: Any) -> Subject:
    """Return a subject of its columns."""
    number, kind, name, namespace, labels = row
    return Subject(
        number=number,
        kind=kind,
        name=name,
        namespace=namespace,
        labels=Json(json.loads(labels)),
    )


def counts(rows: Any) -> SeverityCounts:
    """Return counts of pairs."""
    found = dict(rows)
    critical, high, medium, low = (
        Long(found.get(name, 0)) for name in ("CRITICAL", "HIGH", "MEDIUM", "LOW")
    )
    return SeverityCounts(critical=critical, high=high, medium=medium, low=low)


def page(rows: Any) -> FindingConnection:
    """Return a connection of rows."""
    return FindingConnection(nodes=[finding(*row) for row in rows])


def finding(  # noqa: PLR0917 - in the order of the columns
    id_: str,
    severity: str,
    status: str,
    score: float | None,
    message: str | None,
    namespace: str | None,
    container: str | None,
    occurrences: int,
    state: str,
    observed_at: datetime,
    rule_id: int,
    cluster_id: int,
    subject_id: int,
    package: str | None,
    installed: str | None,
    fixed: str | None,
) -> Finding:
    """Return a finding of its columns."""
    return Finding(
        id=strawberry.ID(id_),
        severity=Severity(severity),
        status=FindingStatus(status),
        score=score,
        message=message,
        namespace=namespace,
        container=container,
        occurrences=occurrences,
        state=ReportState(state),
        observed_at=DateTime(observed_at),
        rule_id=rule_id,
        cluster_id=cluster_id,
        subject_id=subject_id,
        package=FindingPackage(name=package, installed_version=installed, fixed_version=fixed)
        if package
        else None,
    )


@strawberry.type
class Query:
    @strawberry.field
    async def findings(
        self,
        info: Info,
        first: int = 50,
        after: str | None = None,
        filter: FindingFilter | None = None,  # noqa: A002 - the API's name
    ) -> FindingConnection:
        package = filter.package.eq if filter and filter.package else None
        severities = filter.severity.in_ if filter and filter.severity else None
        place = None
        if after:
            severity, *numbers = json.loads(base64.b64decode(after)[MAC_BYTES:])
            place = (severity, *map(int, numbers))
        rows = await info.context.findings(
            first,
            package=package or None,
            severities=[each.name for each in severities] if severities else None,
            after=place,
        )
        return page(rows)

    @strawberry.field
    async def rule(self, info: Info, key: str) -> Rule | None:
        row = await info.context.pool.fetchrow(sql.RULE, key)
        return rule(row) if row else None

    @strawberry.field
    async def finding_groups(
        self, info: Info, by: list[FindingDimension], first: int = 100
    ) -> FindingGroupConnection:
        if by != [FindingDimension.CLUSTER, FindingDimension.SEVERITY]:
            raise ValueError(by)
        rows = await info.context.pool.fetch(sql.GROUPS, first)
        nodes = [
            FindingGroup(
                cluster_id=number,
                severity=Severity(severity),
                findings=Long(found),
                occurrences=Long(occurrences),
            )
            for number, severity, found, occurrences in rows
        ]
        return FindingGroupConnection(nodes=nodes)

    @strawberry.field
    async def subjects(
        self,
        info: Info,
        filter: SubjectFilter,  # noqa: A002 - the API's name
        first: int = 50,
    ) -> SubjectConnection:
        if not (filter.name and filter.cluster and filter.cluster.name):
            raise ValueError(filter)
        values = (filter.name.eq, filter.cluster.name.eq, first)
        rows = await info.context.pool.fetch(sql.SUBJECTS, *values)
        return SubjectConnection(nodes=[subject(row) for row in rows])

    @strawberry.field
    async def images(
        self,
        info: Info,
        filter: ImageFilter,  # noqa: A002 - the API's name
        first: int = 50,
    ) -> ImageConnection:
        if not filter.repository:
            raise ValueError(filter)
        rows = await info.context.pool.fetch(sql.IMAGES, filter.repository.eq, first)
        return ImageConnection(nodes=[Image(number=number, name=name) for number, name in rows])

    @strawberry.field
    async def cluster(self, info: Info, name: str) -> Cluster | None:
        row = await info.context.pool.fetchrow(sql.CLUSTERS, name)
        return cluster(row) if row else None


SCHEMA = strawberry.Schema(
    Query,
    extensions=[ParserCache, ValidationCache],
    config=StrawberryConfig(scalar_map=SCALARS),
)


async def answer(pool: Pool, body: bytes, scope: Scope) -> bytes:
    """Answer one operation."""
    asked = msgspec.json.decode(body, type=GraphQLRequest)
    result = await SCHEMA.execute(
        asked.query, asked.variables, context_value=Loaders(pool, scope), root_value=None
    )
    if result.errors:
        raise RuntimeError(result.errors)
    return msgspec.json.encode({"data": result.data})


def app() -> Starlette:
    """Return the app; uvicorn's factory."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.pool = await open_pool(
            os.environ["DATABASE_URL"],
            size=CONNECTIONS,
            statement_timeout=10,
            application="Strawberry",
            stateless=True,  # as the aggregator's own
        )
        asked = await operations(app.state.pool)
        app.state.scopes = {f"/{path(one)}": one.principal.scope for one in asked.values()}
        yield
        await app.state.pool.close()

    async def handle(request: Request) -> Response:
        state = request.app.state
        scope = state.scopes[request.scope["path"]]
        body = await answer(state.pool, await request.body(), scope)
        return Response(body, media_type="application/json")

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/graphql", handle, methods=["POST"]),
            Route("/scoped", handle, methods=["POST"]),
        ],
    )
