"""`python -m bench.simulator` against a whole aggregator."""

import asyncio

from click.testing import CliRunner

from bench.simulator.__main__ import main
from tests.e2e.conftest import Aggregator


async def run(aggregator: Aggregator, *options: str) -> list[str]:
    """Run the command on a small fleet, and return its lines."""
    arguments = ["--url", aggregator.url, "--clusters", "2", "--reports", "25", *options]
    environment = {"FLEETWATCH_TOKEN": aggregator.token}
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


async def test_it_loads_a_fleet_and_finds_it_again(aggregator: Aggregator) -> None:
    first = await run(aggregator, "--at", "2026-01-01", "--storm", "--update", "5")

    assert first[0].startswith("2 clusters, 50 reports, ")
    told = [line.partition(": consistent after ")[0] for line in first if "after" in line]
    assert told == ["first sync", "one vulnerability more in 5 images", "storm of reconnects"]
    assert await aggregator.pool.fetchval("SELECT count(*) FROM report") == 50

    again = await run(aggregator, "--at", "2026-01-01")

    assert await aggregator.pool.fetchval("SELECT count(*) FROM cluster") == 2
    sent = [line for line in again if line.startswith("2/2 consistent")]
    entries = int(sent[-1].split(" entries in")[0].rpartition(" ")[2])
    assert 0 < entries < 25  # what the update had changed, and nothing else
