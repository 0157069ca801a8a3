"""Both programs and a real API server: what changes there is in Postgres within three seconds."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from agent.run import run
from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.e2e.conftest import Aggregator, aggregator
from tests.realapi.server import RealApi
from tests.realapi.test_watch import PATH, SHOWN_SECONDS, crd, create, create_many

pytestmark = [pytest.mark.realapi, pytest.mark.timeout(240)]
__all__ = ["aggregator"]  # a fixture

PATIENCE_SECONDS = 60.0  # for what has no time of its own


async def until(aggregator: Aggregator, query: str, expected: Any) -> float:
    """Wait until a statement answers as expected. Returns the seconds that it took."""
    started = time.monotonic()
    found = None
    while (found := await aggregator.pool.fetchval(query)) != expected:
        assert time.monotonic() - started < PATIENCE_SECONDS, f"{found!r} is not {expected!r}"
        await asyncio.sleep(0.05)
    return time.monotonic() - started


async def test_what_happens_there_shows_here(
    aggregator: Aggregator,
    real: RealApi,
    tmp_path: Path,
) -> None:
    await real.install(crd())
    await create_many(real, [f"report-{number}" for number in range(300)])
    file = real.write_kubeconfig(tmp_path / "agent.kubeconfig")
    token = await aggregator.add_cluster("prod")
    settings = aggregator.agent(token=token, kubeconfig=file, home=tmp_path / "agent")
    agent = asyncio.create_task(run(settings))
    try:
        await until(aggregator, "SELECT count(*) FROM report", 300)
        await create(real, "zz-created", rules=("CVE-2026-0001",))
        count = "SELECT count(*) FROM report WHERE name = 'zz-created'"
        assert await until(aggregator, count, 1) < SHOWN_SECONDS
        status, _ = await real.request("DELETE", f"{PATH}/zz-created")
        assert status == 200
        assert await until(aggregator, count, 0) < SHOWN_SECONDS
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
    await create(real, "while-away", rules=("CVE-2026-0002",))
    for number in range(10):
        await real.request("DELETE", f"{PATH}/report-{number}")
    agent = asyncio.create_task(run(settings))
    try:
        await until(aggregator, "SELECT count(*) FROM report", 291)
        found = await aggregator.pool.fetchval(
            "SELECT count(*) FROM report WHERE name = 'while-away'"
        )
        assert found == 1
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
    await assert_counts_equal_a_recount(aggregator.pool)
