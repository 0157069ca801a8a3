"""Migrations on a real Postgres."""

import asyncpg

from aggregator.store.migrations import head, migrate


async def test_migrating_twice_changes_nothing(dsn: str) -> None:
    assert await migrate(dsn) == (head(), head())


async def test_replicas_may_migrate_at_once(
    postgres_dsn_empty: str,
) -> None:
    import asyncio

    results = await asyncio.gather(*(migrate(postgres_dsn_empty) for _ in range(3)))

    assert sorted(before or "" for before, _ in results) == ["", head(), head()]
    assert {after for _, after in results} == {head()}


async def test_tables_exist(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    tables = await pool.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

    assert tables >= 25
