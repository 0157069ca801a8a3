"""Subscriptions: each event once, in the order of commits, across reconnects and replicas."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from aggregator.access import administration
from aggregator.access.principal import Role
from aggregator.graph import limits, transport
from aggregator.metrics import EVENTS_SENT, GRAPHQL_SOCKETS, SLOW_READERS, SUBSCRIPTIONS
from aggregator.store.pool import Pool, UnavailableError
from tests.aggregator.graph.test_follower import insert
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
        if not variables:
            await self.settle()

    async def next(self) -> int:
        """Return the number of the next event."""
        message = await self.receive()
        assert message["type"] == "next", message
        edge = message["payload"]["data"]["runtimeEvents"]
        self.cursor = edge["cursor"]
        number: int = edge["node"]["fields"]["n"]
        return number

    async def settle(self) -> None:
        """Wait until what was subscribed to has begun: operations begin in their order."""
        await self.send(type="subscribe", id="q", payload={"query": "{ __typename }"})
        while (await self.receive())["type"] != "complete":
            pass


@contextlib.asynccontextmanager
async def client(aggregator: Aggregator, given: str | None = None) -> AsyncIterator[Client]:
    async with opened(aggregator) as socket:
        one = Client(socket)
        await one.send(**init(given or aggregator.token))
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


async def token(aggregator: Aggregator, **scope: Any) -> administration.CreatedToken:
    return await administration.create_token(
        aggregator.pool,
        OWNER,
        name="one",
        role=Role.VIEWER,
        clusters=scope.get("clusters"),
        namespaces=scope.get("namespaces"),
        expires_at=None,
    )


async def bring(pool: Pool, cluster_id: int, *numbers: int, **fields: Any) -> None:
    await bring_events(pool, cluster_id, batch(*numbers, **fields))


async def bring_until_stored(pool: Pool, cluster_id: int, *numbers: int) -> None:
    """Try again as the hub does where Postgres was away."""
    for _ in range(20):
        with contextlib.suppress(UnavailableError):
            return await bring(pool, cluster_id, *numbers)
    raise AssertionError("Postgres did not answer twenty times")


async def test_what_happens_is_told_once_and_what_was_before_is_not(
    aggregator: Aggregator,
) -> None:
    cluster_id = await add(aggregator)
    await bring(aggregator.pool, cluster_id, 1, 2)
    before = EVENTS_SENT._value.get()
    async with client(aggregator) as one:
        await one.follow()
        assert SUBSCRIPTIONS._value.get() >= 1
        assert GRAPHQL_SOCKETS._value.get() >= 1
        await bring(aggregator.pool, cluster_id, 3, 4)
        await bring(aggregator.pool, cluster_id, 4, 5)
        assert [await one.next() for _ in range(3)] == [3, 4, 5]
        await one.send(type="complete", id="1")
        await one.send(type="ping")
        assert (await one.receive())["type"] == "pong"
    assert EVENTS_SENT._value.get() == before + 3


async def test_a_transaction_that_commits_late_is_not_missed(aggregator: Aggregator) -> None:
    cluster_id = await add(aggregator)
    pool = aggregator.pool
    async with client(aggregator) as one, pool.acquire() as slow:
        await one.follow()
        transaction = slow.transaction()
        await transaction.start()
        await insert(slow, cluster_id, 1)
        await bring(pool, cluster_id, 2)  # commits first, and waits for the other
        await transaction.commit()  # of which nobody is told
        assert [await one.next(), await one.next()] == [1, 2]


class Writers:
    """Transactions that overlap at random, and end in any order."""

    def __init__(self, pool: Pool, cluster_ids: list[int], chance: random.Random) -> None:
        self._pool = pool
        self._cluster_ids = cluster_ids
        self._chance = chance
        self._open: list[tuple[Any, Any, list[int]]] = []
        self._next = 0
        self.committed: list[int] = []

    async def step(self) -> None:
        """Begin a transaction, write into one, or end one."""
        does = self._chance.random()
        if len(self._open) < 2 or (does < 0.3 and len(self._open) < 5):
            connection = await self._pool.acquire()
            transaction = connection.transaction()
            await transaction.start()
            self._open.append((connection, transaction, []))
        elif does < 0.7:
            connection, _, numbers = self._chance.choice(self._open)
            added = [*range(self._next, self._next + self._chance.randrange(1, 5))]
            self._next = added[-1] + 1
            await insert(connection, self._chance.choice(self._cluster_ids), *added)
            numbers += added
        else:
            await self._end(self._chance.randrange(len(self._open)))

    async def end(self) -> None:
        """End all that is under way."""
        while self._open:
            await self._end(0)

    async def _end(self, index: int) -> None:
        connection, transaction, numbers = self._open.pop(index)
        if self._chance.random() < 0.2:
            await transaction.rollback()
        else:
            await connection.execute("NOTIFY runtime_event")
            await transaction.commit()
            self.committed += numbers
        await self._pool.release(connection)

    async def decided(self) -> int:
        """Return how many events no transaction under way holds back."""
        count: int = await self._pool.fetchval(
            "SELECT count(*) FROM runtime_event WHERE tx < pg_snapshot_xmin(pg_current_snapshot())"
        )
        return count


@pytest.mark.parametrize("seed", [5, 6, 7])
async def test_a_client_that_moves_between_replicas_sees_each_event_once(
    aggregator: Aggregator, dsn: str, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        other = await stack.enter_async_context(serve(dsn, tmp_path / "other"))
        ids = [await add(aggregator, f"c{number}") for number in range(3)]
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=7))
        writers = Writers(pool, ids, chance)
        seen: list[int] = []
        cursor: str | None = None
        connection = contextlib.AsyncExitStack()
        one = await connection.enter_async_context(client(aggregator))
        await one.follow()
        for _ in range(150):
            await writers.step()
            for _ in range(chance.randrange(1 + await writers.decided() - len(seen))):
                seen.append(await one.next())
                cursor = one.cursor
            if cursor is not None and chance.random() < 0.3:
                await connection.aclose()
                connection = contextlib.AsyncExitStack()
                one = await connection.enter_async_context(
                    client(chance.choice([aggregator, other]))
                )
                await one.follow(after=cursor)
        await writers.end()
        while len(seen) < len(writers.committed):
            seen.append(await one.next())
        in_order = await pool.fetch(
            "SELECT (fields ->> 'n')::int AS n FROM runtime_event ORDER BY tx, id"
        )
        assert seen == [row["n"] for row in in_order]
        assert sorted(seen) == sorted(writers.committed)
        await connection.aclose()


async def test_filters_and_scopes_are_applied(aggregator: Aggregator) -> None:
    mine, others = await add(aggregator, "mine"), await add(aggregator, "others")
    created = await token(aggregator, clusters={"name": {"eq": "mine"}}, namespaces=["shop"])
    query = 'subscription { runtimeEvents(filter: {rule: {startsWith: "wan"}}) { cursor node { fields } } }'
    async with client(aggregator, created.token) as one:
        await one.follow(query)
        await bring(aggregator.pool, others, 1, rule="wanted")
        await bring(aggregator.pool, mine, 2, rule="other")
        await bring(aggregator.pool, mine, 3, rule="wanted", namespace="hidden")
        await bring(aggregator.pool, mine, 4, rule="wanted")
        assert await one.next() == 4


async def test_an_event_leads_to_all_that_it_is_about(aggregator: Aggregator) -> None:
    cluster_id = await add(aggregator)
    query = """
    subscription { told: runtimeEvents { __typename cursor node {
      id time cluster { name } image { name } subject { kind name } fields } } }
    """
    async with client(aggregator) as one:
        await one.follow(query)
        await bring(aggregator.pool, cluster_id, 1)
        edge = (await one.receive())["payload"]["data"]["told"]
    assert edge["__typename"] == "RuntimeEventEdge"
    assert edge["node"]["cluster"] == {"name": "c"}
    assert edge["node"]["subject"] == {"kind": "Deployment", "name": "web"}
    assert edge["node"]["image"]["name"].startswith("docker.io/library/web:1@sha256:")


async def test_queries_and_errors_go_over_the_socket_too(aggregator: Aggregator) -> None:
    created = await token(aggregator)
    async with client(aggregator, created.token) as one:
        await one.send(type="subscribe", id="a", payload={"query": "{ fleet { clusters } }"})
        assert (await one.receive())["payload"] == {"data": {"fleet": {"clusters": 0}}}
        assert (await one.receive()) == {"id": "a", "type": "complete"}
        await one.send(type="subscribe", id="a", payload={"query": ADD})
        answer = (await one.receive())["payload"]
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"  # it was run: not an error
        assert (await one.receive()) == {"id": "a", "type": "complete"}
    async with client(aggregator) as one:
        await one.send(type="subscribe", id="a", payload={"query": ADD})
        answer = (await one.receive())["payload"]
        assert answer["data"] == {"addCluster": {"cluster": {"name": "new"}}}


ADD = 'mutation { addCluster(input: {name: "new"}) { cluster { name } } }'


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_REQUEST"),
        ("subscription { x: __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { runtimeEvents @skip(if: true) { cursor } }", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { runtimeEvents(after: "nonsense") { cursor } }', "BAD_INPUT"),
        (
            "subscription { runtimeEvents { node { image { findings(first: 1000) { nodes { id } } } } } }",
            "LIMIT_EXCEEDED",
        ),
        (
            "subscription { runtimeEvents { node { image { findings(first: 1) { nodes { reports { content } } } } } } }",
            "BAD_INPUT",
        ),
    ],
)
async def test_what_cannot_be_run_is_an_error_of_the_operation(
    aggregator: Aggregator, query: str, code: str
) -> None:
    async with client(aggregator) as one:
        await one.send(type="subscribe", id="b", payload={"query": query})
        message = await one.receive()
        assert (message["type"], message["id"]) == ("error", "b"), message
        assert message["payload"][0]["extensions"]["code"] == code
        await one.send(type="subscribe", id="b", payload={"query": "{ __typename }"})
        assert (await one.receive())["type"] == "next"


async def closed(
    socket: ClientConnection, *messages: dict[str, Any] | str | bytes
) -> tuple[int, str]:
    for message in messages:
        await socket.send(json.dumps(message) if isinstance(message, dict) else message)
    with contextlib.suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(WITHIN):
            while True:
                await socket.recv()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


@contextlib.asynccontextmanager
async def opened(aggregator: Aggregator, **options: Any) -> AsyncIterator[ClientConnection]:
    url = aggregator.url.replace("http", "ws") + "/graphql"
    options.setdefault("subprotocols", [websockets.Subprotocol(transport.SUBPROTOCOL)])
    async with connect(url, proxy=None, **options) as socket:
        yield socket


def init(given: str) -> dict[str, Any]:
    return {"type": "connection_init", "payload": {"Authorization": f"Bearer {given}"}}


SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": ALL}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([SUBSCRIBE], 4401),
        ([{"type": "connection_init"}], 4401),
        ([init("nonsense")], 4401),
        ([init("fw_" + "x" * 43)], 4401),
        (["AUTH", "AUTH"], 4429),
        (["AUTH", SUBSCRIBE, SUBSCRIBE], 4409),
        (["AUTH", "not JSON"], 4400),
        (["AUTH", b"binary"], 4400),
        (["AUTH", "x" * 2_000_000], 4400),
    ],
)
async def test_what_the_protocol_forbids_closes_the_socket(
    aggregator: Aggregator, messages: list[Any], code: int
) -> None:
    async with opened(aggregator) as socket:
        sent = [init(aggregator.token) if each == "AUTH" else each for each in messages]
        assert (await closed(socket, *sent))[0] == code


@pytest.mark.parametrize("protocols", [None, ["graphql-ws"]])
async def test_another_subprotocol_is_not_spoken(
    aggregator: Aggregator, protocols: list[str] | None
) -> None:
    with contextlib.suppress(websockets.NegotiationError):  # some clients close by themselves
        async with opened(aggregator, subprotocols=protocols) as socket:
            assert (await closed(socket))[0] == 4406


async def test_an_agents_token_is_refused(aggregator: Aggregator) -> None:
    given = await aggregator.add_cluster("c")
    async with opened(aggregator) as socket:
        assert (await closed(socket, init(given)))[0] == 4403


async def test_the_token_may_come_with_the_upgrade(aggregator: Aggregator) -> None:
    headers = {"Authorization": f"Bearer {aggregator.token}"}
    async with opened(aggregator, additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}


async def test_who_says_nothing_is_not_kept(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INIT_TIMEOUT", 0.05)
    async with opened(aggregator) as socket:
        assert (await closed(socket))[0] == 4408


async def test_a_revoked_token_ends_its_sockets(aggregator: Aggregator) -> None:
    created = await token(aggregator)
    async with client(aggregator, created.token) as one, client(aggregator, created.token) as idle:
        await one.follow()
        await administration.revoke_token(aggregator.pool, OWNER, id=created.id)
        assert (await closed(one.socket))[0] == 4401
        assert (await closed(idle.socket))[0] == 4401
        async with opened(aggregator) as socket:
            assert (await closed(socket, init(created.token)))[0] == 4401


async def test_an_expired_token_ends_its_socket(aggregator: Aggregator) -> None:
    created = await token(aggregator)
    async with client(aggregator, created.token) as one:
        await aggregator.pool.execute(
            "UPDATE credential SET expires_at = now() WHERE id = $1::uuid", created.id
        )
        aggregator.app._revocations._changed()  # as it does every half minute
        assert (await closed(one.socket))[0] == 4401


async def test_a_token_has_so_many_sockets_and_subscriptions(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_SOCKETS", 2)
    monkeypatch.setattr(limits, "MAX_SUBSCRIPTIONS", 2)
    async with client(aggregator) as one, client(aggregator) as two:
        async with opened(aggregator) as socket:
            assert (await closed(socket, init(aggregator.token)))[0] == 4429
        await one.follow()
        await two.follow()
        await two.send(**{**SUBSCRIBE, "id": "more"})
        message = await two.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        await one.send(type="complete", id="1")
        await one.settle()
        await two.send(**{**SUBSCRIBE, "id": "more"})
        await two.settle()
    async with client(aggregator):
        pass


async def test_a_slow_reader_is_cut_off_and_comes_back(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SEND_TIMEOUT", 1.0)
    cluster_id = await add(aggregator)
    before = SLOW_READERS._value.get()
    events = 200
    query = "subscription ($after: String) { runtimeEvents(after: $after) { cursor node { output fields } } }"
    async with opened(aggregator, max_queue=1) as socket:
        one = Client(socket)
        await one.send(**init(aggregator.token))
        await one.receive()
        await one.follow(query)
        # More than buffers of the system hold, of which nothing is read.
        await bring(aggregator.pool, cluster_id, *range(events), output="x" * 60_000)
        async with asyncio.timeout(WITHIN):
            while SLOW_READERS._value.get() == before:
                await asyncio.sleep(0.01)
        seen: list[int] = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                seen.append(await one.next())
        assert socket.close_code == 4410
        assert "SLOW_READER" in (socket.close_reason or "")
    assert seen == [*range(len(seen))]
    assert len(seen) < events
    async with client(aggregator) as again:
        await again.follow(query, after=one.cursor)
        assert [await again.next() for _ in range(events - len(seen))] == [
            *range(len(seen), events)
        ]


async def test_lost_connections_to_postgres_are_waited_for(aggregator: Aggregator) -> None:
    cluster_id = await add(aggregator)
    async with client(aggregator) as one:
        await one.follow()
        for number in range(3):
            await aggregator.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await bring_until_stored(aggregator.pool, cluster_id, number)
            assert await one.next() == number


async def test_over_http_a_subscription_says_where_it_is_answered(aggregator: Aggregator) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            f"{aggregator.url}/graphql",
            json={"query": ALL},
            headers={"Authorization": f"Bearer {aggregator.token}"},
        )
    assert answer.status_code == 400
    assert "graphql-transport-ws" in answer.json()["errors"][0]["message"]
