"""The floor of the ten operations: what a developer writes for one answer and nothing else.

One path an operation, one statement, the store's pool and Starlette as ours. Postgres writes the JSON
where there is much of it; else straight-line Python shapes rows for msgspec, whichever was faster. A
request brings only its variables, so no GraphQL is read here at all.
"""

import base64
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator.store.pool import RANDOM_PAGE_COST, Connection, Pool
from bench import operations_statements as sql
from bench.finding_queries import Question
from bench.operations_questions import CONNECTIONS, operations, slug

MAC_BYTES = 16  # before what a cursor says; by hand nobody signs
Answer = Callable[[Pool, Any, Sequence[int]], Awaitable[bytes]]


class Variables(msgspec.Struct):
    """What a request may bring."""

    key: str = ""
    name: str = ""
    cluster: str = ""
    after: str = ""
    package: str = ""
    subject: str = ""
    first: int = 0


async def _leave_as_it_is(_connection: Connection) -> None:
    """Reset nothing."""


async def _made(pool: Pool, statement: str, *values: Any) -> bytes:
    body: bytes = await pool.fetchval(statement, *values)
    return body


async def page(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer the page of a hundred."""
    del scope
    if given.first != 100:  # which stands in the statement, so that it keeps its plan
        raise ValueError(given)
    return await _made(pool, sql.PAGE)


async def rule(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer a rule with its findings."""
    del scope
    return await _made(pool, sql.RULE, given.key)


async def groups(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer the groups by cluster and severity."""
    del given, scope
    return await _made(pool, sql.GROUPS)


async def subject(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer a subject with its findings."""
    del scope
    return await _made(pool, sql.SUBJECT, given.cluster, given.subject)


async def images(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer the images of a repository with their clusters."""
    del scope
    nodes = [
        {
            "name": a,
            "severities": {"critical": b[0] or 0, "high": b[1] or 0},
            "clusters": {"nodes": [{"name": name} for name in c]},
        }
        for a, b, c in await pool.fetch(sql.IMAGES, given.name)
    ]
    return _encoded({"images": {"nodes": nodes}})


async def deep_page(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer the page after a cursor."""
    del scope
    severity, entry, cluster, placement = msgspec.json.decode(
        base64.b64decode(given.after)[MAC_BYTES:]
    )
    place = (int(entry), int(cluster), int(placement))
    return await _made(pool, sql.DEEP_PAGE, severity, *place)


async def no_match(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer the critical findings of a package."""
    del scope
    return await _made(pool, sql.NO_MATCH, given.package)


async def scoped_page(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer a page of who sees few clusters."""
    del given
    return await _made(pool, sql.SCOPED_PAGE, scope)


async def nested(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer a cluster with its subjects and their findings."""
    del scope
    nodes: dict[int, dict[str, Any]] = {}
    for number, name, severity, key, title in await pool.fetch(sql.NESTED, given.name):
        node = nodes.get(number)
        if node is None:
            node = nodes[number] = {"name": name, "findings": {"nodes": []}}
        if severity:
            node["findings"]["nodes"].append(
                {"severity": severity, "rule": {"key": key, "title": title}}
            )
    return _encoded({"cluster": {"name": given.name, "subjects": {"nodes": list(nodes.values())}}})


async def cluster(pool: Pool, given: Variables, scope: Sequence[int]) -> bytes:
    """Answer one cluster."""
    del scope
    row = await pool.fetchrow(sql.CLUSTER, given.name)
    if row is None:
        return _encoded({"cluster": None})
    name, state, labels, seen = row
    return _encoded(
        {
            "cluster": {
                "name": name,
                "state": state,
                "labels": msgspec.Raw(labels.encode()),
                "lastSeenAt": seen,
            }
        }
    )


def _encoded(data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"data": data})


ANSWERS: dict[str, Answer] = {
    "page by severity": page,
    "CVE lookup": rule,
    "groups by cluster and severity": groups,
    "subject with findings": subject,
    "image with clusters": images,
    "deep page": deep_page,
    "filter without a match": no_match,
    "scoped user": scoped_page,
    "nested three levels": nested,
    "small single object": cluster,
}


def variables(name: str, question: Question) -> list[dict[str, Any]]:
    """Return what a request by hand brings for each that the GraphQL servers are asked."""
    more: dict[str, Any] = {}
    if name == "deep page":
        [more["after"]] = re.findall(r'after: "([^"]+)"', question.query)
    elif name == "filter without a match":
        [more["package"]] = re.findall(r'package: \{eq: "([^"]+)"', question.query)
    elif name == "subject with findings":
        [more["subject"]] = re.findall(r' name: \{eq: "([^"]+)"', question.query)
    return [{**each, **more} for each in question.variables]


async def answer(pool: Pool, name: str, body: bytes, scope: Sequence[int]) -> bytes:
    """Answer one operation."""
    return await ANSWERS[name](pool, _DECODER.decode(body), scope)


_DECODER = msgspec.json.Decoder(Variables)


def app() -> Starlette:
    """Return the app; uvicorn's factory."""
    scope: list[int] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"],
            min_size=1,
            max_size=CONNECTIONS,
            reset=_leave_as_it_is,  # as the aggregator's own
            server_settings={
                "application_name": "by hand",
                "timezone": "UTC",
                "jit": "off",
                "random_page_cost": RANDOM_PAGE_COST,
                "plan_cache_mode": "force_generic_plan",  # these few statements are known to bear it
            },
        )
        asked = await operations(app.state.pool)
        scope.extend(asked["scoped user"].principal.scope.clusters or ())
        yield
        await app.state.pool.close()

    def endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            body = await answer(request.app.state.pool, name, await request.body(), scope)
            return Response(body, media_type="application/json")

        return handle

    routes = [Route(f"/{slug(name)}", endpoint(name), methods=["POST"]) for name in ANSWERS]
    return Starlette(lifespan=lifespan, routes=routes)
