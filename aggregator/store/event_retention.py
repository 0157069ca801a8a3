"""The days of runtime events: partitions made ahead, dropped once they are too old."""

import re
from datetime import UTC, datetime, timedelta

import asyncpg

from aggregator.store.pool import Pool
from aggregator.store.runtime_events import LATE

AHEAD = timedelta(days=3)  # that partitions are made in advance
BEHIND = LATE + timedelta(days=1)
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '1s'"  # a drop must not queue up those who read
PREFIX = "runtime_event_"
SPOOLS_KEPT = timedelta(days=90)  # that the offsets of spools that are silent are remembered

MAKE = "SELECT runtime_event_make_partitions($1::date, $2::date)"
PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'runtime_event'::regclass ORDER BY 1
"""
# By cluster, so that each statement stays small and knows where its rows are.
CLUSTERS = "SELECT DISTINCT cluster_id FROM runtime_event_hour WHERE hour < $1 ORDER BY 1"
DROP_HOURS = "DELETE FROM runtime_event_hour WHERE cluster_id = $1 AND hour < $2"
DROP_FLEET_HOURS = "DELETE FROM runtime_event_fleet_hour WHERE hour < $1 OR events <= 0"
DROP_FLEET_DAYS = "DELETE FROM runtime_event_fleet_day WHERE day < $1 OR events <= 0"
DROP_GAPS = "DELETE FROM event_gap WHERE coalesce(ended_at, recorded_at) < $1 AND recorded_at < $1"
DROP_SPOOLS = """
DELETE FROM event_spool e WHERE stored_at < $1
AND EXISTS (SELECT FROM event_spool o WHERE o.cluster_id = e.cluster_id AND o.stored_at > e.stored_at)
"""


async def make_partitions(pool: Pool, *, now: datetime | None = None) -> int:
    """Make the partitions that events may fall into from now on. Returns how many were missing."""
    now = now or datetime.now(UTC)
    made: int = await pool.fetchval(MAKE, (now - BEHIND).date(), (now + AHEAD).date())
    return made


async def drop_old(pool: Pool, retention: timedelta, *, now: datetime | None = None) -> list[str]:
    """Drop what lies before the retention: whole days of events, then their counts and gaps.

    Returns the partitions dropped. One that somebody reads just now is left for the next time.
    """
    now = now or datetime.now(UTC)
    oldest = (now - max(retention, BEHIND)).replace(hour=0, minute=0, second=0, microsecond=0)
    dropped = []
    for row in await pool.fetch(PARTITIONS):
        day = _day(row["relname"])
        if day is not None and day < oldest and await _drop(pool, row["relname"]):
            dropped.append(row["relname"])
    for row in await pool.fetch(CLUSTERS, oldest):
        await pool.execute(DROP_HOURS, row["cluster_id"], oldest)
    await pool.execute(DROP_FLEET_HOURS, oldest)
    await pool.execute(DROP_FLEET_DAYS, oldest)
    await pool.execute(DROP_GAPS, oldest)
    await pool.execute(DROP_SPOOLS, now - SPOOLS_KEPT)
    return dropped


async def _drop(pool: Pool, partition: str) -> bool:
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK_TIMEOUT)
            await connection.execute(f"DROP TABLE {partition}")
    except asyncpg.LockNotAvailableError:
        return False
    return True


def _day(partition: str) -> datetime | None:
    match = re.fullmatch(rf"{PREFIX}(\d{{8}})", partition)
    return datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC) if match else None
