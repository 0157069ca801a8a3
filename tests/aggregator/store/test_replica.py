"""What a real standby may answer, and when the primary is asked instead."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import psutil
import pytest

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import Pool, open_pool
from aggregator.store.replica import BEAT, PATIENCE, Found, Replica
from tests.apart import run_apart
from tests.standby import checkpointed, copied

SOON = 30.0  # seconds in which whatever is waited for has to come
MOST = 30.0  # seconds that the standby may be behind
ROWS = "SELECT convert_to(count(*)::text, 'UTF8') FROM audit"
ADD = "INSERT INTO audit (actor, action, target) VALUES ('test', 'test', 'test')"
SLOW = "SELECT convert_to(count(*)::text, 'UTF8') FROM pg_sleep(30) LEFT JOIN audit ON true"


class Clock:
    """Real time, that can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def addresses(postgres: EmbeddedPostgres, standby: EmbeddedPostgres) -> tuple[str, str]:
    """Return where a database is on the primary and on the standby, which takes long to copy it."""
    run_apart(copied(postgres, standby, "replicated"))
    return postgres.dsn("replicated"), standby.dsn("replicated")


@pytest.fixture
def dsn(addresses: tuple[str, str]) -> str:
    return addresses[0]


@pytest.fixture
async def primary(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, size=4, statement_timeout=30.0)
    await pool.execute("DELETE FROM audit")
    yield pool
    await pool.close()


def replica_at(
    dsn: str, primary: Pool, clock: Clock, *, statement_timeout: float = 60.0
) -> Replica:
    return Replica(
        primary, dsn, size=2, statement_timeout=statement_timeout, most=MOST, clock=clock
    )


@pytest.fixture
async def replica(standby: EmbeddedPostgres, primary: Pool, clock: Clock) -> AsyncIterator[Replica]:
    async with replica_at(standby.dsn("replicated"), primary, clock) as replica:
        replica.outdate()
        await served(replica)
        yield replica


async def fetch(replica: Replica, sql: str = ROWS) -> Found | None:
    return await replica.fetch(sql, [], timeout=60.0)


async def served(replica: Replica) -> Found:
    """Ask until the replica answers."""
    async with asyncio.timeout(SOON):
        while (found := await fetch(replica)) is None:
            await asyncio.sleep(0.05)
    return found


async def pause(control: "asyncpg.Connection[asyncpg.Record]") -> None:
    await control.execute("SELECT pg_wal_replay_pause()")
    async with asyncio.timeout(SOON):
        while await control.fetchval("SELECT pg_get_wal_replay_pause_state()") != "paused":
            await asyncio.sleep(0.02)


async def test_an_answer_says_how_new_it_is(replica: Replica, primary: Pool) -> None:
    before = await primary.fetchval("SELECT clock_timestamp()")
    async with asyncio.timeout(SOON):
        while (found := await served(replica))[1].as_of < before:
            await asyncio.sleep(0.05)
    answer, stand = found

    assert answer == b"0"
    assert stand.as_of <= await primary.fetchval("SELECT clock_timestamp()")
    assert 0 <= stand.lag < MOST
    assert replica.state.startswith("serves, ")


async def test_what_is_written_is_seen_by_the_time_that_the_answer_says(
    replica: Replica, primary: Pool
) -> None:
    for count in range(1, 4):
        await primary.execute(ADD)
        written = await primary.fetchval("SELECT clock_timestamp()")
        async with asyncio.timeout(SOON):
            while (found := await served(replica))[1].as_of < written:
                await asyncio.sleep(0.02)
        assert found[0] == str(count).encode()


async def test_an_idle_primary_makes_no_lag(replica: Replica) -> None:
    first = (await served(replica))[1]
    await asyncio.sleep(4 * BEAT)
    second = (await served(replica))[1]

    assert second.as_of > first.as_of
    assert second.lag < 10 * BEAT  # a busy machine


async def test_after_a_change_of_segments_too(replica: Replica, primary: Pool) -> None:
    await primary.execute("SELECT pg_switch_wal()")
    switched = await primary.fetchval("SELECT clock_timestamp()")
    async with asyncio.timeout(SOON):
        while (await served(replica))[1].as_of < switched:
            await asyncio.sleep(0.05)


async def test_what_must_be_seen_is_asked_of_the_primary_until_it_is_there(
    replica: Replica, primary: Pool, standby: EmbeddedPostgres
) -> None:
    control = await asyncpg.connect(standby.dsn())
    try:
        await pause(control)
        await primary.execute(ADD)
        replica.outdate()
        for _ in range(20):
            assert await fetch(replica) is None
            await asyncio.sleep(0.05)
    finally:
        await control.execute("SELECT pg_wal_replay_resume()")
        await control.close()
    answer, _ = await served(replica)
    assert answer == b"1"


async def test_one_that_is_too_far_behind_is_not_asked_until_it_has_caught_up(
    replica: Replica, primary: Pool, standby: EmbeddedPostgres, clock: Clock
) -> None:
    control = await asyncpg.connect(standby.dsn())
    try:
        await pause(control)
        await primary.execute(ADD)
        await asyncio.sleep(2 * BEAT)  # beats that it has not passed
        clock.ahead += MOST / 2
        await asyncio.sleep(2 * BEAT)
        found = await fetch(replica)
        assert found is not None
        assert MOST / 2 < found[1].lag < MOST
        clock.ahead += MOST / 2
        async with asyncio.timeout(SOON):
            while await fetch(replica) is not None or "too far behind" not in replica.state:
                await asyncio.sleep(0.05)
    finally:
        await control.execute("SELECT pg_wal_replay_resume()")
        await control.close()
    answer, stand = await served(replica)
    assert answer == b"1"
    assert stand.lag < MOST / 2


async def test_a_statement_that_replay_cancels_is_for_the_primary(
    replica: Replica, primary: Pool
) -> None:
    await primary.execute(ADD)
    slow = asyncio.create_task(fetch(replica, SLOW))
    await asyncio.sleep(0.5)
    assert not slow.done()
    await primary.execute("DELETE FROM audit")
    await primary.execute("VACUUM audit")  # the standby has to take away what the statement sees

    async with asyncio.timeout(SOON):
        assert await slow is None
    replica.outdate()
    answer, _ = await served(replica)
    assert answer == b"0"


async def test_a_statement_that_a_lock_cancels_is_for_the_primary(
    replica: Replica, primary: Pool
) -> None:
    slow = asyncio.create_task(fetch(replica, SLOW))
    await asyncio.sleep(0.5)
    async with primary.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")

    async with asyncio.timeout(SOON):
        assert await slow is None


async def test_what_a_statement_gets_wrong_is_its_own(replica: Replica) -> None:
    with pytest.raises(asyncpg.DataError):
        await replica.fetch("SELECT 1 / $1::int", [0], timeout=10.0)
    with pytest.raises(asyncpg.DataError):
        await replica.fetch("SELECT 1 / $1::int", ["x"], timeout=10.0)
    with pytest.raises(TimeoutError):
        await replica.fetch(SLOW, [], timeout=0.2)


async def test_a_statement_that_takes_too_long_does_not_burden_the_primary_too(
    standby: EmbeddedPostgres, primary: Pool, clock: Clock
) -> None:
    address = standby.dsn("replicated")
    async with replica_at(address, primary, clock, statement_timeout=0.3) as replica:
        await served(replica)
        with pytest.raises(asyncpg.QueryCanceledError):
            await fetch(replica, SLOW)


async def test_what_only_the_primary_knows_is_for_the_primary(replica: Replica) -> None:
    assert await fetch(replica, "SELECT pg_current_xact_id()") is None
    assert await fetch(replica, "SELECT * FROM a_table_of_a_newer_schema") is None


async def test_one_that_goes_away_fails_nobody_and_comes_back(
    replica: Replica, primary: Pool, standby: EmbeddedPostgres, postgres: EmbeddedPostgres
) -> None:
    await checkpointed(postgres, standby)
    under_way = [asyncio.create_task(fetch(replica, SLOW)) for _ in range(2)]
    waiting = asyncio.create_task(fetch(replica))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(standby.kill)
    try:
        async with asyncio.timeout(SOON):
            assert await asyncio.gather(*under_way, waiting) == [None] * 3
            while replica.state != "away":
                await asyncio.sleep(0.05)
        assert await fetch(replica) is None
    finally:
        await asyncio.to_thread(standby.start)
    # Its socket is elsewhere now, as an address would not be.
    replica._dsn = standby.dsn("replicated")
    await primary.execute(ADD)
    replica.outdate()
    answer, _ = await served(replica)
    assert answer == b"1"


async def test_one_that_hangs_holds_nobody_back(
    replica: Replica, standby: EmbeddedPostgres
) -> None:
    server = psutil.Process(standby.pid)
    under_way = [asyncio.create_task(fetch(replica, SLOW)) for _ in range(2)]
    await asyncio.sleep(0.3)
    stopped = [server, *server.children()]
    for process in stopped:
        process.suspend()
    try:
        waiting = asyncio.create_task(fetch(replica))
        async with asyncio.timeout(10 * PATIENCE):
            assert await asyncio.gather(*under_way, waiting) == [None] * 3
        assert replica.state == "away"
        assert await fetch(replica) is None
    finally:
        for process in stopped:
            process.resume()
    assert (await served(replica))[0] == b"0"


async def test_another_database_is_never_asked(
    standby: EmbeddedPostgres,
    dsn: str,
    primary: Pool,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for address, why in ((dsn, "it is no standby"), (standby.dsn("template"), "another database")):
        async with replica_at(address, primary, clock) as replica:
            async with asyncio.timeout(SOON):
                while why not in caplog.text:
                    assert await fetch(replica) is None
                    await asyncio.sleep(0.05)
            assert replica.state == "away"


async def test_one_that_is_not_there_is_told_once(
    primary: Pool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with replica_at("postgresql://nobody@127.0.0.1:1/none", primary, clock) as replica:
        await asyncio.sleep(2.5)
        assert await fetch(replica) is None
        assert replica.state == "away"
    assert caplog.text.count("queries go to the primary") == 1
