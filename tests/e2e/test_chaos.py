"""Whatever breaks on the way, in the end every row is what the clusters say.

Replicas and Postgres are killed, frozen and drained, connections torn, cut, stranded and delayed, the
clocks of clusters set, while a simulated fleet lives and somebody asks. A schedule follows from its
seed alone: CHAOS_SEED repeats it, CHAOS_SECONDS says how long (the soak test).
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from msgspec import Struct, structs

from agent import backoff
from aggregator.access import administration
from aggregator.access.principal import Principal, Role
from aggregator.store.columns import signed
from aggregator.store.pool import Pool, open_pool
from bench.simulator import comparison
from bench.simulator.clusters import Cluster
from bench.simulator.fleet import Fleet
from tests.e2e.asker import Asker
from tests.e2e.installation import Installation
from tests.e2e.proxy import FAIR, Proxy, Weather

logger = logging.getLogger(__name__)

OWNER = Principal("00000000-0000-0000-0000-000000000000", "test", Role.ADMIN)
REPLICAS = ("a", "b")
RESTART = 0.3  # seconds that an orchestrator takes
SETTLED = 180.0  # seconds in which all must be there once nothing breaks any more
MOST_WAIT = 2.0  # seconds, instead of the product's 10, between an agent's attempts
SKEW = 6 * 3_600_000  # ms that a cluster's clock is ahead or behind, at most
TRICKLE = Weather(delay=0.01, piece=700)
LATE = Weather(delay=0.4)
LOSSY = Weather(delay=0.02, lost=0.5)

LEFT_BEHIND = "ConnectionError('unexpected connection_lost() call')"

Trouble = Callable[[random.Random], Awaitable[None]]

# A placement's history is a chain of open keys that begins with none, and nothing is seen after it
# is known.
BROKEN_HISTORY = """
WITH written AS (
    SELECT t.*, keys.before AS keys_before, keys.after AS keys_after
    FROM transition t CROSS JOIN LATERAL (
        SELECT ARRAY(SELECT DISTINCT unnest(k.keys) FROM keyset k WHERE k.id = ANY(t.before)
                     ORDER BY 1) AS before,
               ARRAY(SELECT DISTINCT unnest(k.keys) FROM keyset k WHERE k.id = ANY(t.after)
                     ORDER BY 1) AS after) AS keys
),
chained AS (
    SELECT *, lag(keys_after, 1, '{}') OVER placed AS last, lag(at) OVER placed AS last_at
    FROM written WINDOW placed AS (PARTITION BY placement_id ORDER BY at)
)
SELECT placement_id, at, last_at, observed_at, keys_before, last FROM chained
WHERE keys_before <> last OR keys_before = keys_after OR at <= last_at OR observed_at > at
"""
ROOTS = """
SELECT kind, entries, root FROM sync_root s JOIN cluster c ON c.id = s.cluster_id
WHERE c.name = $1 AND (entries <> 0 OR root <> 0)
"""


class Size(Struct, frozen=True):
    """How large, how long, and how bad."""

    clusters: int
    reports: int  # of each at the start
    seconds: float
    longest: float  # seconds that one trouble lasts at most
    released: bool  # whether stranded connections end with their trouble, else by silence alone


SHORT = Size(clusters=8, reports=60, seconds=15.0, longest=2.0, released=True)
LONG = Size(clusters=25, reports=200, seconds=600.0, longest=60.0, released=False)


class Scene:
    """All that takes part."""

    def __init__(self, size: Size, installation: Installation, proxy: Proxy, fleet: Fleet) -> None:
        self.size = size
        self.installation = installation
        self.proxy = proxy
        self.fleet = fleet

    async def break_processes(self, chance: random.Random) -> None:
        """Kill, freeze and drain, one trouble after the other."""
        replicas = (self._kill, self._drain, self._freeze)
        postgres = (self._kill_postgres, self._crash_postgres, self._break_backends)
        await self._one_after_the_other(chance, (*replicas, *postgres), 1.5)

    async def break_network(self, chance: random.Random) -> None:
        """Cut, strand and slow down, one trouble after the other; clocks are set too."""
        troubles = (self._cut, self._tear, self._strand, self._slow, self._set_clocks)
        await self._one_after_the_other(chance, troubles, 1.0)

    async def live(self, chance: random.Random) -> None:
        """Let the clusters change: a little all the time, now and then everything at once."""
        fleet = self.fleet
        everything: tuple[Callable[[], Awaitable[int]], ...] = (
            lambda: fleet.everywhere(Cluster.roll_out),
            lambda: fleet.everywhere(Cluster.finish),
            lambda: fleet.everywhere(lambda cluster: cluster.expire(ttl=0, limit=20)),
            lambda: fleet.everywhere(Cluster.rescan),
            lambda: fleet.update_database(images=10),
            fleet.withdraw,
        )
        while True:
            await fleet.churn(steps=chance.randint(1, 10))
            if chance.random() < 0.3:
                await chance.choice(everything)()
            await asyncio.sleep(chance.uniform(0.02, 0.4))

    async def calm(self) -> None:
        """End all troubles and wait until every replica is there."""
        self.proxy.weather = FAIR
        if self.size.released:
            self.proxy.release()
        for name in REPLICAS:
            self.installation.signal(name, signal.SIGCONT)
        await self.installation.until_ready()

    async def _one_after_the_other(
        self, chance: random.Random, troubles: Sequence[Trouble], pause: float
    ) -> None:
        """Make each trouble once before any comes again, for ever; pauses are in seconds."""
        while True:
            for trouble in chance.sample(troubles, len(troubles)):
                await trouble(chance)
                await asyncio.sleep(chance.uniform(0.1, pause))

    async def _kill(self, chance: random.Random) -> None:
        self.installation.signal(chance.choice(REPLICAS), signal.SIGKILL)

    async def _drain(self, chance: random.Random) -> None:
        self.installation.signal(chance.choice(REPLICAS), signal.SIGTERM)

    async def _freeze(self, chance: random.Random) -> None:
        name, lasts = chance.choice(REPLICAS), self._lasts(chance)
        self.installation.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts)
        finally:
            self.installation.signal(name, signal.SIGCONT)

    async def _kill_postgres(self, chance: random.Random) -> None:
        await self.installation.kill_postgres(away=self._lasts(chance))

    async def _crash_postgres(self, chance: random.Random) -> None:
        await self.installation.crash_postgres(chance)

    async def _break_backends(self, chance: random.Random) -> None:
        await self.installation.break_backends(chance)

    async def _cut(self, chance: random.Random) -> None:
        self.proxy.cut(chance.choice((0.1, 0.5, 1.0)))

    async def _tear(self, _chance: random.Random) -> None:
        self.proxy.cut(0.5, tear=True)

    async def _strand(self, chance: random.Random) -> None:
        self.proxy.strand(chance.choice((0.2, 0.6)))
        await asyncio.sleep(self._lasts(chance))
        self._release(chance)

    async def _slow(self, chance: random.Random) -> None:
        self.proxy.weather = chance.choice((LATE, TRICKLE, LOSSY))
        await asyncio.sleep(self._lasts(chance))
        self.proxy.weather = FAIR
        self._release(chance)

    async def _set_clocks(self, chance: random.Random) -> None:
        for agent in self.fleet.agents:
            if chance.random() < 0.3:
                agent.ahead = chance.randint(-SKEW, SKEW)

    def _release(self, chance: random.Random) -> None:
        if self.size.released or chance.random() < 0.5:
            self.proxy.release()

    def _lasts(self, chance: random.Random) -> float:
        """Draw how long a trouble lasts: most are short."""
        return self.size.longest * chance.random() ** 3 + 0.1


@contextlib.asynccontextmanager
async def on_stage(size: Size, folder: Path, seed: int) -> AsyncIterator[tuple[Scene, Pool, Asker]]:
    """Set everything up, with the first sync done."""
    async with contextlib.AsyncExitStack() as stack:
        installation = Installation(folder, REPLICAS, restart=RESTART)
        await stack.enter_async_context(installation.running())
        proxy = Proxy(lambda: installation.urls, seed=seed)
        await stack.enter_async_context(proxy.serving())
        pool = await open_pool(installation.dsn, size=2, statement_timeout=60.0)
        stack.push_async_callback(pool.close)
        names = [f"c{number}" for number in range(size.clusters)]
        tokens = [
            (await administration.add_cluster(pool, OWNER, name=name, labels={})).token
            for name in names
        ]
        created = await administration.create_token(
            pool,
            OWNER,
            name="asker",
            role=Role.VIEWER,
            clusters=None,
            namespaces=None,
            expires_at=None,
        )
        fleet = Fleet(proxy.url, tokens, seed=seed, reports=size.reports)
        await stack.enter_async_context(fleet)
        await fleet.consistent(within=SETTLED)
        asker = Asker(lambda: installation.urls, created.token, size.clusters)
        yield Scene(size, installation, proxy, fleet), pool, asker


async def play(scene: Scene, asker: Asker, seed: int) -> None:
    """Let everything happen at once for a while; raises whatever ends before its time."""
    parts = [
        asyncio.create_task(part(random.Random(f"{seed} {part.__name__}")))
        for part in (scene.break_processes, scene.break_network, scene.live)
    ]
    asking = asyncio.create_task(asker.run())
    try:
        done, _ = await asyncio.wait(
            {*parts, asking}, timeout=scene.size.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()
        await _cancelled(parts)
        await scene.calm()
        await scene.fleet.consistent(within=SETTLED)
        answered = asker.answers["data"]
        async with asyncio.timeout(SETTLED):
            while asker.answers["data"] < answered + 4:
                if asking.done():
                    asking.result()
                await asyncio.sleep(0.05)
    finally:
        await _cancelled([*parts, asking])


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def check_all_is_held(scene: Scene, pool: Pool) -> None:
    """Every row is what the simulator says, and every count what the rows say."""
    fleet = scene.fleet
    assert fleet.rejected == {}
    for number, agent in enumerate(fleet.agents):
        held = await comparison.held(pool, f"c{number}")
        assert comparison.differences(fleet.expected(number), held) == []
        roots = {
            row["kind"]: (row["entries"], row["root"])
            for row in await pool.fetch(ROOTS, f"c{number}")
        }
        kinds = agent.cluster.ledger.state.kinds.items()
        assert roots == {
            name: (kind.count, signed(kind.root)) for name, kind in kinds if kind.count
        }
    assert await pool.fetch(BROKEN_HISTORY) == []
    check = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("fleetwatch")),
        *("check", "--format", "json", "--database-url", scene.installation.dsn),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await check.communicate()
    assert json.loads(output) == {"clusters": len(fleet.agents), "drift": []}


async def survive(size: Size, folder: Path, seed: int) -> None:
    """Play it, and look at what is left."""
    try:
        async with on_stage(size, folder, seed) as (scene, pool, asker):
            await play(scene, asker, seed)
            await check_all_is_held(scene, pool)
            ends, proxy = scene.installation.ends, scene.proxy
            logger.info(
                "%s; %d cuts, %d strands; %s", ends, proxy.cuts, proxy.strands, asker.answers
            )
            assert all((ends["a"] + ends["b"], ends["postgres"], ends["a backend"])), ends
            assert proxy.cuts > 0
            assert proxy.strands > 0
            assert scene.fleet.traffic.connections > 2 * size.clusters
            assert tracebacks(scene.installation.log()) == []
    except BaseException as error:
        error.add_note(f"To repeat it: CHAOS_SEED={seed} CHAOS_SECONDS={size.seconds:.0f}")
        raise


def tracebacks(log: str) -> list[str]:
    """Return what programs were surprised by."""
    return re.findall(r"^Traceback .*\n(?:[ \t].*\n)*(?:.+\n)?", log, re.MULTILINE)


def seed_of(environment: str | None) -> int:
    """Read a seed, or draw one."""
    return secrets.randbits(32) if environment is None else int(environment)


def assert_no_agent_failed(logs: pytest.LogCaptureFixture) -> None:
    """The test's own connections to Postgres are killed too, and asyncpg leaves a future behind."""
    errors = [record for record in logs.records if record.levelno >= logging.ERROR]
    assert [one for one in errors if LEFT_BEHIND not in one.getMessage()] == []


@pytest.mark.timeout(300)
async def test_after_a_short_chaos_every_row_is_what_the_clusters_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backoff, "MAX_SECONDS", MOST_WAIT)
    await survive(SHORT, tmp_path, seed_of(os.environ.get("CHAOS_SEED", "1")))
    assert_no_agent_failed(caplog)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_after_a_long_chaos_every_row_is_what_the_clusters_say(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = float(os.environ.get("CHAOS_SECONDS", LONG.seconds))
    size = structs.replace(LONG, seconds=seconds)
    await survive(size, tmp_path, seed_of(os.environ.get("CHAOS_SEED")))
    assert_no_agent_failed(caplog)
