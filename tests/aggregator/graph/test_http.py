"""The endpoint over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from aggregator.graph import limits
from tests.aggregator.graph.conftest import ADMIN, Graph


class Authenticated:
    """Lets everybody in as the admin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["principal"] = ADMIN
        await self.app(scope, receive, send)


@pytest.fixture
async def client(graph: Graph) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an app with the endpoint."""
    app = Starlette(
        routes=[Route("/graphql", graph.endpoint.handle, methods=["GET", "POST", "PUT"])],
        middleware=[Middleware(Authenticated)],
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_post_is_answered_in_json(client: httpx.AsyncClient) -> None:
    body = {
        "query": "query ($n: String!) { cluster(name: $n) { name } }",
        "variables": {"n": "prod-eu"},
    }
    answer = await client.post("/graphql", json=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"data": {"cluster": {"name": "prod-eu"}}}


async def test_a_get_shows_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql")
    assert answer.headers["content-type"].startswith("text/html")
    assert "graphiql" in answer.text.lower()
    assert (await client.put("/graphql")).status_code == 405


@pytest.mark.parametrize(
    ("body", "content_type", "named"),
    [
        (b"[]", "application/json", "Batches"),
        (b"{", "application/json", "body"),
        (b'{"query": 1}', "application/json", "query"),
        (b"{}", "text/plain", "content type"),
        (b'{"query": "' + b"x" * limits.MAX_BODY_BYTES + b'"}', "application/json", "bytes"),
        (b"[" * 100_000, "application/json", "Batches"),
        (b'{"variables": ' + b"[" * 100_000, "application/json", "body"),
    ],
)
async def test_a_malformed_request_is_told_why(
    client: httpx.AsyncClient, body: bytes, content_type: str, named: str
) -> None:
    answer = await client.post("/graphql", content=body, headers={"content-type": content_type})
    assert answer.status_code == 400
    assert named in answer.json()["errors"][0]["message"]


async def test_introspection_answers_without_the_database(
    client: httpx.AsyncClient, graph: Graph
) -> None:
    query = "query Q($n: String!) { __type(name: $n) { ...T } } fragment T on __Type { kind name }"
    answer = await client.post("/graphql", json={"query": query, "variables": {"n": "Cluster"}})
    assert answer.json() == {"data": {"__type": {"kind": "OBJECT", "name": "Cluster"}}}
    assert graph.counter.statements == []
    mixed = "{ __schema { queryType { name } } fleet { clusters } __typename }"
    answer = await client.post("/graphql", json={"query": mixed})
    assert answer.json()["data"] == {
        "__schema": {"queryType": {"name": "Query"}},
        "fleet": {"clusters": 4},
        "__typename": "Query",
    }


async def test_graphiql_can_read_the_schema(client: httpx.AsyncClient) -> None:
    from graphql import build_client_schema, get_introspection_query

    answer = await client.post("/graphql", json={"query": get_introspection_query()})
    assert "Finding" in build_client_schema(answer.json()["data"]).type_map
