"""Agent, aggregator and Postgres as processes of their own, to be killed and started again."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from aggregator.access import administration
from aggregator.access.principal import Principal, Role
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from tests.apart import free_port
from tests.open_folder import open_folder

OWNER = Principal("00000000-0000-0000-0000-000000000000", "test", Role.ADMIN)
SECRET = "a-secret-of-the-tests"
READY = 60.0  # seconds that a start may take on a busy machine

# What a server needs to survive its own SIGKILL; not a power cut, which no test makes.
POSTGRES = {"fsync": "off", "shared_buffers": "64MB", "listen_addresses": "127.0.0.1"}


class Processes:
    """The three programs on fixed ports, so that each finds the others after any restart."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        *,
        postgres: dict[str, str] | None = None,
        aggregator: dict[str, str] | None = None,
        **agent: str,
    ) -> None:
        """Settings are Postgres's own, and environment variables of the other two."""
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._agent_settings = agent
        self._aggregator_settings = aggregator or {}
        self._ports = {name: free_port() for name in ("postgres", "aggregator", "agent")}
        settings = {
            **(POSTGRES if postgres is None else postgres),
            "port": str(self._ports["postgres"]),
        }
        self._left = contextlib.ExitStack()
        data = self._left.enter_context(open_folder()) / "data"
        self._postgres = EmbeddedPostgres(data, settings=settings)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.agent_token = ""
        self.admin_token = ""

    @property
    def dsn(self) -> str:
        """Where Postgres is."""
        return f"postgresql://postgres@127.0.0.1:{self._ports['postgres']}/postgres"

    @property
    def url(self) -> str:
        """Where the aggregator is."""
        return f"http://127.0.0.1:{self._ports['aggregator']}"

    @property
    def events_url(self) -> str:
        """Where the agent takes events."""
        return f"http://127.0.0.1:{self._ports['agent']}/falco/{SECRET}"

    async def start(self) -> None:
        """Set up a database with one cluster and start everything."""
        await asyncio.to_thread(self._postgres.start)
        await migrate(self.dsn)
        async with asyncpg.create_pool(self.dsn, min_size=1, max_size=2) as pool:
            added = await administration.add_cluster(pool, OWNER, name="c", labels={})
            created = await administration.create_token(
                pool,
                OWNER,
                name="test",
                role=Role.ADMIN,
                clusters=None,
                namespaces=None,
                expires_at=None,
            )
        self.agent_token, self.admin_token = added.token, created.token
        self.start_aggregator()
        self.start_agent()

    def start_aggregator(self) -> None:
        """Start the aggregator; it may not find its database yet."""
        self._start(
            "aggregator",
            ["fleetwatch", "serve", "--listen", f"127.0.0.1:{self._ports['aggregator']}"],
            DATABASE_URL=self.dsn,
            **self._aggregator_settings,
        )

    def start_agent(self) -> None:
        """Start the agent; it may not find its aggregator yet."""
        self._start(
            "agent",
            ["fleetwatch-agent", "run", "--events-listen", f"127.0.0.1:{self._ports['agent']}"],
            FLEETWATCH_URL=self.url,
            FLEETWATCH_TOKEN=self.agent_token,
            FLEETWATCH_EVENTS_SECRET=SECRET,
            FLEETWATCH_KUBECONFIG=str(self._kubeconfig),
            FLEETWATCH_AGENT_HOME=str(self._folder / "agent"),
            **self._agent_settings,
        )

    async def kill(self, name: str) -> None:
        """Kill one of the three with SIGKILL and start it again."""
        if name == "postgres":
            await asyncio.to_thread(self._postgres.kill)
            await asyncio.to_thread(self._postgres.start)
            return
        process = self._running.pop(name)
        process.kill()
        await asyncio.to_thread(process.wait)
        if name == "agent":
            self.start_agent()
        else:
            self.start_aggregator()

    def revive(self) -> None:
        """Start what has ended by itself: an aggregator does without its database at the start."""
        for name, start in (("aggregator", self.start_aggregator), ("agent", self.start_agent)):
            if self._running[name].poll() is not None:
                start()

    def pid(self, name: str) -> int:
        """Return the process id of the agent or the aggregator."""
        return self._running[name].pid

    @property
    def postgres_pid(self) -> int:
        """The process id of the server."""
        assert self._postgres.pid is not None
        return self._postgres.pid

    async def until_ready(self) -> None:
        """Wait until the aggregator and the agent's receiver answer."""
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(READY):
            for url in (
                f"{self.url}/readyz",
                f"http://127.0.0.1:{self._ports['agent']}/healthz",
            ):
                while not await _answers(client, url):
                    self.revive()
                    await asyncio.sleep(0.05)

    def stop(self) -> None:
        """End everything."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
        self._postgres.stop()
        self._left.close()

    def _start(self, name: str, command: list[str], **environment: str) -> None:
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "PYTHONPATH") if k in os.environ}
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(Path(sys.executable).with_name(command[0])), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**kept, **environment},
            )


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        answer: Any = await client.get(url)
    except httpx.HTTPError:
        return False
    return bool(answer.status_code == 200)
