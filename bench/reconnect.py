"""What agents cost that come back with nothing new, and a vulnerability that is found everywhere.

    python -m bench.reconnect [--clusters 100] [--reports 200] [--large 10000] [--keep FOLDER]

- One cluster whose connection breaks again and again: bytes, and the aggregator's processor time.
- The aggregator is killed, and told to end, under a fleet whose agents hold nothing new: how soon all
  are consistent again, what memory that takes, and whether questions are answered meanwhile.
- The scanner knows one vulnerability more in the images that most clusters run: contents and bytes.

The aggregator is `fleetwatch serve` in a process of its own, the agents are the simulator's; agents and
who asks share a process, which a large fleet keeps busy. A folder that is kept is filled only once.
"""

import argparse
import asyncio
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

from agent import backoff
from aggregator.access import administration
from aggregator.access.principal import Role
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from aggregator.store.pool import open_pool
from bench.servers import BENCH, SETTINGS, Server, add_clusters, free_port, serving
from bench.simulator.fleet import Fleet
from bench.simulator.image_reports import Vulnerabilities
from bench.simulator.objects import Revision
from bench.simulator.world import World

BYTES = 4_096  # both ways, of an unchanged cluster's reconnect
MILLISECONDS = 5.0  # of the aggregator's processor time for it
STORM = 60.0  # seconds until all agents of a killed aggregator are consistent
PEAK_MIB = 300.0  # of the aggregator then
CONTENTS = 1.1  # sent, for each that is new
IMAGES = 200  # that an update of the database touches

RECONNECTS = 50
AT_ONCE = 0.02  # seconds that the one agent waits, instead of the product's seconds
PATIENCE = 7_200.0  # seconds until all agents must be done
PAUSE = 0.05  # seconds between questions
IDLE = 5.0  # seconds over which it is seen what the aggregator takes without any agent coming back
LAG = re.compile(r'^fleetwatch_event_loop_lag_seconds_bucket\{le="(.+)"\} (.+)$', re.MULTILINE)
QUESTION = """
{ fleet { clusters severities { critical high } }
  findings(first: 20) { nodes { id severity rule { key } cluster { name } } } }
"""


class Asker:
    """Asks one question after the other, and keeps what became of each and how long it took."""

    def __init__(self, url: str, token: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []  # of those that were answered
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(self.seconds, default=0.0)

    @property
    def usual(self) -> float:
        """Seconds that half of them took at most."""
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else 0.0

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask meanwhile."""
        task = asyncio.create_task(self._ask())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _ask(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
            while True:
                began = time.perf_counter()
                try:
                    answer = await client.post(
                        f"{self._url}/graphql", json={"query": QUESTION}, headers=self._headers
                    )
                except httpx.TransportError as error:
                    self.outcomes[type(error).__name__] += 1
                else:
                    well = answer.status_code == 200 and "errors" not in answer.json()
                    self.outcomes["answered" if well else f"status {answer.status_code}"] += 1
                    self.seconds.append(time.perf_counter() - began)
                await asyncio.sleep(PAUSE)


# What a client meets where nobody listens, or who did has just ended.
NOBODY = {"ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}


def lag(place: "Place", token: str) -> str:
    """Say how long the aggregator's event loop was blocked since it began."""
    headers = {"Authorization": f"Bearer {token}"}
    text = httpx.get(f"{place.server.url}/metrics", headers=headers, trust_env=False).text
    counts = {float(bound): float(count) for bound, count in LAG.findall(text)}
    looks = max(counts.values(), default=0)
    bounds = [
        f"{share:.0%} within {min(b for b, c in counts.items() if c >= share * looks) * 1000:.0f} ms"
        for share in (0.5, 0.99, 1.0)
    ]
    return f"loop awake again: {', '.join(bounds)}"


class Measured(Struct):
    """A figure with its goal, which it must not exceed."""

    what: str
    figure: float
    goal: float
    unit: str

    def __str__(self) -> str:
        verdict = "" if self.figure <= self.goal else "  MISSED"
        return f"  {self.what}: {self.figure:,.1f} {self.unit} (goal {self.goal:,.1f}){verdict}"


@contextmanager
def quick() -> Iterator[None]:
    """Let agents come back at once: what is measured is what it costs the aggregator."""
    before = backoff.FIRST_SECONDS, backoff.MAX_SECONDS
    backoff.FIRST_SECONDS = backoff.MAX_SECONDS = AT_ONCE
    try:
        yield
    finally:
        backoff.FIRST_SECONDS, backoff.MAX_SECONDS = before


class Place:
    """Where an aggregator is that may be ended and started again."""

    server: Server

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._port = free_port()
        self._running = ExitStack()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        starting = serving(self._postgres, port=self._port)
        self.server = await asyncio.to_thread(self._running.enter_context, starting)

    async def end(self) -> None:
        """Tell it to end, and wait until it has."""
        await asyncio.to_thread(self._running.close)


async def reconnects(server: Server, fleet: Fleet) -> list[Measured]:
    """Break the connection of one cluster again and again."""
    with quick():
        async with fleet:
            await fleet.consistent(within=PATIENCE)
            before = server.spent()
            await asyncio.sleep(IDLE)
            idle = server.spent().since(before)
            before, traffic, began = server.spent(), fleet.traffic, time.perf_counter()
            for _ in range(RECONNECTS):
                fleet.cut()
                await fleet.consistent()
            seconds = time.perf_counter() - began
            spent, after = server.spent().since(before), fleet.traffic
    up, down = after.bytes_up - traffic.bytes_up, after.bytes_down - traffic.bytes_down
    taken = spent.aggregator - idle.aggregator * seconds / IDLE
    print(
        f"{fleet.world.reports:,} reports, {RECONNECTS} reconnects in {seconds:.1f} s:"
        f" {up / RECONNECTS:,.0f} bytes up, {down / RECONNECTS:,.0f} down;"
        f" Postgres {spent.postgres / RECONNECTS * 1000:.1f} ms each"
    )
    return [
        Measured("a reconnect, both ways", (up + down) / RECONNECTS, BYTES, "bytes"),
        Measured("processor time", taken / RECONNECTS * 1000, MILLISECONDS, "ms"),
    ]


async def storm(place: Place, fleet: Fleet, token: str, how: signal.Signals) -> list[Measured]:
    """End the aggregator under its agents and start it again."""
    asker, before = Asker(place.server.url, token), fleet.traffic
    async with asker.asking():
        began = time.perf_counter()
        place.server.process.send_signal(how)
        await place.end()
        await place.start()
        back = time.perf_counter() - began
        refused = sum(asker.outcomes[one] for one in NOBODY)
        await fleet.consistent(within=PATIENCE)
        seconds = time.perf_counter() - began
    server, agents = place.server, len(fleet.agents)
    bad = {
        outcome: count
        for outcome, count in asker.outcomes.items()
        if outcome != "answered" and outcome not in NOBODY
    }
    # One may have been asked before and be counted after.
    lost = max(0, sum(asker.outcomes[one] for one in NOBODY) - refused - 1)
    traffic = (fleet.traffic.bytes_up - before.bytes_up) / agents
    print(
        f"storm after {how.name}, {agents} agents: it listens after {back:.1f} s;"
        f" aggregator {server.spent().aggregator:.1f} s, {traffic:,.0f} bytes up an agent;"
        f" {asker.outcomes['answered']} questions answered, in {asker.usual * 1000:.0f} ms usually"
        f" and {asker.slowest * 1000:.0f} ms at most; {refused} refused before it listened {bad or ''};"
        f" {lag(place, token)}"
    )
    return [
        Measured("all are consistent", seconds, STORM, "s"),
        Measured("peak of memory", server.peak / 2**20, PEAK_MIB, "MiB"),
        Measured("questions that failed", sum(bad.values()) + lost, 0, "questions"),
    ]


def most_used(world: World) -> list[tuple[int, int]]:
    """Name the images that most clusters run."""
    clusters: Counter[tuple[int, int]] = Counter()
    for cluster in world.clusters:
        reports = cluster.ledger.reports[Vulnerabilities.kind].values()
        clusters.update(
            {r.about.images[r.part].number for r in reports if isinstance(r.about, Revision)}
        )
    return [image for image, _ in clusters.most_common(IMAGES)]


async def update(server: Server, fleet: Fleet) -> list[Measured]:
    """Add a vulnerability to the images that most clusters run."""
    before, known = fleet.traffic, len(fleet.world.contents)
    spent, began = server.spent(), time.perf_counter()
    changed = await fleet.update_database(images=IMAGES, among=most_used(fleet.world))
    await fleet.consistent(within=PATIENCE)
    seconds, new = time.perf_counter() - began, len(fleet.world.contents) - known
    took, after = server.spent().since(spent), fleet.traffic
    sent = after.contents - before.contents
    up = after.bytes_up - before.bytes_up
    print(
        f"one vulnerability more in {IMAGES} images: {changed:,} reports, {new} new contents,"
        f" {sent} sent; {up / 2**20:.2f} MiB up, {up / max(changed, 1):,.0f} bytes a report;"
        f" {seconds:.1f} s; aggregator {took.aggregator:.1f} s, Postgres {took.postgres:.1f} s"
    )
    return [Measured("contents sent for each that is new", sent / max(new, 1), CONTENTS, "times")]


async def ask_token(dsn: str) -> str:
    """Make a token to ask with."""
    pool = await open_pool(dsn, size=1, statement_timeout=60.0)
    try:
        created = await administration.create_token(
            pool,
            BENCH,
            name="bench.reconnect",
            role=Role.VIEWER,
            clusters=None,
            namespaces=None,
            expires_at=None,
        )
    finally:
        await pool.close()
    return created.token


async def measure_one(postgres: EmbeddedPostgres, reports: int) -> list[Measured]:
    """Measure one large cluster."""
    world = World(1, seed=2, reports=reports)
    world.clusters[0].name = "large"
    tokens = await add_clusters(postgres.dsn(), world)
    place = Place(postgres)
    await place.start()
    try:
        return await reconnects(place.server, Fleet(place.server.url, tokens, world=world))
    finally:
        await place.end()


async def measure_fleet(postgres: EmbeddedPostgres, clusters: int, reports: int) -> list[Measured]:
    """Measure storms and an update over many clusters."""
    world = World(clusters, seed=1, reports=reports)
    tokens = await add_clusters(postgres.dsn(), world)
    token = await ask_token(postgres.dsn())
    place = Place(postgres)
    await place.start()
    try:
        async with Fleet(place.server.url, tokens, world=world) as fleet:
            began = time.perf_counter()
            await fleet.consistent(within=PATIENCE)
            print(
                f"{clusters} clusters, {world.reports:,} reports, {len(world.contents):,} contents"
                f" held after {time.perf_counter() - began:.0f} s,"
                f" peak of memory {place.server.peak / 2**20:.0f} MiB"
            )
            return [
                *await storm(place, fleet, token, signal.SIGKILL),
                *await storm(place, fleet, token, signal.SIGTERM),
                *await update(place.server, fleet),
            ]
    finally:
        await place.end()


def main() -> int:
    """Run it. Returns 1 where a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--reports", type=int, default=200)
    parser.add_argument("--large", type=int, default=10_000, help="reports of the one cluster")
    parser.add_argument("--keep", type=Path, help="keep the data here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "data", settings=SETTINGS) as postgres:
            asyncio.run(migrate(postgres.dsn()))
            found = asyncio.run(measure_one(postgres, given.large))
            found += asyncio.run(measure_fleet(postgres, given.clusters, given.reports))
    print(*found, sep="\n")
    return int(any(one.figure > one.goal for one in found))


if __name__ == "__main__":
    sys.exit(main())
