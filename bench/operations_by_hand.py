"""The floor of the ten operations: what a developer writes for one answer and nothing else.

One path an operation, one statement, rows that straight-line Python shapes for msgspec; the store's
pool and Starlette as ours. A request brings only its variables, so no GraphQL is read here at all.
"""

import base64
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator.store.pool import Pool, open_pool
from bench import operations_statements as sql
from bench.finding_queries import Question
from bench.operations_questions import CONNECTIONS, operations, slug

MAC_BYTES = 16  # before what a cursor says; by hand nobody signs
Answer = Callable[[Pool, Any, Sequence[int]], Awaitable[Any]]


class Variables(msgspec.Struct):
    """What a request may bring."""

    key: str = ""
    name: str = ""
    cluster: str = ""
    after: str = ""
    package: str = ""
    subject: str = ""
    first: int = 0


def findings(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the findings of a page of fifty."""
    return [
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
            "rule": {"key": j},
            "cluster": {"name": k},
            "subject": {"kind": m, "name": n},
            "package": o and {"name": o, "installedVersion": p, "fixedVersion": q},
        }
        for a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q in rows
    ]


async def page(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer the page of a hundred."""
    del scope
    if given.first != 100:  # which stands in the statement, so that it keeps its plan
        raise ValueError(given)
    nodes = [
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
            "observedAt": r,
            "rule": {"key": j},
            "cluster": {"name": k},
            "subject": {"kind": m, "name": n},
            "package": o and {"name": o, "installedVersion": p, "fixedVersion": q},
        }
        for a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r in await pool.fetch(sql.PAGE)
    ]
    return {"findings": {"nodes": nodes}}


async def rule(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer a rule with its findings."""
    del scope
    rows = await pool.fetch(sql.RULE, given.key)
    if not rows:
        return {"rule": None}
    key, severity, title, score, found, *_ = rows[0]
    nodes = [
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
            "rule": {"key": key},
            "cluster": {"name": k},
            "subject": {"kind": m, "name": n},
            "package": o and {"name": o, "installedVersion": p, "fixedVersion": q},
        }
        for _, _, _, _, a, b, c, d, e, f, g, h, i, k, m, n, o, p, q in (rows if found else ())
    ]
    about = {"key": key, "severity": severity, "title": title, "score": score}
    return {"rule": {**about, "findings": {"nodes": nodes}}}


async def groups(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer the groups by cluster and severity."""
    del given, scope
    nodes = [
        {
            "cluster": {"name": a},
            "severity": b,
            "findings": c,
            "occurrences": d,
            "clusters": 1,
        }
        for a, b, c, d in await pool.fetch(sql.GROUPS)
    ]
    return {"findingGroups": {"nodes": nodes}}


async def subject(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer a subject with its findings."""
    del scope
    rows = await pool.fetch(sql.SUBJECT, given.cluster, given.subject)
    if not rows:
        return {"subjects": {"nodes": []}}
    kind, name, namespace, labels, critical, high, medium, low, found, *_ = rows[0]
    nodes = [
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
            "rule": {"key": j},
            "cluster": {"name": given.cluster},
            "subject": {"kind": kind, "name": name},
            "package": o and {"name": o, "installedVersion": p, "fixedVersion": q},
        }
        for _, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h, i, j, o, p, q in (rows if found else ())
    ]
    one = {
        "kind": kind,
        "name": name,
        "namespace": namespace,
        "labels": msgspec.Raw(labels.encode()),
        "severities": {
            "critical": critical or 0,
            "high": high or 0,
            "medium": medium or 0,
            "low": low or 0,
        },
        "findings": {"nodes": nodes},
    }
    return {"subjects": {"nodes": [one]}}


async def images(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
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
    return {"images": {"nodes": nodes}}


async def deep_page(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer the page after a cursor."""
    del scope
    severity, entry, cluster, placement = msgspec.json.decode(
        base64.b64decode(given.after)[MAC_BYTES:]
    )
    place = (int(entry), int(cluster), int(placement))
    return {"findings": {"nodes": findings(await pool.fetch(sql.DEEP_PAGE, severity, *place))}}


async def no_match(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer the critical findings of a package."""
    del scope
    return {"findings": {"nodes": findings(await pool.fetch(sql.NO_MATCH, given.package))}}


async def scoped_page(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer a page of who sees few clusters."""
    del given
    return {"findings": {"nodes": findings(await pool.fetch(sql.SCOPED_PAGE, scope))}}


async def nested(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
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
    return {"cluster": {"name": given.name, "subjects": {"nodes": list(nodes.values())}}}


async def cluster(pool: Pool, given: Variables, scope: Sequence[int]) -> Any:
    """Answer one cluster."""
    del scope
    row = await pool.fetchrow(sql.CLUSTER, given.name)
    if row is None:
        return {"cluster": None}
    name, state, labels, seen = row
    return {
        "cluster": {
            "name": name,
            "state": state,
            "labels": msgspec.Raw(labels.encode()),
            "lastSeenAt": seen,
        }
    }


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
    given = _DECODER.decode(body)
    return msgspec.json.encode({"data": await ANSWERS[name](pool, given, scope)})


_DECODER = msgspec.json.Decoder(Variables)


def app() -> Starlette:
    """Return the app; uvicorn's factory."""
    scope: list[int] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.pool = await open_pool(
            os.environ["DATABASE_URL"],
            size=CONNECTIONS,
            statement_timeout=10,
            application="by hand",
            stateless=True,  # as the aggregator's own
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
