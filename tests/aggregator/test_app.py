"""Who may use which route, and what stands in the answers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import httpx
import pytest
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from aggregator.access import administration
from aggregator.access.bootstrap import ensure_admin
from aggregator.access.principal import Principal, Role
from aggregator.app import LEFT, REVOKED, Application
from aggregator.cli.server import bind, bound_address, serving
from aggregator.metrics import HTTP_REQUESTS
from aggregator.settings import Address, Settings
from aggregator.store.pool import Pool

OWNER = Principal("00000000-0000-0000-0000-000000000000", "owner", Role.ADMIN)


class Echo:
    """In place of GraphQL: says who asks."""

    async def handle(self, request: Request) -> Response:
        principal = request.state.principal
        body = await request.body()
        return JSONResponse({"who": principal and principal.name, "bytes": len(body)})


class Doors:
    """In place of the hub: remembers whether it is open."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")


async def hold(websocket: WebSocket, principal: Principal, _hub: Any) -> None:
    """In place of a session: says which cluster it is of, and stays."""
    await websocket.accept("fleetwatch.v1")
    await websocket.send_json({"cluster": principal.cluster_id})
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.receive_bytes()


class Running(Struct):
    url: str
    pool: Pool
    admin: str
    viewer: str
    agent: str
    agent_cluster: int
    doors: Doors


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[Running]:
    doors = Doors()
    settings = Settings(database_url=dsn, query_connections=2, ingest_connections=1)
    app = Application(settings, graphql=lambda _: Echo(), hub=lambda _: doors, serve=hold)
    listener = bind(Address("127.0.0.1", 0))
    url = bound_address(listener).url
    async with serving(app, settings, listener):
        admin = await ensure_admin(app.pool, token=None, actor="admin")
        assert admin is not None
        viewer = await administration.create_token(
            app.pool,
            OWNER,
            name="v",
            role="VIEWER",
            clusters=None,
            namespaces=None,
            expires_at=None,
        )
        added = await administration.add_cluster(app.pool, OWNER, name="prod", labels={})
        yield Running(url, app.pool, admin, viewer.token, added.token, added.cluster_id, doors)
    assert doors.calls == ["start", "stop"]


async def ask(
    app: Running, path: str, token: str | None = None, method: str = "GET", **rest: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, app.url + path, headers=headers, **rest)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/graphql"])
async def test_what_anyone_may_see(app: Running, path: str) -> None:
    assert (await ask(app, path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/graphql"),
        ("GET", "/graphql?query={fleet{clusters}}"),
        ("GET", "/metrics"),
        ("GET", "/admin/tokens"),
        ("POST", "/admin/clusters/prod/tokens"),
    ],
)
async def test_all_else_needs_a_token_of_the_api(app: Running, method: str, path: str) -> None:
    without = await ask(app, path, method=method)
    assert without.status_code == 401
    assert without.headers["www-authenticate"] == 'Bearer realm="fleetwatch"'
    assert without.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"

    agent = await ask(app, path, app.agent, method)
    assert agent.status_code == 403
    assert agent.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"

    admin = await ask(app, path, app.admin, method)
    assert admin.status_code == 200


async def test_a_viewer_asks_and_administers_nothing(app: Running) -> None:
    assert (await ask(app, "/graphql", app.viewer, "POST")).json()["who"] == "v"
    assert (await ask(app, "/metrics", app.viewer)).status_code == 200
    assert (await ask(app, "/admin/tokens", app.viewer)).status_code == 403
    assert (await ask(app, "/admin/clusters/prod/tokens", app.viewer, "POST")).status_code == 403


async def test_a_second_token_for_an_agent(app: Running) -> None:
    made = await ask(app, "/admin/clusters/prod/tokens", app.admin, "POST")
    missing = await ask(app, "/admin/clusters/none/tokens", app.admin, "POST")

    assert made.json()["token"].startswith("fw_")
    assert missing.status_code == 404
    tokens = (await ask(app, "/admin/tokens", app.admin)).json()["tokens"]
    assert [token["cluster"] for token in tokens].count("prod") == 2
    assert "fw_" not in str(tokens)


async def test_bodies_are_bounded(app: Running) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 65536

    announced = await ask(app, "/graphql", app.viewer, "POST", content=b"x" * (2**20 + 1))
    chunked = await ask(app, "/graphql", app.viewer, "POST", content=chunks(17))
    largest = await ask(app, "/graphql", app.viewer, "POST", content=b"x" * 2**20)
    largest_chunked = await ask(app, "/graphql", app.viewer, "POST", content=chunks(16))

    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert "1,048,576 bytes" in announced.json()["errors"][0]["message"]
    assert largest.json()["bytes"] == largest_chunked.json()["bytes"] == 2**20


async def test_a_client_that_leaves_within_its_request_is_no_fault(
    app: Running, caplog: pytest.LogCaptureFixture
) -> None:
    left = HTTP_REQUESTS.labels("/graphql", str(LEFT))._value
    before = left.get()
    host, _, port = app.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    headers = f"Host: a\r\nAuthorization: Bearer {app.viewer}\r\nContent-Length: 100\r\n"
    writer.write(f"POST /graphql HTTP/1.1\r\n{headers}\r\nhalf".encode())
    await writer.drain()
    writer.close()
    async with asyncio.timeout(10):
        while left.get() == before:
            await asyncio.sleep(0.01)

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_answers_carry_security_headers_and_allow_no_other_origin(app: Running) -> None:
    for path in ("/healthz", "/nothing", "/metrics"):
        headers = (await ask(app, path, app.admin)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


async def test_metrics_count_requests(app: Running) -> None:
    await ask(app, "/healthz")
    text = (await ask(app, "/metrics", app.viewer)).text

    assert 'fleetwatch_http_requests_total{route="/healthz",status="200"}' in text
    assert "process_resident_memory_bytes" in text


async def test_not_ready_without_the_schema(postgres_dsn_empty: str) -> None:
    settings = Settings(database_url=postgres_dsn_empty)
    app = Application(settings, graphql=lambda _: Echo(), hub=lambda _: Doors(), serve=hold)
    listener = bind(Address("127.0.0.1", 0))
    url = bound_address(listener).url
    async with serving(app, settings, listener), httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}/readyz")).status_code == 503
        assert (await client.get(f"{url}/healthz")).status_code == 200


async def test_no_token_reaches_a_log(app: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="aggregator")
    await ask(app, f"/metrics?token={app.admin}")
    await ask(app, f"/nothing/{'x' * 10}", app.admin)

    server = [
        r.getMessage() for r in caplog.records if r.name.startswith(("aggregator", "uvicorn"))
    ]
    assert any("401" in message for message in server)
    assert not any("fw_" in message for message in server)


def connect(
    app: Running, client: aiohttp.ClientSession, token: str | None, cluster: str | None = None
) -> "aiohttp.client._WSRequestContextManager":
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if cluster is not None:
        headers["X-Fleetwatch-Cluster"] = cluster
    url = f"{app.url}/agent/v1"
    return client.ws_connect(url, headers=headers, protocols=("fleetwatch.v1",))


async def test_an_agent_gets_its_clusters_session(app: Running) -> None:
    async with aiohttp.ClientSession() as client, connect(app, client, app.agent) as socket:
        assert socket.protocol == "fleetwatch.v1"
        assert await socket.receive_json() == {"cluster": app.agent_cluster}


async def test_an_administrator_pushes_to_a_named_cluster(app: Running) -> None:
    async with aiohttp.ClientSession() as client, connect(app, client, app.admin, "new") as socket:
        cluster_id = (await socket.receive_json())["cluster"]
    assert await app.pool.fetchval("SELECT name FROM cluster WHERE id = $1", cluster_id) == "new"


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("viewer", 403), ("admin", 403)])
async def test_who_may_not_open_a_session(app: Running, token: str | None, status: int) -> None:
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with connect(app, client, token and getattr(app, token)):
                pass

    assert refusal.value.status == status


async def test_a_session_ends_when_its_token_is_revoked(app: Running) -> None:
    credential = await app.pool.fetchval("SELECT id::text FROM credential WHERE role = 'AGENT'")
    async with aiohttp.ClientSession() as client, connect(app, client, app.agent) as socket:
        await socket.receive_json()
        await administration.revoke_token(app.pool, OWNER, id=credential)

        async with asyncio.timeout(10):
            closing = await socket.receive()
    assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, REVOKED)


async def test_a_database_that_is_away_is_said_to_be(
    app: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("gone")

    monkeypatch.setattr(type(app.pool), "fetchrow", away)
    answer = await ask(app, "/graphql", app.viewer, "POST")

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
