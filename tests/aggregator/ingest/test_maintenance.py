"""Maintenance: on one replica at a time, and on another once that is gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aggregator.ingest import maintenance
from aggregator.ingest.maintenance import LOCK, Maintenance
from aggregator.store.pool import Pool, open_pool

SOON = 20.0  # seconds in which whatever is waited for has to come
HOLDER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.database = (
        SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = $1
"""


@pytest.fixture
async def replicas(dsn: str) -> AsyncIterator[dict[str, Pool]]:
    """Yield the pools of two replicas."""
    pools = {
        name: await open_pool(dsn, size=3, statement_timeout=30.0, application=name)
        for name in ("a", "b")
    }
    yield pools
    for pool in pools.values():
        pool.terminate()


async def held_by(pool: Pool, name: str) -> None:
    async with asyncio.timeout(SOON):
        while await pool.fetchval(HOLDER, LOCK) != name:
            await asyncio.sleep(0.02)


async def test_it_runs_on_one_and_passes_to_the_other(
    replicas: dict[str, Pool], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "INTERVAL", 0.05)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE finding_stats_taken")  # a round waits for it
        first = asyncio.create_task(Maintenance(replicas["a"]).run())
        await held_by(pool, "a")
        assert not await Maintenance(replicas["b"]).round()

        second = asyncio.create_task(Maintenance(replicas["b"]).run())
        await asyncio.sleep(0.3)
        assert await pool.fetchval(HOLDER, LOCK) == "a"
        replicas["a"].terminate()  # as a kill ends its connections
        await held_by(pool, "b")
        await transaction.rollback()
    async with asyncio.timeout(SOON):
        while not await pool.fetchval("SELECT EXISTS (SELECT FROM finding_stats_taken)"):
            await asyncio.sleep(0.02)
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
