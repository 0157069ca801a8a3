"""Counting everything again from the reports, to compare with what ingest kept."""

import asyncpg

from aggregator.store import check


async def assert_counts_equal_a_recount(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Every stored count equals one made from scratch."""
    found = [found async for found in check.drifts(pool) if isinstance(found, check.Drift)]
    assert found == []
