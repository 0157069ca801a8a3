"""Connections for queries keep the plans of statements that say so, and of no others."""

from aggregator.store.pool import KEEPS_PLAN, open_pool

MODE = "SELECT current_setting('plan_cache_mode')"
KEPT = f"{KEEPS_PLAN} {MODE}"


async def test_statements_say_whether_their_plan_is_kept(dsn: str) -> None:
    pool = await open_pool(dsn, size=1, statement_timeout=10, stateless=True)
    modes = [await pool.fetchval(each) for each in (MODE, KEPT, KEPT, MODE, KEPT)]
    await pool.close()

    anew, kept = "force_custom_plan", "force_generic_plan"
    assert modes == [anew, kept, kept, anew, kept]


async def test_other_pools_plan_everything_anew(dsn: str) -> None:
    pool = await open_pool(dsn, size=1, statement_timeout=10)
    async with pool.acquire() as connection:
        for number in range(10):
            await connection.fetchval("SELECT 1 + $1::int", number)
        kept = await connection.fetchval("SELECT count(*) FROM pg_prepared_statements")
        mode = await connection.fetchval(KEPT)
    await pool.close()

    assert kept <= 1  # this very one
    assert mode == "auto"  # for the plans of foreign keys, which hold for all rows


async def test_what_is_left_open_is_rolled_back(dsn: str) -> None:
    pool = await open_pool(dsn, size=1, statement_timeout=10)
    async with pool.acquire() as connection:
        await connection.execute("BEGIN; CREATE TABLE left_open ()")
    left = await pool.fetchval("SELECT to_regclass('left_open')::text")
    await pool.close()

    assert left is None
