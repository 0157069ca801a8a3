"""The endpoint over HTTP."""

import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
import zstandard
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from aggregator.graph import answer as answer_module
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


QUERY = "query ($n: String!) { cluster(name: $n) { name } }"
MANY = "{ findings(first: 100) { nodes { id message rule { key } cluster { name } } } }"
ASKED = {"query": QUERY, "variables": '{"n": "prod-eu"}'}


async def test_a_get_answers_a_query_and_says_when_nothing_has_changed(
    client: httpx.AsyncClient,
) -> None:
    first = await client.get("/graphql", params=ASKED)
    assert first.json() == {"data": {"cluster": {"name": "prod-eu"}}}
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "accept-encoding, authorization"

    for known in (first.headers["etag"], f'"x", {first.headers["etag"][2:]}', "*"):
        again = await client.get("/graphql", params=ASKED, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    other = await client.get("/graphql", params=ASKED, headers={"if-none-match": '"x"'})
    assert other.status_code == 200
    posted = await client.post("/graphql", json={"query": MANY}, headers={"if-none-match": "*"})
    assert posted.status_code == 200
    assert "etag" not in posted.headers


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"query": 'mutation { removeCluster(name: "prod-eu") }'}, "use POST"),
        ({"query": "{ nothing }"}, "nothing"),
        ({"query": QUERY, "variables": "[]"}, "JSON object"),
        ({"query": QUERY, "variables": "{"}, "JSON object"),
        ({"query": ""}, "Syntax"),
    ],
)
async def test_a_get_that_is_no_query_is_told_why(
    client: httpx.AsyncClient, given: dict[str, str], named: str
) -> None:
    answer = await client.get("/graphql", params=given)

    assert answer.status_code == 400
    assert named in answer.json()["errors"][0]["message"]
    assert "etag" not in answer.headers


async def test_a_browser_that_brings_a_query_gets_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql", params=ASKED, headers={"accept": "text/html,*/*"})

    assert answer.headers["content-type"].startswith("text/html")


ACCEPTED = (
    ("gzip", "gzip"),
    ("gzip, deflate, br, zstd", "zstd"),
    ("zstd;q=0.5, gzip;q=0.9", "gzip"),
    ("*", "zstd"),
    ("*;q=0, gzip", "gzip"),
    ("gzip;q=0", None),
    ("identity", None),
    ("br", None),
    ("gzip;q=x", None),
    ("", None),
)


@pytest.mark.parametrize("apart", [False, True])
async def test_answers_are_packed_as_the_client_accepts(
    client: httpx.AsyncClient, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if apart:
        monkeypatch.setattr(answer_module, "PACKED_APART", 0)
    plain = await client.post(
        "/graphql", json={"query": MANY}, headers={"accept-encoding": "identity"}
    )
    assert len(plain.content) > limits.PACKED_FROM
    for accepted, encoding in ACCEPTED:
        headers = {"accept-encoding": accepted}

        async with client.stream(
            "POST", "/graphql", json={"query": MANY}, headers=headers
        ) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])

        assert answer.headers.get("content-encoding") == encoding, accepted
        assert answer.headers["vary"] == "accept-encoding"
        if encoding == "gzip":
            raw = zlib.decompress(raw, 31)
        elif encoding == "zstd":
            raw = zstandard.decompress(raw)
        assert raw == plain.content
        small = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        assert "content-encoding" not in small.headers
