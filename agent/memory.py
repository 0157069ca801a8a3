"""What the agent remembers of objects from one start to the next, without making anyone wait.

What reports leave (`agent.outline`) gathers for a moment and goes to disk in one transaction, in a
thread of its own. A crash in between costs reading a second's objects again. So does everything
else that goes wrong: where the table cannot be used, nothing is remembered and all works without.
"""

import asyncio
import functools
import logging
import sqlite3
from collections.abc import Callable, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agent import outline
from agent.outline import Outlined
from agent.outline_table import OutlineTable, Row, discard
from agent.state import Place

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0  # so long changes gather
PENDING_BYTES = 2 * 2**20  # of changes that wait for the disk; those beyond are not remembered
ENTRY_BYTES = 200  # what a change weighs beside its outlines

Result = TypeVar("Result")


class Memory:
    """Outlines of objects by kind and place. Opened by `open`, written while `run` runs."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the agent's home, made if it is not there."""
        self._folder = folder
        self._table: OutlineTable | None = None
        self._thread = ThreadPoolExecutor(1, "memory")
        self._pending: dict[tuple[str, Place], Row | None] = {}
        self._pending_bytes = 0
        self._changed = asyncio.Event()

    @property
    def works(self) -> bool:
        """Whether anything is remembered at all."""
        return self._table is not None

    async def open(self) -> None:
        """Open the table; where that cannot be, nothing is remembered."""
        self._table = await self._in_thread(self._open)

    async def run(self) -> None:
        """Write what has changed, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def close(self) -> None:
        """Write what has changed and close the table."""
        await self.flush()
        await self._call(OutlineTable.close, None)
        self._table = None
        self._thread.shutdown()

    def put(self, kind: str, place: Place, stamp: bytes, outlined: Outlined) -> None:
        """Remember an object as it was read."""
        if self._pending_bytes < PENDING_BYTES:
            self._change(kind, place, (stamp, outline.encode(outlined)))

    def forget(self, kind: str, place: Place) -> None:
        """Forget an object."""
        if self._pending_bytes < PENDING_BYTES:
            self._change(kind, place, None)

    async def holds(self, kind: str) -> bool:
        """Tell whether anything of a kind is remembered."""
        await self.flush()
        return await self._call(lambda table: table.holds(kind), otherwise=False)

    async def find(self, kind: str, stamps: Mapping[Place, bytes]) -> dict[Place, Outlined]:
        """Return what was remembered of objects under these stamps."""
        await self.flush()
        return await self._call(lambda table: table.find(kind, stamps), {})

    async def keep(self, kind: str, known: Container[Place]) -> None:
        """Forget all objects of a kind but those that are known."""
        places: list[Place] = [("", "")]
        while places:
            after, none = places[-1], list[Place]()
            places = await self._call(functools.partial(_places, kind, after), none)
            for place in places:
                if place not in known:
                    self.forget(kind, place)
            await self.flush()

    async def forget_kind(self, kind: str) -> None:
        """Forget all objects of a kind."""
        await self.flush()
        await self._call(lambda table: table.forget_kind(kind), None)

    async def flush(self) -> None:
        """Write what has changed."""
        changes, self._pending, self._pending_bytes = self._pending, {}, 0
        self._changed.clear()
        if changes:
            await self._call(lambda table: table.write(changes), None)

    def _change(self, kind: str, place: Place, row: Row | None) -> None:
        if self._table is None:
            return
        self._pending[kind, place] = row
        self._pending_bytes += ENTRY_BYTES + (len(row[1]) if row else 0)
        self._changed.set()

    async def _call(self, work: Callable[[OutlineTable], Result], otherwise: Result) -> Result:
        return await self._in_thread(lambda: self._guarded(work, otherwise))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # In the thread

    def _open(self) -> OutlineTable | None:
        try:
            return OutlineTable(self._folder)
        except (OSError, sqlite3.Error) as error:
            logger.warning(
                "reports are not remembered in %s, so the next start reads all of them: %s",
                self._folder,
                error,
            )
            return None

    def _guarded(self, work: Callable[[OutlineTable], Result], otherwise: Result) -> Result:
        if self._table is None:
            return otherwise
        try:
            return work(self._table)
        except sqlite3.Error as error:
            self._replace(self._table, error)
            return otherwise

    def _replace(self, table: OutlineTable, error: sqlite3.Error) -> None:
        """Begin anew where the database is damaged; where the disk is full, remember no more."""
        logger.warning("what is remembered in %s is lost: %s", self._folder, error)
        self._table = None
        try:
            table.close()
            discard(self._folder)
        except (OSError, sqlite3.Error) as fault:
            logger.warning("%s cannot be cleared: %s", self._folder, fault)
            return
        if not isinstance(error, sqlite3.OperationalError):
            self._table = self._open()


def _places(kind: str, after: Place, table: OutlineTable) -> list[Place]:
    return table.places(kind, after)
