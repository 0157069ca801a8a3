"""The first sync of a fleet: simulated agents, the whole protocol, and the floor of its rows.

    python -m bench.sync [--clusters 200] [--reports 1000] [--waves 1]

With BIG=1 in the environment it is 1,000 clusters. In waves a part of the clusters comes after the other,
which shows what one more costs as the fleet grows. The aggregator is `fleetwatch serve` in a process of its own, the agents are the simulator's. The floor
writes the rows that this left behind by bare `unnest` statements, in the same run on the same machine.
"""

import argparse
import asyncio
import copy
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from bench import ingest_floor
from bench.servers import SETTINGS, Server, add_clusters, serving
from bench.simulator.fleet import Fleet
from bench.simulator.world import World

GOAL = 0.6  # reports a second of the floor's
PATIENCE = 7_200.0  # seconds until all agents must be done


async def sync(server: Server, fleet: Fleet) -> float:
    """Wait until all is held; prints how it goes. Returns the seconds it took."""
    began, told = time.perf_counter(), 0.0
    before = server.spent()
    most = 0

    async def watch() -> None:
        nonlocal most, told
        while True:
            await asyncio.sleep(1)
            most = max(most, server.memory)
            if time.perf_counter() - told > 10:
                told = time.perf_counter()
                print(
                    f"  {told - began:5.0f} s  {fleet.entries_sent:,} entries sent, {fleet.done} done",
                    flush=True,
                )

    watching = asyncio.create_task(watch())
    try:
        await fleet.consistent(within=PATIENCE)
    finally:
        watching.cancel()
    seconds = time.perf_counter() - began
    spent = server.spent().since(before)
    print(
        f"  processor: aggregator {spent.aggregator:.1f} s, Postgres {spent.postgres:.1f} s, agents"
        f" {spent.agents:.1f} s; aggregator's memory at most {most / 2**20:.0f} MiB"
    )
    return seconds


async def first_sync(server: Server, world: World, tokens: list[str], waves: int) -> float:
    """Let a fleet in, in so many parts; returns the seconds until all of it is held."""
    seconds, sent = 0.0, 0
    for part, its_tokens in parts(world, tokens, waves):
        before, began = server.spent(), seconds
        async with Fleet(server.url, its_tokens, world=part) as fleet:
            seconds += await sync(server, fleet)
            sent += fleet.traffic.bytes_up
        spent = server.spent().since(before)
        print(
            f"{len(part.clusters)} clusters: {(seconds - began) * 1000 / part.reports:.2f} ms a report; processor"
            f" {(spent.aggregator + spent.postgres) * 1000 / part.reports:.2f} ms, of these"
            f" Postgres {spent.postgres * 1000 / part.reports:.2f}"
        )
    print(f"{sent / 2**20:.1f} MiB up")
    return seconds


def parts(world: World, tokens: list[str], waves: int) -> Iterator[tuple[World, list[str]]]:
    """Cut a world in parts that share all but their clusters."""
    size = -(-len(tokens) // waves)
    for n in range(0, len(tokens), size):
        part = copy.copy(world)
        part.clusters = world.clusters[n : n + size]
        yield part, tokens[n : n + size]


def measure(postgres: EmbeddedPostgres, clusters: int, reports: int, waves: int) -> int:
    """Sync, then write the floor. Returns 1 where the goal is missed."""
    began = time.perf_counter()
    world = World(clusters, seed=1, reports=reports)
    print(
        f"{clusters} clusters, {world.reports:,} reports, {len(world.contents):,} contents; made in"
        f" {time.perf_counter() - began:.0f} s"
    )
    tokens = asyncio.run(add_clusters(postgres.dsn(), world))
    with serving(postgres) as server:
        seconds = asyncio.run(first_sync(server, world, tokens, waves))
    print(f"first sync: {seconds:.1f} s, {world.reports / seconds:,.0f} reports/s")
    floor = asyncio.run(write_floor(postgres))
    print(
        f"floor: {floor:.1f} s, {world.reports / floor:,.0f} reports/s;"
        f" sync / floor {floor / seconds:.2f} (goal {GOAL})"
    )
    return int(floor / seconds < GOAL)


async def write_floor(postgres: EmbeddedPostgres) -> float:
    """Write the rows again; returns the seconds it took."""
    connection = await asyncpg.connect(postgres.dsn())
    try:
        tables = await ingest_floor.read(connection)
        await connection.execute("CREATE DATABASE floor")
    finally:
        await connection.close()
    await migrate(postgres.dsn("floor"))
    connection = await asyncpg.connect(postgres.dsn("floor"))
    try:
        seconds = await ingest_floor.write(connection, tables)
    finally:
        await connection.close()
    print(
        "rows: "
        + ", ".join(f"{t.name} {t.rows:,}" for t in sorted(tables, key=lambda t: -t.rows)[:16])
    )
    return seconds


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clusters", type=int, default=1_000 if os.environ.get("BIG") else 200)
    parser.add_argument("--reports", type=int, default=1_000)
    parser.add_argument("--waves", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the data here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "data", settings=SETTINGS) as postgres:
            asyncio.run(migrate(postgres.dsn()))
            return measure(postgres, given.clusters, given.reports, given.waves)


if __name__ == "__main__":
    sys.exit(main())
