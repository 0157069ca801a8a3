"""Two aggregators on one Postgres: an agent may land on either, and either may go at any time."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import httpx
import msgspec
import pytest
import websockets
import zstandard
from websockets.asyncio.client import ClientConnection, connect

from aggregator.access import administration
from aggregator.access.bootstrap import ensure_admin
from aggregator.access.principal import Principal, Role
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import Pool
from protocol import messages as m
from tests.aggregator.ingest.test_socket import KIND, Agent, failure
from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.apart import run_apart
from tests.e2e.conftest import Aggregator
from tests.e2e.proxy import Proxy
from tests.e2e.replicas import Replicas
from tests.e2e.test_events import agent_of, alert, kubernetes  # noqa: F401 - a fixture
from tests.fakes.kubernetes import FakeKubernetes

OWNER = Principal("00000000-0000-0000-0000-000000000000", "test", Role.ADMIN)
SOON = 30.0  # seconds in which whatever is waited for has to come
EPOCH = "of-the-tests"


@pytest.fixture(scope="module")
def address(postgres: EmbeddedPostgres) -> str:
    """Return where the database of these tests is: programs take long to start."""

    async def create() -> None:
        connection = await asyncpg.connect(postgres.dsn())
        await connection.execute("CREATE DATABASE replicas TEMPLATE template STRATEGY file_copy")
        await connection.close()

    run_apart(create())
    return postgres.dsn("replicas")


@pytest.fixture(scope="module")
def programs(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    programs = Replicas(address, tmp_path_factory.mktemp("replicas"))
    yield programs
    programs.stop()


@pytest.fixture
def dsn(address: str) -> str:
    return address


@pytest.fixture
async def replicas(programs: Replicas, pool: Pool) -> Replicas:
    """Return two that run, on an empty database."""
    await pool.execute(
        "TRUNCATE cluster, credential, runtime_event, runtime_event_fleet_hour,"
        " runtime_event_fleet_day CASCADE"
    )
    await programs.start(*{"a", "b"} - programs.names)
    return programs


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def admin(replicas: Replicas, pool: Pool) -> str:
    assert replicas.names == {"a", "b"}
    token = await ensure_admin(pool, token=None, actor="test")
    assert token is not None
    return token


async def add_cluster(pool: Pool, name: str = "prod") -> str:
    return (await administration.add_cluster(pool, OWNER, name=name, labels={})).token


async def agent_at(client: aiohttp.ClientSession, url: str, token: str) -> Agent:
    headers = {"Authorization": f"Bearer {token}"}
    protocols = (m.SUBPROTOCOL,)
    return Agent(await client.ws_connect(f"{url}/agent/v1", protocols=protocols, headers=headers))


def upsert(name: str, seq: int = 1) -> m.Upsert:
    return m.Upsert(seq=seq, kind=KIND, items=(failure(name),))


def events(first: int, count: int) -> m.Events:
    numbers = range(first, first + count)
    body = msgspec.msgpack.encode([_event(number) for number in numbers])
    packed = zstandard.ZstdCompressor().compress(body)
    return m.Events(epoch=EPOCH, offsets=tuple(numbers), size=len(body), body=packed)


def _event(number: int) -> m.Event:
    return m.Event(
        time=None,
        received_at=1_764_064_800_000,
        priority=m.Priority.NOTICE,
        rule="A rule",
        source="syscall",
        hostname="node-1",
        namespace="shop",
        pod="web",
        container="app",
        subject=None,
        image=None,
        output=f"event {number}",
        tags=(),
        fields=json.dumps({"n": number}),
    )


async def stored(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT (fields ->> 'n')::int AS n FROM runtime_event ORDER BY 1")
    return [row["n"] for row in rows]


async def until_stored(pool: Pool, numbers: list[int]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON):
            while len(await stored(pool)) < len(numbers):
                await asyncio.sleep(0.05)
    assert await stored(pool) == numbers


async def told(agent: Agent, kind: type[m.FromAggregator]) -> Any:
    """Wait for a frame of a kind."""
    async with asyncio.timeout(SOON):
        while True:
            frame = await agent.receive()
            if isinstance(frame, kind):
                return frame


async def names(pool: Pool) -> set[str]:
    return {row["name"] for row in await pool.fetch("SELECT name FROM failed_report")}


async def test_a_session_moves_and_is_fenced_where_it_was(
    replicas: Replicas, pool: Pool, client: aiohttp.ClientSession
) -> None:
    token = await add_cluster(pool)
    first = await agent_at(client, replicas.url("a"), token)
    assert isinstance(await first.hello(), m.Welcome)

    refused = await (await agent_at(client, replicas.url("b"), token)).hello(instance="two")
    assert isinstance(refused, m.Goodbye)
    assert refused.reason is m.Reason.FENCED
    assert refused.retry_after is not None

    second = await agent_at(client, replicas.url("b"), token)
    assert isinstance(await second.hello(), m.Welcome)  # at once
    await first.send(upsert("stale"))
    fenced = await told(first, m.Goodbye)
    assert fenced.reason is m.Reason.FENCED
    await second.send(upsert("current"))
    assert (await told(second, m.Ack)).seq == 1
    assert await names(pool) == {"current"}


async def test_what_is_pending_is_committed_before_one_ends(
    replicas: Replicas, pool: Pool, client: aiohttp.ClientSession
) -> None:
    token = await add_cluster(pool)
    agent = await agent_at(client, replicas.url("a"), token)
    await agent.hello()
    async with pool.acquire() as connection, connection.transaction():
        # Its commit has to wait, so the signal comes before it.
        await connection.execute("LOCK TABLE failed_report IN EXCLUSIVE MODE")
        await agent.send(upsert("pending"))
        await until_ingest(pool, "wait_event_type = 'Lock'", some=True)
        replicas.terminate("a")
        goodbye = await told(agent, m.Goodbye)
        late = await agent_at(client, replicas.url("a"), await add_cluster(pool, "late"))
        sent_away = await late.hello()
        async with httpx.AsyncClient(trust_env=False) as http:
            ready = await http.get(f"{replicas.url('a')}/readyz")
    assert goodbye.reason is m.Reason.SHUTDOWN
    assert goodbye.retry_after >= 1
    assert isinstance(sent_away, m.Goodbye)
    assert sent_away.reason is m.Reason.SHUTDOWN
    assert (ready.status_code, ready.text) == (503, "draining\n")
    assert (await told(agent, m.Ack)).seq == 1
    assert await replicas.ended("a") == 0
    assert await names(pool) == {"pending"}


async def until_ingest(pool: Pool, condition: str, *, some: bool) -> None:
    """Wait until some, or none, of the connections for ingest are so."""
    async with asyncio.timeout(SOON):
        while (
            await pool.fetchval(
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()"
                f" AND application_name = 'fleetwatch ingest' AND {condition}"
            )
            is not some
        ):
            await asyncio.sleep(0.02)


async def test_no_event_is_lost_or_repeated_when_one_ends(
    replicas: Replicas,
    pool: Pool,
    admin: str,
    kubernetes: FakeKubernetes,  # noqa: F811
    tmp_path: Path,
) -> None:
    token = await add_cluster(pool)
    numbers = 0
    target = "a"
    async with Proxy(lambda: [replicas.url(target)]).serving() as proxy:
        behind = Aggregator(proxy.url, admin, None, tmp_path)  # type: ignore[arg-type] # a process
        async with (
            agent_of(behind, kubernetes, token, tmp_path) as url,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            async with asyncio.timeout(SOON):
                while not await stored(pool):
                    assert (await http.post(url, json=alert(numbers))).status_code == 200
                    numbers += 1
                    await asyncio.sleep(0.02)
            replicas.terminate("a")
            target = "b"
            ending = asyncio.create_task(replicas.ended("a"))
            while not ending.done():
                assert (await http.post(url, json=alert(numbers))).status_code == 200
                numbers += 1
                await asyncio.sleep(0.01)
            assert await ending == 0
            await until_stored(pool, list(range(numbers)))


@pytest.mark.parametrize(
    ("frame", "late", "tables"),
    [
        # Each with the last table that its transaction writes to, and what it wrote before.
        (upsert("half"), "sync_root", ("failed_report", "sync_root")),
        (
            events(0, 50),
            "runtime_event_fleet_day",
            ("runtime_event", "runtime_event_hour", "runtime_event_fleet_hour", "event_spool"),
        ),
    ],
    ids=["state", "events"],
)
async def test_one_that_is_killed_in_a_transaction_leaves_nothing_half(
    replicas: Replicas,
    pool: Pool,
    client: aiohttp.ClientSession,
    *,
    frame: m.FromAgent,
    late: str,
    tables: tuple[str, ...],
) -> None:
    token = await add_cluster(pool)
    agent = await agent_at(client, replicas.url("a"), token)
    await agent.hello(spool=m.Spool(epoch=EPOCH, oldest=0, next=50))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {late} IN EXCLUSIVE MODE")
        await agent.send(frame)
        await until_ingest(pool, "wait_event_type = 'Lock'", some=True)
        await replicas.kill("a")
    await until_ingest(pool, "state <> 'idle'", some=False)
    for table in tables:
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table

    again = await agent_at(client, replicas.url("b"), token)
    welcome = await again.hello(spool=m.Spool(epoch=EPOCH, oldest=0, next=50))
    assert isinstance(welcome, m.Welcome)
    for each in (upsert("half"), events(0, 50)):
        await again.send(each)
    await told(again, m.Stored)
    await until_ingest(pool, "state <> 'idle'", some=False)
    assert await stored(pool) == list(range(50))
    assert await names(pool) == {"half"}
    assert await pool.fetchval("SELECT sum(events) FROM runtime_event_fleet_day") == 50
    await assert_counts_equal_a_recount(pool)


@contextlib.asynccontextmanager
async def subscribed(url: str, token: str) -> AsyncIterator[ClientConnection]:
    """Follow all events; what is committed once this is open is told."""
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    address = url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=protocols, proxy=None) as socket:
        payload: dict[str, Any] = {"Authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        query = {"query": "subscription { runtimeEvents { cursor node { fields } } }"}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": query}))
        # What is asked behind it is answered once it has begun.
        query = {"query": "{ fleet { clusters } }"}
        await socket.send(json.dumps({"type": "subscribe", "id": "2", "payload": query}))
        assert json.loads(await socket.recv())["id"] == "2"
        assert json.loads(await socket.recv()) == {"id": "2", "type": "complete"}
        yield socket


async def test_a_subscription_sees_what_the_other_takes_in_once_each(
    replicas: Replicas, pool: Pool, client: aiohttp.ClientSession, admin: str
) -> None:
    token = await add_cluster(pool)
    agent = await agent_at(client, replicas.url("a"), token)
    await agent.hello(spool=m.Spool(epoch=EPOCH, oldest=0, next=100))
    seen: list[int] = []
    async with subscribed(replicas.url("b"), admin) as socket:
        for first in range(0, 100, 20):
            await agent.send(events(first, 20))
        async with asyncio.timeout(SOON):
            while len(seen) < 100:
                message = json.loads(await socket.recv())
                seen.append(message["payload"]["data"]["runtimeEvents"]["node"]["fields"]["n"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await socket.recv()
    assert seen == list(range(100))


async def test_subscriptions_are_closed_politely_when_one_ends(
    replicas: Replicas, admin: str
) -> None:
    async with subscribed(replicas.url("a"), admin) as socket:
        replicas.terminate("a")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            async with asyncio.timeout(SOON):
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert await replicas.ended("a") == 0


async def test_a_token_that_one_revokes_is_refused_by_the_other(
    replicas: Replicas, pool: Pool, admin: str
) -> None:
    created = await administration.create_token(
        pool,
        OWNER,
        name="to be revoked",
        role=Role.VIEWER,
        clusters=None,
        namespaces=None,
        expires_at=None,
    )
    async with httpx.AsyncClient(trust_env=False) as http:

        async def ask(name: str, token: str, query: str, **variables: Any) -> httpx.Response:
            return await http.post(
                f"{replicas.url(name)}/graphql",
                json={"query": query, "variables": variables},
                headers={"Authorization": f"Bearer {token}"},
            )

        async with subscribed(replicas.url("a"), created.token) as socket:
            for _ in range(3):  # it is kept in memory now
                answer = await ask("a", created.token, "{ fleet { clusters } }")
                assert answer.status_code == 200
            change = "mutation ($id: ID!) { revokeToken(id: $id) }"
            revoked = await ask("b", admin, change, id=str(created.id))
            assert "errors" not in revoked.json(), revoked.text
            # Told by Postgres: milliseconds, of which a busy machine makes more, and not the 10 s
            # that a token is kept.
            async with asyncio.timeout(5.0):
                while (await ask("a", created.token, "{ fleet { clusters } }")).status_code != 401:
                    await asyncio.sleep(0.01)
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
