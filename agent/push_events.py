"""Sends runtime events from files, once, through the same protocol as an agent."""

import asyncio
import time
import uuid
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import aiohttp
from msgspec import Struct

from agent import event_files
from agent.event_files import EventFiles
from agent.push import until_committed
from agent.redaction import Redactor
from agent.settings import Settings
from agent.state import State
from agent.uplink import Uplink
from protocol import messages as m


class Outcome(Struct, frozen=True):
    """What a push of events did."""

    events: int
    failures: tuple[str, ...]  # where, and why

    @property
    def summary(self) -> str:
        """The counts, in a line."""
        return f"{self.events} events stored, {len(self.failures)} lines failed"


async def push_events(settings: Settings, paths: Iterable[Path], redactor: Redactor) -> Outcome:
    """Send the events of files and wait until they are committed. Raises `FatalError`."""
    with event_files.reading(paths, redactor) as files:
        commits = asyncio.create_task(files.intake.run())
        try:
            async with aiohttp.ClientSession() as client:
                await until_committed(_uplink(settings, files), client)
        finally:
            commits.cancel()
            await asyncio.gather(commits, return_exceptions=True)
            await files.intake.close()
        return Outcome(files.total, tuple(files.failures))


def _uplink(settings: Settings, files: EventFiles) -> Uplink:
    instance = uuid.uuid4().hex
    intake = files.intake

    def hello() -> m.Hello:
        return m.Hello(
            versions=(m.VERSION,),
            agent_version=version("fleetwatch"),
            instance=instance,
            mode=m.Mode.PUSH,
            clock=time.time_ns() // 1_000_000,
            spool=m.Spool(intake.epoch, intake.oldest, intake.next),
        )

    async def nothing(kind: str, keys: Iterable[m.Key]) -> None:
        del kind, keys

    return Uplink(State(), settings, hello, nothing, partial=True, events=intake)
