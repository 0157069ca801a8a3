"""Rounds of a subscription, against a real database and without a socket."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from aggregator.access.principal import Principal
from aggregator.graph import follower, position, subscription
from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.graph.errors import GraphError
from aggregator.graph.follower import Follower
from aggregator.graph.limits import ROUND_EVENTS, ROUND_LOOKS
from aggregator.graph.position import Position, Round, Stand
from aggregator.store import runtime_events
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.installation import PostgresError
from aggregator.store.migrations import migrate
from aggregator.store.pool import Pool, open_pool
from tests.aggregator.graph.conftest import ADMIN, KEY, viewer
from tests.aggregator.store.fleet import add_cluster

ALL = """
subscription ($after: String, $filter: RuntimeEventFilter) {
  runtimeEvents(after: $after, filter: $filter) { cursor node { fields } }
}
"""
INSERT = """
INSERT INTO runtime_event (cluster_id, at, time, received_at, priority, rule, source, hostname,
    namespace, pod, container, output, tags, fields)
SELECT $1, now(), now(), now(), 'NOTICE', 'r', 's', '', $3, '', '', $4, '{}',
    jsonb_build_object('n', n) FROM unnest($2::int[]) n
"""


async def insert(
    executor: Any, cluster_id: int, *numbers: int, namespace: str = "shop", output: str = ""
) -> None:
    await executor.execute(INSERT, cluster_id, numbers, namespace, output)


class Faulty:
    """A pool that keeps what is asked and fails as often as it is told to."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.statements: list[str] = []
        self.failures = 0

    async def fetchval(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's own
    ) -> Any:
        self.statements.append(query)
        if self.failures:
            self.failures -= 1
            raise OSError("away")
        return await self.pool.fetchval(query, *args, timeout=timeout)


class Subscriber:
    """One subscription, and where it is."""

    def __init__(self, one: Follower) -> None:
        self.follower = one
        self.cursor: str | None = None
        self.told: list[bytes] = []

    async def next(self, count: int) -> list[int]:
        """Return the numbers of the next events."""
        while len(self.told) < count:
            async with asyncio.timeout(20):
                self.told += [bytes(each) for each in await self.follower.next()]
        taken, self.told = self.told[:count], self.told[count:]
        edges = [json.loads(each)["data"]["runtimeEvents"] for each in taken]
        self.cursor = edges[-1]["cursor"]
        return [edge["node"]["fields"]["n"] for edge in edges]


class Graph:
    """The endpoint over a database of the test's own."""

    def __init__(self, pool: Pool, cluster_id: int) -> None:
        self.pool = pool
        self.faulty = Faulty(pool)
        self.endpoint = GraphQL(self.faulty, cursor_key=KEY)
        self.cluster_id = cluster_id

    async def follow(
        self, query: str = ALL, principal: Principal = ADMIN, **variables: Any
    ) -> Subscriber:
        async def asker() -> Principal:
            return principal

        return Subscriber(await self.endpoint.subscribe(GraphQLRequest(query, variables), asker))

    async def refused(self, principal: Principal = ADMIN, **variables: Any) -> str:
        with pytest.raises(GraphError) as raised:
            await self.follow(principal=principal, **variables)
        return raised.value.code

    async def insert(self, *numbers: int, **more: Any) -> None:
        await insert(self.pool, self.cluster_id, *numbers, **more)


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """Yield a server of the test's own."""
    tmp_path.chmod(0o755)
    server = EmbeddedPostgres(
        tmp_path / "data", settings={"fsync": "off", "wal_writer_delay": "10s"}
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def graph(pool: Pool) -> Graph:
    return Graph(pool, await add_cluster(pool, "c"))


# ---------------------------------------------------------------- what is told


async def test_what_is_under_way_at_the_beginning_is_told_and_what_was_committed_is_not(
    graph: Graph,
) -> None:
    async with graph.pool.acquire() as early, graph.pool.acquire() as aborted:
        transaction, failed = early.transaction(), aborted.transaction()
        await transaction.start()
        await insert(early, graph.cluster_id, 1)
        await failed.start()
        await insert(aborted, graph.cluster_id, 2)
        await graph.insert(3)  # of a later transaction, but committed when the subscription begins
        one = await graph.follow()
        await graph.insert(4)
        await failed.rollback()
        await transaction.commit()

        assert await one.next(2) == [1, 4]
        again = await graph.follow(after=one.cursor)
        await graph.insert(5)
        assert await again.next(1) == [5]


async def test_who_comes_back_before_all_that_was_under_way_ended_misses_nothing(
    graph: Graph,
) -> None:
    async with graph.pool.acquire() as first, graph.pool.acquire() as second:
        transactions = [first.transaction(), second.transaction()]
        for number, (transaction, connection) in enumerate(
            zip(transactions, (first, second), strict=True)
        ):
            await transaction.start()
            await insert(connection, graph.cluster_id, number)
        await graph.insert(7)
        one = await graph.follow()
        await transactions[0].commit()
        assert await one.next(1) == [0]

        again = await graph.follow(after=one.cursor)
        await transactions[1].commit()
        await graph.insert(8)
        assert await again.next(2) == [1, 8]


async def test_more_than_a_round_holds_is_told_whole(graph: Graph) -> None:
    one = await graph.follow()
    numbers = range(3 * ROUND_EVENTS + 7)
    await graph.insert(*numbers)

    assert await one.next(len(numbers)) == [*numbers]


async def test_a_round_ends_where_its_bytes_do(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "ROUND_BYTES", 10_000)
    one = await graph.follow("subscription { runtimeEvents { cursor node { output fields } } }")
    await graph.insert(*range(50), output="x" * 3_000)

    sizes = []
    seen: list[int] = []
    while len(seen) < 50:
        events = await one.follower.next()
        sizes.append(len(events))
        seen += [
            json.loads(bytes(each))["data"]["runtimeEvents"]["node"]["fields"]["n"]
            for each in events
        ]
    assert seen == [*range(50)]
    assert max(sizes) <= 4


async def test_what_does_not_pass_is_passed_by(graph: Graph) -> None:
    one = await graph.follow(filter={"field": [{"name": "n", "eq": "4999"}]})
    await graph.insert(*range(5_000))
    before = len(graph.faulty.statements)

    assert await one.next(1) == [4_999]
    assert len(graph.faulty.statements) - before <= 5  # it looks at more while little passes


async def test_a_scope_is_part_of_the_statement_and_follows_its_token(graph: Graph) -> None:
    scopes = [viewer(clusters=(graph.cluster_id,), namespaces=("shop",))]

    async def asker() -> Principal:
        return scopes[-1]

    other = await add_cluster(graph.pool, "other")
    follower_ = await graph.endpoint.subscribe(GraphQLRequest(ALL), asker)
    one = Subscriber(follower_)
    await insert(graph.pool, other, 1)
    await graph.insert(2, namespace="hidden")
    await graph.insert(3)
    assert await one.next(1) == [3]

    scopes.append(viewer(clusters=(graph.cluster_id, other), namespaces=("shop",)))
    await insert(graph.pool, other, 4)
    assert await one.next(1) == [4]
    again = await graph.follow(principal=scopes[-1], after=one.cursor)  # labels may have changed
    await graph.insert(5)
    assert await again.next(1) == [5]


# ---------------------------------------------------------------- waiting


async def test_news_wake_all_at_once_and_nothing_is_asked_without(graph: Graph) -> None:
    ones = [await graph.follow() for _ in range(10)]
    waiting = [asyncio.create_task(one.next(1)) for one in ones]
    while sum("seen AS" in each for each in graph.faulty.statements) < 10:
        await asyncio.sleep(0)
    await graph.insert(1)
    graph.endpoint.wake()

    async with asyncio.timeout(4):  # sooner than anybody would look by itself
        assert await asyncio.gather(*waiting) == [[1]] * 10
    assert sum("seen AS" in each for each in graph.faulty.statements) <= 30


async def test_what_is_held_back_is_asked_for_once_for_all(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "HELD_EVERY", 0.01)
    ones = [await graph.follow() for _ in range(5)]
    async with graph.pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await insert(slow, graph.cluster_id, 1)
        await graph.insert(2)
        waiting = [asyncio.create_task(one.next(2)) for one in ones]
        async with asyncio.timeout(20):
            while graph.faulty.statements.count(position.XMIN) < 3:
                await asyncio.sleep(0)
        waiting[0].cancel()  # another one asks from now on
        await asyncio.gather(waiting[0], return_exceptions=True)
        asked = graph.faulty.statements.count(position.XMIN)
        async with asyncio.timeout(20):
            while graph.faulty.statements.count(position.XMIN) < asked + 3:
                await asyncio.sleep(0)
        assert sum("seen AS" in each for each in graph.faulty.statements) <= 15
        await transaction.commit()
    async with asyncio.timeout(4):
        assert await asyncio.gather(*waiting[1:]) == [[1, 2]] * 4


async def test_a_database_that_is_away_is_waited_for(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RETRY", 0.0)
    one = await graph.follow()
    await graph.insert(1, 2)
    graph.faulty.failures = 20

    assert await one.next(2) == [1, 2]

    monkeypatch.setattr(follower, "OUT_OF_REACH", 0.0)
    graph.faulty.failures = 20
    with pytest.raises(GraphError) as raised:
        await one.next(1)
    assert raised.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("begins_last", [True, False])
async def test_numbers_that_a_crash_gives_out_again_are_looked_at_again(
    crashing: EmbeddedPostgres, *, begins_last: bool
) -> None:
    await migrate(crashing.dsn())
    pool = await open_pool(crashing.dsn(), size=2, statement_timeout=30)
    graph = Graph(pool, await add_cluster(pool, "c"))
    one = await graph.follow()
    async with pool.acquire() as connection:
        for _ in range(20):  # transactions that leave nothing behind
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SELECT pg_current_xact_id()")
            await transaction.rollback()
    if begins_last:
        one = await graph.follow()
    else:
        await looked(graph, asyncio.create_task(one.next(1)))
    await crash(crashing)
    await pool.close()
    pool = graph.faulty.pool = await open_pool(crashing.dsn(), size=2, statement_timeout=30)
    await insert(pool, graph.cluster_id, 1)

    assert await one.next(1) == [1]
    await pool.close()


async def crash(server: EmbeddedPostgres) -> None:
    """Kill a server and start it again, once the last of its processes has let go of its memory."""
    server.kill()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(PostgresError):
                return server.start()
            await asyncio.sleep(0.1)


async def looked(graph: Graph, looking: "asyncio.Task[list[int]]") -> None:
    """Wait until a follower has looked once and found nothing."""
    before = sum("seen AS" in each for each in graph.faulty.statements)
    async with asyncio.timeout(20):
        while sum("seen AS" in each for each in graph.faulty.statements) == before:
            await asyncio.sleep(0)
        graph.endpoint.wake()
        while sum("seen AS" in each for each in graph.faulty.statements) < before + 2:
            await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


# ---------------------------------------------------------------- cursors


async def cursor_of(graph: Graph, **variables: Any) -> str:
    one = await graph.follow(**variables)
    await graph.insert(1)
    await one.next(1)
    assert one.cursor is not None
    return one.cursor


async def test_a_cursor_belongs_to_its_filter_and_scope(graph: Graph) -> None:
    wanted = {"rule": {"eq": "r"}}
    cursor = await cursor_of(graph, filter=wanted)
    scoped = viewer(namespaces=("shop",))

    await graph.follow(filter=wanted, after=cursor)
    assert await graph.refused(after=cursor) == "BAD_INPUT"
    assert await graph.refused(filter={"rule": {"eq": "s"}}, after=cursor) == "BAD_INPUT"
    assert await graph.refused(scoped, filter=wanted, after=cursor) == "BAD_INPUT"
    limited = viewer(clusters=(graph.cluster_id,))
    assert await graph.refused(limited, filter=wanted, after=cursor) == "BAD_INPUT"
    assert await graph.refused(after="nonsense") == "BAD_INPUT"


async def test_a_cursor_whose_event_is_not_there_has_expired(graph: Graph) -> None:
    cursor = await cursor_of(graph)

    await graph.pool.execute("DELETE FROM runtime_event")

    assert await graph.refused(after=cursor) == "CURSOR_EXPIRED"


async def test_a_cursor_outlives_its_cluster(graph: Graph) -> None:
    cursor = await cursor_of(graph)
    other = await add_cluster(graph.pool, "other")

    await graph.pool.execute("DELETE FROM runtime_event")
    await graph.pool.execute("DELETE FROM cluster WHERE name = 'c'")

    one = await graph.follow(after=cursor)
    await insert(graph.pool, other, 2)
    assert await one.next(1) == [2]


async def test_a_cursor_older_than_what_is_kept_has_expired(graph: Graph) -> None:
    cursor = await cursor_of(graph)
    one = await graph.follow(after=cursor)
    for row in await graph.pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'runtime_event'::regclass AND inhrelid::regclass::text <"
        " 'runtime_event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
    ):
        await graph.pool.execute(f"DROP TABLE {row['name']}")

    assert await graph.refused(after=cursor) == "CURSOR_EXPIRED"
    await graph.insert(2)
    assert await one.next(1) == [2]  # a position of today is not asked


async def test_a_copy_of_the_database_is_another_life(postgres: EmbeddedPostgres, dsn: str) -> None:
    pool = await open_pool(dsn, size=2, statement_timeout=30)
    graph = Graph(pool, await add_cluster(pool, "c"))
    cursor = await cursor_of(graph)
    await pool.close()
    admin = await asyncpg.connect(postgres.dsn())
    original = await _name(dsn)
    await admin.execute(f"CREATE DATABASE {original}_copy TEMPLATE {original}")
    pool = await open_pool(postgres.dsn(f"{original}_copy"), size=2, statement_timeout=30)
    try:
        assert await Graph(pool, graph.cluster_id).refused(after=cursor) == "CURSOR_EXPIRED"
    finally:
        await pool.close()
        await admin.execute(f"DROP DATABASE {original}_copy WITH (FORCE)")
        await admin.close()


async def _name(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        name: str = await connection.fetchval("SELECT current_database()")
    finally:
        await connection.close()
    return name


async def test_a_subscription_ends_with_the_life_of_its_database(graph: Graph) -> None:
    one = await graph.follow()
    here = one.follower._position
    await graph.insert(1)

    for there in (
        msgspec.structs.replace(here, life="another"),
        msgspec.structs.replace(here, tx=here.tx + 1_000_000),
        msgspec.structs.replace(here, arrived=here.arrived - 3 * 86_400 * 10**6),
    ):
        one.follower._position = there
        with pytest.raises(GraphError) as raised:
            await one.next(1)
        assert raised.value.code == "CURSOR_EXPIRED"


async def test_events_of_a_restored_dump_have_to_be_adopted(graph: Graph) -> None:
    await graph.insert(1)
    await graph.pool.execute("UPDATE runtime_event SET tx = '9000000000'")

    assert await graph.refused() == "UNAVAILABLE"

    await graph.pool.execute(position.ADOPT)
    one = await graph.follow()
    await graph.insert(2)
    assert await one.next(1) == [2]


def test_positions_lose_their_meaning_with_a_life_or_with_what_is_kept() -> None:
    at = Position("a", 100, 1, arrived=10**15)
    day = int(timedelta(days=1).total_seconds() * 1_000_000)
    margin = 7 * day + day // 24
    for life, xmax, oldest, holds in (
        ("a", "101", None, True),
        ("b", "101", None, False),
        ("a", "100", None, False),  # it lies ahead: the database was put back
        ("a", "101", 10**15 - margin, True),
        ("a", "101", 10**15 - margin + 1, False),
    ):
        stand = Stand(life, "90", xmax, now=10**15, oldest=oldest)
        if holds:
            stand.check(at)
            continue
        with pytest.raises(GraphError) as raised:
            stand.check(at)
        assert raised.value.code == "CURSOR_EXPIRED"


def test_a_position_is_that_of_a_row_and_forgets_its_beginning() -> None:
    nothing = Round(
        "a",
        "50",
        "60",
        now=2,
        oldest=None,
        held=False,
        looks=0,
        seen=None,
        picked=0,
        told=None,
        events=[],
    )
    here = Position("a", 20, 3, 1, "10:45:")

    assert nothing.advance(here, 10) == msgspec.structs.replace(here, arrived=2)
    assert nothing.next_looks(ROUND_EVENTS) == ROUND_EVENTS
    for tx, since in (("44", "10:45:"), ("45", "")):
        some = msgspec.structs.replace(nothing, looks=10, seen=position.Last(tx, 7, latest=0))
        assert some.advance(here, 10) == Position("a", int(tx), 7, 1, since)


def test_a_round_looks_at_more_while_little_passes() -> None:
    def passed(picked: int, looks: int) -> int:
        last = position.Last("40", 1, 1)
        return Round(
            "a",
            "50",
            "60",
            now=2,
            oldest=None,
            held=False,
            looks=looks,
            seen=last,
            picked=picked,
            told=None,
            events=[msgspec.Raw(b"{}")] * picked,
        ).next_looks(looks)

    assert passed(0, 500) == 1_000
    assert passed(200, 500) == 500
    assert passed(0, ROUND_LOOKS) == ROUND_LOOKS
    assert passed(ROUND_EVENTS, 4_000) == ROUND_EVENTS


def test_what_is_known_of_times_is_what_the_store_does() -> None:
    assert position.LATE == runtime_events.LATE
    assert position.EARLY == runtime_events.EARLY
