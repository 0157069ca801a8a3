"""The servers as processes of their own, and the processor time that each takes, its backends' too.

Requests a second depend on what else the machine does meanwhile; processor time a request hardly
does, so it stands beside them as a check.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from subprocess import DEVNULL, Popen

import psutil

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import Pool
from bench.operations_node import Node

OURS, HAND, GRAPHILE, STRAWBERRY = "ours", "by hand", "PostGraphile", "Strawberry"
PYTHON = {
    OURS: "bench.operations_ours:app",
    HAND: "bench.operations_by_hand:app",
    STRAWBERRY: "bench.operations_strawberry:app",
}
START_TIMEOUT = 60.0  # seconds until a server answers
STOP_TIMEOUT = 20.0  # seconds until one that was told to end is killed
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = $1"


@dataclass
class Server:
    """A server that runs. Its connections carry its name."""

    name: str
    port: int
    process: psutil.Process
    _spent: dict[int, float] = field(default_factory=dict)  # seconds, by process

    async def spent(self, pool: Pool) -> float:
        """Return the seconds of processor time since it and its backends began.

        A pool opens and closes connections as it likes: what a backend took stays counted.
        """
        found = [self.process]
        for row in await pool.fetch(BACKENDS, self.name):
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(row[0]))
        for one in found:
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                self._spent[one.pid] = times.user + times.system
        return sum(self._spent.values())


@contextmanager
def running(
    name: str, command: list[str], port: int, environment: dict[str, str]
) -> Iterator[Server]:
    """Run a server on a port."""
    process = Popen(command, env={**os.environ, **environment}, stdout=DEVNULL)
    try:
        asyncio.run(_answering(process, port))
        yield Server(name, port, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        finally:
            process.kill()


async def _answering(process: "Popen[bytes]", port: int) -> None:
    for _ in range(int(START_TIMEOUT / 0.1)):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended.")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise RuntimeError(f"{process.args!r} does not answer.")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _uvicorn(factory: str, port: int) -> list[str]:
    options = [
        "--log-level",
        "warning",
        "--no-access-log",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port)]
    return [*command, *options]


def start(
    stack: ExitStack, postgres: EmbeddedPostgres, database: str, found: Node | None
) -> dict[str, Server]:
    """Start every server, until the stack unwinds."""
    servers = {}
    for name, factory in PYTHON.items():
        port = _free_port()
        environment = {"DATABASE_URL": postgres.dsn(database)}
        servers[name] = running(name, _uvicorn(factory, port), port, environment)
    if found:
        port = _free_port()
        environment = {
            "PGHOST": str(postgres.socket_folder),
            "PGDATABASE": database,
            "PGUSER": "postgres",
            "PGAPPNAME": GRAPHILE,
            "NODE_ENV": "production",
            "GRAPHILE_ENV": "production",
        }
        command = [str(found.program), str(found.folder / "server.mjs"), str(port)]
        servers[GRAPHILE] = running(GRAPHILE, command, port, environment)
    return {name: stack.enter_context(server) for name, server in servers.items()}
