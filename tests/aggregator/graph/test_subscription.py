"""Subscriptions: each event once, in the order of commits, across reconnects and replicas."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from aggregator.access import administration
from aggregator.access.principal import Role
from aggregator.graph import websocket as transport
from aggregator.metrics import SLOW_READERS
from aggregator.store.pool import Pool
from tests.aggregator.store.test_runtime_events import batch
from tests.aggregator.store.test_runtime_events import bring as bring_events
from tests.e2e.conftest import OWNER, Aggregator, serve

WITHIN = 20.0  # seconds that a busy machine may take
ALL = "subscription ($after: String) { runtimeEvents(after: $after) { cursor node { fields } } }"


@pytest.fixture
async def aggregator(dsn: str, tmp_path: Path) -> AsyncIterator[Aggregator]:
    async with serve(dsn, tmp_path / "home") as aggregator:
        yield aggregator


class Client:
    """A client of the protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.cursor: str | None = None

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN):
            message: dict[str, Any] = json.loads(await self.socket.recv())
            return message

    async def follow(self, query: str = ALL, **variables: Any) -> None:
        await self.send(type="subscribe", id="1", payload={"query": query, "variables": variables})

    async def next(self) -> int:
        """Return the number of the next event."""
        message = await self.receive()
        assert message["type"] == "next", message
        edge = message["payload"]["data"]["runtimeEvents"]
        self.cursor = edge["cursor"]
        number: int = edge["node"]["fields"]["n"]
        return number

    async def settle(self) -> None:
        """Wait until the server has begun to follow what was subscribed to."""
        await self.send(type="subscribe", id="q", payload={"query": "{ __typename }"})
        while (await self.receive())["type"] != "complete":
            pass


@contextlib.asynccontextmanager
async def client(aggregator: Aggregator, token: str | None = None) -> AsyncIterator[Client]:
    url = aggregator.url.replace("http", "ws") + "/graphql"
    protocols = [websockets.Subprotocol(transport.SUBPROTOCOL)]
    async with connect(url, subprotocols=protocols, proxy=None) as socket:
        one = Client(socket)
        bearer = f"Bearer {token or aggregator.token}"
        await one.send(type="connection_init", payload={"Authorization": bearer})
        assert (await one.receive())["type"] == "connection_ack"
        yield one
        socket.transport.abort()  # as a network would; a polite end waits for what is unread


async def add(aggregator: Aggregator, name: str = "c") -> int:
    await aggregator.add_cluster(name)
    cluster_id: int = await aggregator.pool.fetchval("SELECT id FROM cluster WHERE name = $1", name)
    await aggregator.pool.execute(
        "UPDATE agent_session SET number = 1 WHERE cluster_id = $1", cluster_id
    )
    return cluster_id


async def bring(pool: Pool, cluster_id: int, *numbers: int, **fields: Any) -> None:
    await bring_events(pool, cluster_id, batch(*numbers, **fields))


async def begun(pool: Pool) -> None:
    """Let a subscription begin: its first statement is over once the next one can be told apart."""
    async with asyncio.timeout(WITHIN):
        while not await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%WITH seen AS MATERIALIZED%'"
            " AND pid <> pg_backend_pid() AND datname = current_database() AND state = 'idle'"
        ):
            await asyncio.sleep(0.02)


async def test_what_happens_is_told_once_and_what_was_before_is_not(
    aggregator: Aggregator,
) -> None:
    cluster_id = await add(aggregator)
    await bring(aggregator.pool, cluster_id, 1, 2)
    async with client(aggregator) as one:
        await one.follow()
        await begun(aggregator.pool)
        await bring(aggregator.pool, cluster_id, 3, 4)
        await bring(aggregator.pool, cluster_id, 4, 5)
        assert [await one.next() for _ in range(3)] == [3, 4, 5]
        await one.send(type="complete", id="1")
        await one.send(type="ping")
        assert (await one.receive())["type"] == "pong"


async def test_a_transaction_that_commits_late_is_not_missed(aggregator: Aggregator) -> None:
    cluster_id = await add(aggregator)
    pool = aggregator.pool
    async with client(aggregator) as one:
        await one.follow()
        await begun(pool)
        async with pool.acquire() as slow:
            transaction = slow.transaction()
            await transaction.start()
            await slow.execute(INSERT, cluster_id, 1)
            await bring(pool, cluster_id, 2)  # commits first, and waits for the other
            await transaction.commit()
        assert [await one.next(), await one.next()] == [1, 2]


INSERT = """
INSERT INTO runtime_event (cluster_id, at, time, received_at, priority, rule, source, hostname,
    namespace, pod, container, output, tags, fields)
VALUES ($1, now(), now(), now(), 'NOTICE', 'r', 's', '', 'shop', '', '', '', '{}',
        jsonb_build_object('n', $2::int))
"""


async def test_a_client_that_moves_between_replicas_sees_each_event_once(
    aggregator: Aggregator, dsn: str, tmp_path: Path
) -> None:
    chance = random.Random(5)
    async with serve(dsn, tmp_path / "other") as other:
        ids = [await add(aggregator, f"c{n}") for n in range(3)]
        stop = asyncio.Event()
        sent: list[int] = []

        async def write(number: int) -> None:
            pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1)
            for offset in range(60):
                value = number * 1000 + offset
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute(INSERT, ids[number], value)
                    await asyncio.sleep(chance.uniform(0, 0.02))  # holds the others' events back
                    await connection.execute("NOTIFY runtime_event")
                sent.append(value)
            await pool.close()

        seen: list[int] = []
        cursor: str | None = None
        async with client(aggregator) as first:
            await first.follow()
            await begun(aggregator.pool)
            writers = [asyncio.create_task(write(number)) for number in range(3)]
            seen.append(await first.next())
            cursor = first.cursor
        while len(seen) < 180:
            async with client(chance.choice([aggregator, other])) as one:
                await one.follow(after=cursor)
                for _ in range(min(chance.randrange(1, 30), 180 - len(seen))):
                    seen.append(await one.next())
                    cursor = one.cursor
        await asyncio.gather(*writers)
        stop.set()
    assert len(set(seen)) == len(seen)
    assert sorted(seen) == sorted(sent)


async def test_filters_and_scopes_are_applied(aggregator: Aggregator) -> None:
    mine, others = await add(aggregator, "mine"), await add(aggregator, "others")
    created = await administration.create_token(
        aggregator.pool,
        OWNER,
        name="scoped",
        role=Role.VIEWER,
        clusters={"name": {"eq": "mine"}},
        namespaces=["shop"],
        expires_at=None,
    )
    query = 'subscription { runtimeEvents(filter: {rule: {startsWith: "wan"}}) { cursor node { fields } } }'
    async with client(aggregator, created.token) as one:
        await one.follow(query)
        await begun(aggregator.pool)
        await bring(aggregator.pool, others, 1, rule="wanted")
        await bring(aggregator.pool, mine, 2, rule="other")
        await bring(aggregator.pool, mine, 3, rule="wanted", namespace="hidden")
        await bring(aggregator.pool, mine, 4, rule="wanted")
        assert await one.next() == 4


async def test_a_cursor_of_another_life_has_expired(aggregator: Aggregator) -> None:
    cluster_id = await add(aggregator)
    async with client(aggregator) as one:
        await one.follow()
        await begun(aggregator.pool)
        await bring(aggregator.pool, cluster_id, 1)
        await one.next()
    cursor = one.cursor
    await aggregator.pool.execute(
        "INSERT INTO runtime_event_fleet_hour VALUES (now() + interval '1 day', 'r', 'NOTICE', 's', 1)"
    )
    await aggregator.pool.execute("DELETE FROM runtime_event_fleet_hour WHERE hour < now()")
    async with client(aggregator) as one:
        await one.follow(after=cursor)
        message = await one.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
        await one.send(
            type="subscribe", id="2", payload={"query": ALL, "variables": {"after": "nonsense"}}
        )
        message = await one.receive()
        assert message["payload"][0]["extensions"]["code"] == "BAD_INPUT"


async def test_queries_and_errors_go_over_the_socket_too(aggregator: Aggregator) -> None:
    async with client(aggregator) as one:
        await one.send(type="subscribe", id="a", payload={"query": "{ fleet { clusters } }"})
        assert (await one.receive())["payload"] == {"data": {"fleet": {"clusters": 0}}}
        assert (await one.receive()) == {"id": "a", "type": "complete"}
        await one.send(type="subscribe", id="b", payload={"query": "{ nothing }"})
        message = await one.receive()
        assert (message["type"], message["id"]) == ("error", "b")
        await one.send(
            type="subscribe", id="c", payload={"query": "subscription { x: __typename }"}
        )
        assert (await one.receive())["type"] == "error"


async def closed(socket: ClientConnection, *messages: dict[str, Any] | str) -> tuple[int, str]:
    for message in messages:
        await socket.send(message if isinstance(message, str) else json.dumps(message))
    with contextlib.suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(WITHIN):
            while True:
                await socket.recv()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


INIT = {"type": "connection_init"}
SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": ALL}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([SUBSCRIBE], 4401),
        ([INIT], 4401),
        ([{**INIT, "payload": {"Authorization": "Bearer nonsense"}}], 4401),
        (["AUTH", INIT], 4429),
        (["AUTH", SUBSCRIBE, SUBSCRIBE], 4409),
        (["AUTH", "not JSON"], 4400),
        (["AUTH", {"type": "nonsense"}], 4400),
        (["AUTH", {"type": "subscribe", "id": "1", "payload": {}}], 4400),
        (["AUTH", "x" * 2_000_000], 4400),
    ],
)
async def test_what_the_protocol_forbids_closes_the_connection(
    aggregator: Aggregator, messages: list[Any], code: int
) -> None:
    init = {**INIT, "payload": {"Authorization": f"Bearer {aggregator.token}"}}
    url = aggregator.url.replace("http", "ws") + "/graphql"
    protocols = [websockets.Subprotocol(transport.SUBPROTOCOL)]
    async with connect(url, subprotocols=protocols, proxy=None) as socket:
        sent = [init if message == "AUTH" else message for message in messages]
        assert (await closed(socket, *sent))[0] == code


async def test_another_subprotocol_and_an_agents_token_are_refused(aggregator: Aggregator) -> None:
    url = aggregator.url.replace("http", "ws") + "/graphql"
    async with connect(url, proxy=None) as socket:
        assert (await closed(socket))[0] == 4406
    token = await aggregator.add_cluster("c")
    protocols = [websockets.Subprotocol(transport.SUBPROTOCOL)]
    async with connect(url, subprotocols=protocols, proxy=None) as socket:
        init = {**INIT, "payload": {"Authorization": f"Bearer {token}"}}
        assert (await closed(socket, init))[0] == 4403


async def test_a_revoked_token_ends_the_subscription(aggregator: Aggregator) -> None:
    created = await administration.create_token(
        aggregator.pool,
        OWNER,
        name="gone",
        role=Role.VIEWER,
        clusters=None,
        namespaces=None,
        expires_at=None,
    )
    async with client(aggregator, created.token) as one:
        await one.follow()
        await begun(aggregator.pool)
        await administration.revoke_token(aggregator.pool, OWNER, id=created.id)
        assert (await closed(one.socket))[0] == 4401


async def test_a_slow_reader_is_cut_off(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SEND_TIMEOUT", 0.5)
    cluster_id = await add(aggregator)
    url = aggregator.url.replace("http", "ws") + "/graphql"
    protocols = [websockets.Subprotocol(transport.SUBPROTOCOL)]
    query = "subscription { runtimeEvents { cursor node { output } } }"
    before = SLOW_READERS._value.get()
    async with connect(url, subprotocols=protocols, proxy=None, max_queue=1) as socket:
        one = Client(socket)
        bearer = f"Bearer {aggregator.token}"
        await one.send(type="connection_init", payload={"Authorization": bearer})
        await one.receive()
        await one.follow(query)
        await begun(aggregator.pool)
        for start in range(60):
            await bring(
                aggregator.pool,
                cluster_id,
                *range(start * 10, start * 10 + 10),
                output="x" * 50_000,
            )
        async with asyncio.timeout(WITHIN):
            while SLOW_READERS._value.get() == before:
                await asyncio.sleep(0.05)


async def test_over_http_a_subscription_says_where_it_is_answered(aggregator: Aggregator) -> None:
    import httpx

    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{aggregator.url}/graphql",
            json={"query": ALL},
            headers={"Authorization": f"Bearer {aggregator.token}"},
        )
    assert "graphql-transport-ws" in answer.json()["errors"][0]["message"]
