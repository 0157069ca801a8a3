"""Aggregators as processes of their own on one Postgres."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.apart import free_port

READY = 60.0  # seconds that a start may take on a busy machine


class Replicas:
    """Processes by name, each on a port of its own."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._dsn = dsn
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._urls: dict[str, str] = {}

    @property
    def names(self) -> set[str]:
        """Those that run."""
        return {name for name, process in self._running.items() if process.poll() is None}

    async def start(self, *names: str, **settings: str) -> None:
        """Start some, and wait until they are ready."""
        for name in names:
            self.launch(name, **settings)
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(READY):
            for name in names:
                while not await _answers(client, f"{self._urls[name]}/readyz"):
                    assert self._running[name].poll() is None, self.log(name)
                    await asyncio.sleep(0.05)

    def launch(self, name: str, **settings: str) -> None:
        """Start one, ready or not; it ends by itself where it finds no database."""
        port = free_port()
        self._urls[name] = f"http://127.0.0.1:{port}"
        program = str(Path(sys.executable).with_name("fleetwatch"))
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [program, "serve", "--listen", f"127.0.0.1:{port}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment() | {"DATABASE_URL": self._dsn} | settings,
            )

    def url(self, name: str) -> str:
        """Where one answers."""
        return self._urls[name]

    def log(self, name: str) -> str:
        """What one has said."""
        return (self._folder / f"{name}.log").read_text()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one, if it runs."""
        self._running[name].send_signal(number)

    def terminate(self, name: str) -> None:
        """Ask one to end, as an orchestrator does."""
        self.signal(name, signal.SIGTERM)

    async def ended(self, name: str) -> int:
        """Wait until one has ended; return its exit status."""
        return await asyncio.to_thread(self._running.pop(name).wait, READY)

    async def kill(self, name: str) -> None:
        """Kill one with SIGKILL."""
        self._running[name].kill()
        await self.ended(name)

    def stop(self) -> None:
        """End all."""
        for process in self._running.values():
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    return {k: os.environ[k] for k in ("PATH", "HOME", "PYTHONPATH") if k in os.environ}


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        answer: Any = await client.get(url)
    except httpx.HTTPError:
        return False
    return bool(answer.status_code == 200)
