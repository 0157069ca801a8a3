"""What a developer would write by hand for the same answer: the floor for the GraphQL endpoint.

Three servers in one app: ours, one SELECT whose JSON Postgres makes, and rows that straight-line
Python shapes for msgspec. All use the store's pool. The page size stands in the SQL, as in ours: a
statement without parameters keeps its plan.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator.access.principal import Principal, Role
from aggregator.graph.endpoint import GraphQL
from aggregator.store.pool import open_pool

QUERY = """query Findings($first: Int) {
  findings(first: $first) {
    nodes {
      id severity status score message namespace container occurrences state observedAt
      rule { key }
      cluster { name }
      subject { kind name }
      package { name installedVersion fixedVersion }
    }
  }
}"""

# The fastest join that we know for this page.
ROWS = """
SELECT encode(convert_to('Finding:' || x.placement_id || ':' || x.key || ':' || x.ordinal, 'UTF8'), 'base64') AS id,
    x.severity, x.status, x.score, x.message, x.namespace, x.container, x.occurrences,
    CASE WHEN x.live > 0 THEN 'LIVE' ELSE 'ABSENT' END AS state, x.observed_at AS "observedAt", {rule} AS rule, {cluster} AS cluster,
    {subject} AS subject, {package} AS package
FROM (
    SELECT f.*, pc.*, p.subject_id, p.namespace, p.container, pc.live + pc.absent AS occurrences
    FROM finding f CROSS JOIN LATERAL (
        SELECT placement_id, cluster_id, live, absent, observed_at FROM placement_content pc
        WHERE pc.content_id = f.content_id AND pc.live + pc.absent > 0
        ORDER BY pc.cluster_id, pc.placement_id LIMIT 100
    ) pc JOIN placement p ON p.id = pc.placement_id
    WHERE f.status IN ('FAIL', 'WARN', 'ERROR')
    ORDER BY f.severity DESC, f.id DESC, pc.cluster_id, pc.placement_id LIMIT 100
) x JOIN rule r ON r.id = x.rule_id JOIN cluster c ON c.id = x.cluster_id
JOIN subject s ON s.id = x.subject_id
ORDER BY x.severity DESC, x.id DESC, x.cluster_id, x.placement_id
"""
JSON = "SELECT json_agg(row_to_json(t))::text FROM ({}) t".format(
    ROWS.format(
        rule="(SELECT row_to_json(o) FROM (SELECT r.key) o)",
        cluster="(SELECT row_to_json(o) FROM (SELECT c.name) o)",
        subject="(SELECT row_to_json(o) FROM (SELECT s.kind, s.name) o)",
        package="(SELECT row_to_json(o) FROM (SELECT x.package AS name,"
        ' x.installed_version AS "installedVersion", x.fixed_version AS "fixedVersion") o)',
    )
)
BUILT = "SELECT json_agg(t.o)::text FROM (SELECT json_build_object({}) AS o FROM ({}) q) t".format(
    ", ".join(
        f"'{name}', q.\"{name}\""
        for name in [
            "id",
            "severity",
            "status",
            "score",
            "message",
            "namespace",
            "container",
            "occurrences",
            "state",
            "observedAt",
            "rule",
            "cluster",
            "subject",
            "package",
        ]
    ),
    ROWS.format(
        rule="json_build_object('key', r.key)",
        cluster="json_build_object('name', c.name)",
        subject="json_build_object('kind', s.kind, 'name', s.name)",
        package="json_build_object('name', x.package, 'installedVersion', x.installed_version,"
        " 'fixedVersion', x.fixed_version)",
    ),
)
PLAIN = (
    ROWS.format(
        rule="r.key",
        cluster="c.name",
        subject="s.kind, s.name",
        package="x.package, x.installed_version, x.fixed_version",
    )
    .replace("s.kind, s.name AS subject", "s.kind, s.name")
    .replace(
        "x.package, x.installed_version, x.fixed_version AS package",
        "x.package, x.installed_version, x.fixed_version",
    )
    .replace("x.severity, x.status", "x.severity::text, x.status::text")
)

ADMIN = Principal("11111111-1111-1111-1111-111111111111", "bench", Role.ADMIN)


def shaped(rows: list[Any]) -> bytes:
    """Return the answer for rows, shaped without a loop over fields."""
    return msgspec.json.encode(
        {
            "data": {
                "findings": {
                    "nodes": [
                        {
                            "id": a,
                            "severity": b,
                            "status": c,
                            "score": d,
                            "message": e,
                            "namespace": f,
                            "container": g,
                            "occurrences": h,
                            "state": i,
                            "observedAt": j,
                            "rule": {"key": k},
                            "cluster": {"name": m},
                            "subject": {"kind": n, "name": o},
                            "package": {
                                "name": p,
                                "installedVersion": q,
                                "fixedVersion": r,
                            },
                        }
                        for a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r in rows
                    ]
                }
            }
        }
    )


def app() -> Starlette:
    """Return the app with all servers; uvicorn's factory."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.pool = await open_pool(
            os.environ["DATABASE_URL"],
            size=8,
            statement_timeout=10,
            application="bench",
            stateless=True,  # as the aggregator's own
        )
        app.state.graphql = GraphQL(app.state.pool, cursor_key=b"k" * 32)
        yield
        await app.state.pool.close()

    async def ours(request: Request) -> Response:
        request.state.principal = ADMIN
        answer: Response = await request.app.state.graphql.handle(request)
        return answer

    async def asked(request: Request) -> None:
        first = msgspec.json.decode(await request.body())["variables"]["first"]
        if first != 100:
            raise ValueError(first)

    async def made(request: Request, sql: str) -> Response:
        await asked(request)
        nodes = await request.app.state.pool.fetchval(sql)
        body = '{"data":{"findings":{"nodes":' + nodes + "}}}"
        return Response(body, media_type="application/json")

    async def row_to_json(request: Request) -> Response:
        return await made(request, JSON)

    async def build_object(request: Request) -> Response:
        return await made(request, BUILT)

    async def python(request: Request) -> Response:
        await asked(request)
        rows = await request.app.state.pool.fetch(PLAIN)
        return Response(shaped(rows), media_type="application/json")

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/graphql", ours, methods=["POST"]),
            Route("/row_to_json", row_to_json, methods=["POST"]),
            Route("/json_build_object", build_object, methods=["POST"]),
            Route("/python", python, methods=["POST"]),
        ],
    )
