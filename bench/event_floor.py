"""The floor: COPY of the very rows that the pipeline has committed, into the same emptied tables.

In transactions of 1,000 and of 10,000 rows, without anything in between; with the rows encoded
beforehand, which takes the client out of it; and with the counts that the aggregator keeps besides.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import asyncpg

from aggregator.store.runtime_events import (
    ADD_FLEET_DAYS,
    ADD_FLEET_HOURS,
    ADD_HOURS,
    COLUMNS,
)

TABLE = "runtime_event"
COUNTS = ("runtime_event_hour", "runtime_event_fleet_hour", "runtime_event_fleet_day")
SIZES = (1_000, 10_000)  # rows of a transaction
WITHIN = 120.0  # seconds without a new row, after which something is wrong
CLUSTER, AT, PRIORITY, RULE, SOURCE, NAMESPACE = map(
    COLUMNS.index, ("cluster_id", "at", "priority", "rule", "source", "namespace")
)

Connection = Any  # a pool's connection; the proxy's type has none of its methods
Rows = list[tuple[Any, ...]]


async def clear(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Forget all events."""
    await pool.execute(f"TRUNCATE {TABLE}, {', '.join(COUNTS)}")
    await pool.execute("CHECKPOINT")  # so that none falls due to what was before


async def until(pool: "asyncpg.Pool[asyncpg.Record]", events: int) -> float:
    """Wait until so many rows are committed, by the counts of their transaction. Returns when."""
    counted, since = 0, time.time()
    while counted != events:
        await asyncio.sleep(0.02)
        now = await pool.fetchval(f"SELECT coalesce(sum(events), 0)::bigint FROM {COUNTS[-1]}")
        if now != counted:
            counted, since = now, time.time()
        if counted > events or time.time() - since > WITHIN:
            raise SystemExit(f"{counted:,} rows came of {events:,} events")
    return since


async def verify(pool: "asyncpg.Pool[asyncpg.Record]", events: int, hidden: int) -> None:
    """Each event has to be there once, and no secret with it."""
    [(rows, different, redacted)] = await pool.fetch(
        "SELECT count(*), count(DISTINCT fields ->> 'n'),"
        " count(*) FILTER (WHERE fields ? 'fleetwatch.redacted') FROM runtime_event"
    )
    if (rows, different, redacted) != (events, events, hidden):
        raise SystemExit(f"{rows:,} rows, {different:,} events, {redacted:,} redacted")


async def floor(pool: "asyncpg.Pool[asyncpg.Record]") -> dict[str, float]:
    """Return rows a second of each kind of COPY of the rows that are there."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    query = f"SELECT {names} FROM {TABLE} ORDER BY id"
    rows: Rows = [tuple(row) for row in await pool.fetch(query)]
    async with pool.acquire() as connection:
        encoded = []
        for start in range(0, len(rows), max(SIZES)):
            buffer = BytesIO()
            page = f"{query} OFFSET {start} LIMIT {max(SIZES)}"
            await connection.copy_from_query(page, output=buffer, format="binary")
            encoded.append(buffer.getvalue())
        rates = {}
        for size in SIZES:
            parts = [rows[start : start + size] for start in range(0, len(rows), size)]
            rates[f"by {size:,}"] = await _rate(pool, connection, parts, _copy, len(rows))
        rates["encoded beforehand"] = await _rate(pool, connection, encoded, _load, len(rows))
        parts = [rows[start : start + SIZES[0]] for start in range(0, len(rows), SIZES[0])]
        rates["with counts"] = await _rate(pool, connection, parts, _copy_and_count, len(rows))
    return rates


async def _rate(
    pool: "asyncpg.Pool[asyncpg.Record]",
    connection: Connection,
    parts: list[Any],
    write: Callable[[Connection, Any], Awaitable[None]],
    rows: int,
) -> float:
    await clear(pool)
    started = time.perf_counter()
    for part in parts:
        await write(connection, part)
    return rows / (time.perf_counter() - started)


async def _copy(connection: Connection, rows: Rows) -> None:
    await connection.copy_records_to_table(TABLE, records=rows, columns=COLUMNS)


async def _load(connection: Connection, encoded: bytes) -> None:
    await connection.copy_to_table(TABLE, source=BytesIO(encoded), columns=COLUMNS, format="binary")


async def _copy_and_count(connection: Connection, rows: Rows) -> None:
    """COPY with the rollups, as the aggregator's transaction does both."""
    hours: Counter[tuple[Any, ...]] = Counter()
    fleet: Counter[tuple[Any, ...]] = Counter()
    days: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        hour = row[AT].replace(minute=0, second=0, microsecond=0)
        kind = (row[RULE], row[PRIORITY], row[SOURCE])
        hours[row[CLUSTER], hour, row[NAMESPACE], *kind] += 1
        fleet[hour, *kind] += 1
        days[hour.replace(hour=0), *kind] += 1
    async with connection.transaction():
        await _copy(connection, rows)
        for statement, counts in (
            (ADD_HOURS, hours),
            (ADD_FLEET_HOURS, fleet),
            (ADD_FLEET_DAYS, days),
        ):
            turned = zip(*((*key, count) for key, count in sorted(counts.items())), strict=True)
            await connection.execute(statement, *map(list, turned))
