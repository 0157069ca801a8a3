"""Rows as CSV and as lines of JSON: all of a connection, page by page."""

import csv
import io
import json
import zlib
from typing import Any

import httpx
import pytest
import zstandard

from aggregator.graph import export
from aggregator.graph.errors import GraphError
from aggregator.graph.rows import wanted
from tests.aggregator.graph.conftest import Graph
from tests.aggregator.graph.test_http import client  # noqa: F401 - a fixture

FIELDS = (
    "severity message rule { key links } package { name } cluster { name labels } image { name }"
)
ALL = f"{{ findings(filter: {{state: [LIVE, ABSENT, SUPERSEDED]}}) {{ nodes {{ {FIELDS} }} }} }}"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EXPORT_PAGES", (5, 2))


async def fetch(
    client: httpx.AsyncClient,  # noqa: F811
    query: str,
    accept: str,
    variables: dict[str, Any] | None = None,
    **headers: str,
) -> httpx.Response:
    body = {"query": query, "variables": variables}
    answer = await client.post(
        "/graphql", json=body, headers={"accept": accept, "accept-encoding": "identity", **headers}
    )
    assert answer.headers["content-type"].startswith(
        accept if answer.status_code == 200 else "application/json"
    )
    return answer


async def lines(client: httpx.AsyncClient, query: str, **variables: Any) -> list[Any]:  # noqa: F811
    answer = await fetch(client, query, "application/x-ndjson", variables)
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


async def table(client: httpx.AsyncClient, query: str) -> list[list[str]]:  # noqa: F811
    answer = await fetch(client, query, "text/csv")
    return list(csv.reader(io.StringIO(answer.text, newline="")))


async def test_lines_are_all_rows_in_order(client: httpx.AsyncClient, graph: Graph) -> None:  # noqa: F811
    before = len(graph.counter.statements)
    found = await lines(client, ALL)
    pages = len(graph.counter.statements) - before
    expected = await graph.ask(ALL.replace("})", "}, first: 1000)"))
    assert found == expected["findings"]["nodes"]
    assert len(found) > 20
    assert pages == -(-len(found) // 5)


async def test_first_and_after_say_how_many_and_from_where(
    client: httpx.AsyncClient,  # noqa: F811
    graph: Graph,
) -> None:
    query = "query ($n: Int, $after: String) { findings(first: $n, after: $after) { edges { cursor node { id } } } }"
    every = (await graph.ask(query, {"n": 1000}))["findings"]["edges"]
    assert await lines(client, query) == every
    assert await lines(client, query, n=7) == every[:7]
    assert await lines(client, query, n=0) == []
    assert await lines(client, query, n=7, after=every[3]["cursor"]) == every[4:11]


async def test_a_table_has_a_column_a_field(client: httpx.AsyncClient, graph: Graph) -> None:  # noqa: F811
    rows = await table(client, ALL)
    nodes = (await graph.ask(ALL.replace("})", "}, first: 1000)")))["findings"]["nodes"]
    assert rows[0] == [
        "severity",
        "message",
        "rule.key",
        "rule.links",
        "package.name",
        "cluster.name",
        "cluster.labels",
        "image.name",
    ]
    assert len(rows) == len(nodes) + 1
    for row, node in zip(rows[1:], nodes, strict=True):
        assert row[2] == node["rule"]["key"]
        assert row[3] == ", ".join(node["rule"]["links"])
        assert row[4] == (node["package"] or {"name": ""})["name"]
        assert json.loads(row[6]) == node["cluster"]["labels"]


async def test_what_a_spreadsheet_would_calculate_is_text(
    client: httpx.AsyncClient,  # noqa: F811
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(*_: Any) -> bytes:
        rows = [{"message": text} for text in ("=1+1", "+1", "-1", "@x", "\tx", 'a "b",\nc', "ü")]
        info = {"hasNextPage": False, "endCursor": None}
        return json.dumps({"findings": {"rows": rows, "pageInfo": info}}).encode()

    monkeypatch.setattr(graph.endpoint, "_run", run)
    rows = await table(client, "{ findings { nodes { message } } }")
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", 'a "b",\nc', "ü"]


async def test_below_single_objects_and_through_fragments(client: httpx.AsyncClient) -> None:  # noqa: F811
    query = """
        query ($name: String!) { cluster(name: $name) { ... on Cluster { ...F } } }
        fragment F on Cluster { found: findings(filter: {severity: {atLeast: LOW}}) { nodes { s: severity } } }
    """
    found = await lines(client, query, name="prod-eu")
    assert len(found) > 3
    assert {*found[0]} == {"s"}
    assert await lines(client, query, name="nowhere") == []
    rows = await table(client, 'query { cluster(name: "nowhere") { findings { nodes { id } } } }')
    assert rows == [["id"]]


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("{ fleet { reports } }", "BAD_REQUEST", 400),
        ("{ findings { totalCount } }", "BAD_REQUEST", 400),
        ("{ findings { nodes { id } } clusters { nodes { id } } }", "BAD_REQUEST", 400),
        ("{ runtimeEventGroups(by: [RULE]) { events } }", "BAD_REQUEST", 400),
        ("{ __typename }", "BAD_REQUEST", 400),
        ("{ findings( }", "GRAPHQL_PARSE_FAILED", 400),
        ("{ findings(first: -1) { nodes { id } } }", "BAD_INPUT", 200),
        ("{ findings(first: 6000000) { nodes { id } } }", "BAD_INPUT", 200),
        ('{ findings(after: "x") { nodes { id } } }', "BAD_INPUT", 200),
    ],
)
async def test_what_has_no_rows_is_told_as_an_answer(
    client: httpx.AsyncClient,  # noqa: F811
    query: str,
    code: str,
    status: int,
) -> None:
    answer = await client.post("/graphql", json={"query": query}, headers={"accept": "text/csv"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_rows_below_rows_make_pages_smaller(
    client: httpx.AsyncClient,  # noqa: F811
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "MAX_COST", 100)
    before = len(graph.counter.statements)
    found = await lines(
        client, "{ clusters { nodes { name findings(first: 30) { nodes { id } } } } }"
    )
    assert len(graph.counter.statements) - before == -(-len(found) // 2)


async def test_what_fails_later_is_told_where_there_is_a_place(
    client: httpx.AsyncClient,  # noqa: F811
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, asked = graph.endpoint._run, 0

    async def failing(*given: Any) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise GraphError("TIMEOUT", "too long")
        return await run(*given)

    monkeypatch.setattr(graph.endpoint, "_run", failing)
    found = await lines(client, ALL)
    assert len(found) == 6
    assert found[-1] == {"errors": [{"message": "too long", "extensions": {"code": "TIMEOUT"}}]}
    asked = 0
    with pytest.raises(GraphError):
        await table(client, ALL)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_rows_are_packed_as_they_come(client: httpx.AsyncClient, encoding: str) -> None:  # noqa: F811
    plain = await fetch(client, ALL, "application/x-ndjson")
    headers = {"accept": "application/x-ndjson", "accept-encoding": encoding}
    async with client.stream("POST", "/graphql", json={"query": ALL}, headers=headers) as answer:
        packed = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == encoding
    unpacked = (
        zlib.decompress(packed, wbits=31)
        if encoding == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    )
    assert unpacked == plain.content


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("text/csv", "text/csv"),
        ("text/CSV; charset=utf-8, */*", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json, text/csv", None),
        ("*/*", None),
        ("", None),
        ("text/html", None),
    ],
)
def test_the_first_type_that_is_named_decides(accept: str, format_: str | None) -> None:
    assert wanted(accept) == format_
