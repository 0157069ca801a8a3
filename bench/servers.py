"""An aggregator and its Postgres as processes of their own, for fleets of simulated agents."""

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psutil
from msgspec import Struct

from aggregator.access import administration
from aggregator.access.principal import Principal, Role, Scope
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import Pool, open_pool
from bench.operations_servers import running
from bench.simulator.clusters import Cluster
from bench.simulator.world import World

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
BENCH = Principal(str(UUID(int=0)), "bench", Role.ADMIN, Scope())


class Spent(Struct):
    """Seconds of processor time since the start of each."""

    aggregator: float
    postgres: float
    agents: float

    def since(self, before: "Spent") -> "Spent":
        """Return what was spent since."""
        return Spent(
            self.aggregator - before.aggregator,
            self.postgres - before.postgres,
            self.agents - before.agents,
        )


class Server(Struct):
    """An aggregator that runs."""

    url: str
    process: psutil.Process
    postgres: psutil.Process

    def spent(self) -> Spent:
        """Say what each has spent; Postgres counts what of its processes are there still."""
        return Spent(
            _seconds(self.process),
            sum(
                _seconds(each) for each in [self.postgres, *self.postgres.children(recursive=True)]
            ),
            _seconds(psutil.Process()),
        )

    @property
    def memory(self) -> int:
        """Resident bytes of the aggregator."""
        return int(self.process.memory_info().rss)

    @property
    def peak(self) -> int:
        """The most that it has had resident, in bytes."""
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


@contextmanager
def serving(postgres: EmbeddedPostgres, *, port: int = 0) -> Iterator[Server]:
    """Run `fleetwatch serve` on a migrated database."""
    port = port or free_port()
    command = [sys.executable, "-m", "aggregator.cli", "serve", "--listen", f"127.0.0.1:{port}"]
    environment = {"DATABASE_URL": postgres.dsn(), "FLEETWATCH_LOG_LEVEL": "warning"}
    with running("fleetwatch", command, port, environment) as server:
        pid = postgres.pid
        if pid is None:
            raise RuntimeError("Postgres does not run.")
        yield Server(f"http://127.0.0.1:{port}", server.process, psutil.Process(pid))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def add_clusters(dsn: str, world: World) -> list[str]:
    """Add a cluster for each of the world, if it is not there; returns their agents' tokens."""
    pool = await open_pool(dsn, size=1, statement_timeout=60.0)
    try:
        return [await _token(pool, cluster) for cluster in world.clusters]
    finally:
        await pool.close()


async def _token(pool: Pool, cluster: Cluster) -> str:
    labels = {"env": cluster.environment}
    try:
        added = await administration.add_cluster(pool, BENCH, name=cluster.name, labels=labels)
    except administration.RefusedError:
        return (await administration.create_agent_token(pool, BENCH, name=cluster.name)).token
    return added.token
