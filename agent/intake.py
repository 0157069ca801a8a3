"""The way into the spool, and out of it: group commit, off the event loop.

While one commit is on its way to the disk, events gather; the next commit takes them all. So a
hundred senders share an fsync, and none is answered before its own. The spool lives in one thread.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agent import alerts, gaps
from agent.event_table import Batch, Entry
from agent.gaps import Loss
from agent.inventory import Inventory
from agent.spool import ROW_BYTES, Spool, SpoolError
from agent.tail import Tail
from protocol.messages import GapRecord

logger = logging.getLogger(__name__)

PENDING_BYTES = 16 * 2**20  # of events that wait for their commit
ALIVE = 1.0  # seconds between marks that somebody listens
TAIL_BYTES = 4 * 2**20  # of the last events, kept in memory until they are sent
UNRESOLVED = 10_000  # events of which the pod was not known, remembered until they are sent

Result = TypeVar("Result")
Done = Callable[[SpoolError | None], None]  # called in the loop's thread; raises nothing


class BusyError(Exception):
    """Events come faster than the disk takes them."""


class Intake:
    """Takes events into a spool and hands them out."""

    def __init__(self, open_spool: Callable[[], Spool], inventory: Inventory) -> None:
        """`open_spool` is called again where the spool turns out to be broken."""
        self.inventory = inventory
        self.arrived = asyncio.Event()  # something is there to be sent
        self._open_spool = open_spool
        self._spool = open_spool()
        self._thread = ThreadPoolExecutor(1, "spool")
        self._pending: list[tuple[Sequence[Entry], Done]] = []
        self._pending_bytes = 0
        self._work = asyncio.Event()
        self._losses: dict[str, Loss] = {}  # that could not be recorded yet, by reason
        self._unresolved: dict[int, None] = {}
        self._tail = Tail(TAIL_BYTES)
        self._reserved = 0  # the offset up to which events are known to be under way

    @property
    def epoch(self) -> str:
        """The spool's epoch."""
        return self._spool.epoch

    @property
    def oldest(self) -> int:
        """The first offset that is not known to be stored."""
        return self._spool.stored

    @property
    def next(self) -> int:
        """The offset that the next event gets."""
        return self._spool.next

    @property
    def waiting(self) -> int:
        """How many events wait to be stored."""
        return self._spool.waiting

    @property
    def oldest_at(self) -> int | None:
        """When the first of them was received, ms since 1970."""
        return self._spool.oldest_at

    async def run(self) -> None:
        """Commit and keep the mark, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commit())
            group.create_task(self._stay_alive())

    async def put(self, entries: Sequence[Entry]) -> None:
        """Keep events; they are on disk on return. Raises `BusyError`, `SpoolError`."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: SpoolError | None) -> None:
            if kept.done():
                return  # nobody waits any more
            if error is None:
                kept.set_result(None)
            else:
                kept.set_exception(error)

        self.take(entries, done)
        await kept

    def take(self, entries: Sequence[Entry], done: Done) -> None:
        """Keep events; `done` is called once they are on disk, or cannot be. Raises `BusyError`."""
        if not entries:
            done(None)
            return
        if self._pending_bytes > PENDING_BYTES:
            self._refuse(entries)
            raise BusyError(f"more than {PENDING_BYTES:,} bytes of events wait for the disk")
        self._pending.append((entries, done))
        self._pending_bytes += sum(len(entry.body) + ROW_BYTES for entry in entries)
        self._work.set()

    def lose(self, loss: Loss) -> None:
        """Record that events are missing, within a second."""
        key = f"{loss.reason}{'' if loss.events is None else ', counted'}"
        known = self._losses.get(key)
        if known is None:
            self._losses[key] = loss
            return
        known.ended_at = loss.ended_at
        if loss.events is None:
            return
        for name, count in loss.priorities.items():
            known.priorities[name] = known.priorities.get(name, 0) + count
        known.events = (known.events or 0) + loss.events

    # ------------------------------------------------------------ out of the spool

    async def read(self, start: int, *, events: int, size: int) -> Batch:
        """Return events from an offset on, with what the inventory has learnt since."""
        batch = await self._read_tail(start, events=events, size=size)
        if batch is None:
            batch = await self._call(lambda: self._spool.read(start, events=events, size=size))
            if len(batch.offsets) < batch.end - start:
                self._tail.clear()  # some were lost on disk, and are counted
        late = [i for i, offset in enumerate(batch.offsets) if offset in self._unresolved]
        if not late:
            return batch
        bodies = list(batch.bodies)
        for index in late:
            bodies[index] = alerts.resolve_again(bodies[index], self.inventory)
        return Batch(batch.offsets, tuple(bodies), batch.end)

    async def _read_tail(self, start: int, *, events: int, size: int) -> Batch | None:
        """Return events from memory, once nothing can push them out of the spool any more.

        A commit that pushes events out clears the tail; one that did so before they were reserved
        is known of by the time that the reservation is.
        """
        end = self._tail.end
        if start < end and self._reserved < min(end, start + events):
            await self._call(lambda: self._spool.reserve(end))
            self._reserved = end
        return self._tail.read(start, end=self._reserved, events=events, size=size)

    async def resume(self, resume: int | None) -> bool:
        """Go on from where the aggregator stands; False where the session has to begin anew."""
        self._reserved = 0
        return await self._call(lambda: self._spool.resume(resume))

    async def confirm(self, next_: int) -> None:
        """Let go of all events below an offset."""
        await self._call(lambda: self._spool.confirm(next_))
        for offset in [offset for offset in self._unresolved if offset < next_]:
            del self._unresolved[offset]

    async def gaps(self, limit: int) -> tuple[GapRecord, ...]:
        """Return gaps that the aggregator does not hold as they stand."""
        return await self._call(lambda: self._spool.gaps(limit))

    async def confirm_gaps(self, sent: Sequence[GapRecord]) -> None:
        """Let go of gaps that the aggregator holds as they were sent."""
        await self._call(lambda: self._spool.confirm_gaps(sent))

    async def reopen(self) -> None:
        """Close a spool that does not work and open it anew, which mends what can be mended."""
        self._unresolved.clear()
        self._tail.clear()
        self._reserved = 0
        await self._call(self._replace)

    def _replace(self) -> None:
        self._spool.close()
        self._spool = self._open_spool()

    async def close(self) -> None:
        """Commit what has come, and close the spool."""
        if self._pending:
            await self._commit_once()
        await self._call(lambda: self._spool.close())  # noqa: PLW0108
        self._thread.shutdown()

    # ------------------------------------------------------------ into the spool

    async def _commit(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._pending:
                await self._commit_once()

    async def _commit_once(self) -> None:
        taken, self._pending = self._pending, []
        self._pending_bytes = 0
        entries = [entry for group, _ in taken for entry in group]
        try:
            first, whole = await self._call(lambda: self._append(entries))
        except Exception as error:  # whatever it is, the senders have to know
            if isinstance(error, SpoolError):
                logger.error("events are refused: %s", error)  # noqa: TRY400 - it is clear
            else:
                logger.exception("events are refused")
                error = SpoolError(f"{type(error).__name__}: {error}")
            self._refuse(entries)
            for _, done in taken:
                done(error)
            return
        for offset, entry in enumerate(entries, first):
            if entry.unresolved and len(self._unresolved) < UNRESOLVED:
                self._unresolved[offset] = None
        for _, done in taken:
            done(None)
        if whole:
            self._tail.add(first, entries)
        else:
            self._tail.clear()
        self.arrived.set()

    def _append(self, entries: Sequence[Entry]) -> tuple[int, bool]:
        """Return the first offset, and whether nothing was pushed out for these."""
        first, pushed_out = self._spool.next, self._spool.pushed_out
        self._spool.append(entries)
        return first, self._spool.pushed_out == pushed_out

    def _refuse(self, entries: Sequence[Entry]) -> None:
        loss = Loss(gaps.DISK_FULL)
        for entry in entries:
            loss.add(entry.priority, entry.happened_at, entry.received_at)
        self.lose(loss)

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE)
            await self._call(lambda: self._spool.alive())  # noqa: PLW0108 - of the spool there then is
            if self._losses:
                await self._note_losses()

    async def _note_losses(self) -> None:
        losses, self._losses = self._losses, {}
        for reason, loss in losses.items():
            try:
                await self._call(lambda loss=loss: self._spool.note(loss))  # type: ignore[misc]
            except SpoolError:
                later = self._losses.pop(reason, None)
                self._losses[reason] = loss
                if later is not None:
                    self.lose(later)
        self.arrived.set()

    async def _call(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def now() -> int:
    """Return the time, ms since 1970."""
    return time.time_ns() // 1_000_000
