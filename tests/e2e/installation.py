"""A Postgres and some replicas that an orchestrator starts again, whatever happens to them."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import asyncpg
import httpx

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from tests.apart import free_port
from tests.e2e.processes import POSTGRES
from tests.e2e.replicas import Replicas
from tests.open_folder import open_folder

READY = 90.0  # seconds that all of it may take to be there again on a busy machine
POLL = 0.05  # seconds between looks at a process
BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid
"""


class Installation:
    """The processes of one aggregator; `ends` counts by name how often each has ended."""

    def __init__(self, folder: Path, names: tuple[str, ...], *, restart: float) -> None:
        """`restart` is how many seconds an orchestrator takes to start again what has ended."""
        self.names = names
        self.ends = dict.fromkeys((*names, "postgres", "a backend"), 0)
        self._restart = restart
        port = free_port()
        self.dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        settings = {**POSTGRES, "port": str(port)}
        self._left = contextlib.ExitStack()
        data = self._left.enter_context(open_folder()) / "data"
        self._postgres = EmbeddedPostgres(data, settings=settings)
        self._replicas = Replicas(self.dsn, folder)
        self._killing = asyncio.Lock()  # of Postgres

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run it on a new database, which is migrated."""
        keeping: list[asyncio.Task[None]] = []
        try:
            await asyncio.to_thread(self._postgres.start)
            await migrate(self.dsn)
            for name in self.names:
                self._replicas.launch(name)
                keeping.append(asyncio.create_task(self._keep(name)))
            await self.until_ready()
            yield self
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            self._replicas.stop()
            await asyncio.to_thread(self._postgres.stop)
            self._left.close()

    @property
    def urls(self) -> list[str]:
        """Where the replicas are, whether or not they run."""
        return [self._replicas.url(name) for name in self.names]

    def log(self) -> str:
        """What all replicas have said."""
        return "".join(self._replicas.log(name) for name in self.names)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a replica."""
        self._replicas.signal(name, number)

    async def kill_postgres(self, *, away: float) -> None:
        """Kill the server with SIGKILL, and start it again after so many seconds."""
        async with self._killing:
            self.ends["postgres"] += 1
            try:
                self._postgres.kill()
                await asyncio.sleep(away)
            finally:
                await asyncio.to_thread(self._postgres.start)

    async def break_backends(self, chance: random.Random) -> None:
        """End half of Postgres's connections in the middle of whatever they do, if it answers."""
        async with self._asking() as connection:
            pids = [row["pid"] for row in await connection.fetch(BACKENDS)]
            chosen = [pid for pid in pids if chance.random() < 0.5]
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS u (pid)", chosen
            )

    async def crash_postgres(self, chance: random.Random) -> None:
        """Kill one process of Postgres, which then ends all and recovers by itself."""
        async with self._asking() as connection:
            pids = [row["pid"] for row in await connection.fetch(BACKENDS)]
            if pids:
                self.ends["a backend"] += 1
                os.kill(chance.choice(pids), signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[asyncpg.Connection]:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self.dsn)
            try:
                yield connection
            finally:
                await connection.close()

    async def until_ready(self) -> None:
        """Wait until every replica answers that it is ready."""
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(READY):
            for name in self.names:
                while not await self._is_ready(client, name):
                    await asyncio.sleep(POLL)

    async def _is_ready(self, client: httpx.AsyncClient, name: str) -> bool:
        try:
            answer = await client.get(f"{self._replicas.url(name)}/readyz")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def _keep(self, name: str) -> None:
        """Start a replica again whenever it ends."""
        while True:
            while name in self._replicas.names:
                await asyncio.sleep(POLL)
            self.ends[name] += 1
            await asyncio.sleep(self._restart)
            self._replicas.launch(name)
