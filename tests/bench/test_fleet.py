"""The fleet that benchmarks measure on is one that ingest could have written."""

import asyncpg

from aggregator.store.pool import Pool
from bench import fleet
from tests.aggregator.store.recount import assert_counts_equal_a_recount

STATE = """
SELECT 'finding', sum(hashtext(concat_ws('/', content_id, rule_id, ordinal, status, severity))::bigint)
FROM finding
UNION ALL SELECT 'report', sum(hashtext(concat_ws('/', cluster_id, key, name, content_id, state))::bigint)
FROM report
UNION ALL SELECT 'subject', sum(hashtext(concat_ws('/', cluster_id, namespace, name, labels))::bigint)
FROM subject
"""


async def fill(pool: Pool, dsn: str) -> tuple[int, list[asyncpg.Record]]:
    findings = await fleet.load(dsn, size=0.001)
    return findings, await pool.fetch(STATE)


async def test_its_counts_equal_a_recount(pool: Pool, dsn: str) -> None:
    findings, _ = await fill(pool, dsn)

    assert findings > 100_000
    await assert_counts_equal_a_recount(pool)
    states = {row[0] for row in await pool.fetch("SELECT DISTINCT state::text FROM report")}
    assert states == {"LIVE", "SUPERSEDED", "ABSENT"}


async def test_it_is_the_same_every_time(pool: Pool, dsn: str) -> None:
    before = await fill(pool, dsn)
    tables = ", ".join(
        row[0]
        for row in await pool.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname NOT LIKE 'runtime_event%' AND relname <> 'alembic_version'"
        )
    )
    await pool.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")

    assert await fill(pool, dsn) == before


async def test_history_ends_with_what_is_open(pool: Pool, dsn: str) -> None:
    await fill(pool, dsn)

    wrong = await pool.fetchval(
        "SELECT count(*) FROM placement p CROSS JOIN LATERAL ("
        " SELECT after FROM transition t WHERE t.placement_id = p.id ORDER BY at DESC LIMIT 1) last"
        " WHERE last.after <> p.keysets"
    )

    assert wrong == 0
