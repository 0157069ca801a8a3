"""Events on their way: from the spool to the aggregator, over one session.

Sends what the aggregator's credit allows, in the order of offsets, and lets go of what it has
stored. Nothing here is remembered beyond the session: the next one begins where Welcome says.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import zstandard

from agent.event_table import Batch
from agent.intake import Intake
from agent.session import ProtocolError
from agent.spool import SpoolError
from protocol import messages as m

logger = logging.getLogger(__name__)

BATCH_BYTES = 768 * 2**10  # of events in a frame, unpacked; the aggregator takes 1 MiB
BATCH_EVENTS = 1_000  # in a frame; the aggregator takes no more
GAPS = 50  # in a frame
GAPS_EVERY = 1.0  # seconds between frames of gaps, as one that grows is sent again and again
LINGER = 0.1  # seconds from frame to frame, unless full: each costs a transaction at the centre
LET_GO_EVERY = 0.25  # seconds between what is stored is let go of; it may as well wait
COMPRESSION = 1  # zstd's level: events come by the thousand, and much alike

_compress = zstandard.ZstdCompressor(level=COMPRESSION).compress


class Delivery:
    """The events' share of one session."""

    def __init__(self, intake: Intake, welcome: m.Welcome, send: Callable[[bytes], None]) -> None:
        """`send` must not wait."""
        self._intake = intake
        self._epoch = intake.epoch
        self._resume = welcome.resume
        self._credit = welcome.credits.events
        self._limit = min(BATCH_EVENTS, welcome.limits.items)
        self._send = send
        self._next = 0
        self._stored: int | None = None
        self._gaps: dict[str, m.GapRecord] = {}  # under way
        self._stored_gaps: list[m.GapRecord] = []
        self._gaps_at = self._let_go_at = self._sent_at = 0.0

    def stored(self, frame: m.Stored) -> None:
        """Take note of what the aggregator has committed."""
        self._credit += frame.credits.events
        if frame.epoch == self._epoch:
            if frame.next is not None:
                self._stored = frame.next
            for key, events in frame.gaps:
                gap = self._gaps.pop(key, None)
                if gap is not None and gap.events == events:
                    self._stored_gaps.append(gap)
        self._intake.arrived.set()

    async def run(self) -> None:
        """Deliver until cancelled. Raises `ProtocolError` where the session has to begin anew."""
        if self._credit <= 0:  # an aggregator that takes no events
            await asyncio.Event().wait()
        try:
            await self._run()
        except SpoolError as error:
            await self._intake.reopen()
            raise ProtocolError(f"the session begins anew: {error}") from error

    async def _run(self) -> None:
        if not await self._intake.resume(self._resume):
            raise ProtocolError("the spool began a new epoch, so the session begins anew")
        self._next = max(self._resume or 0, self._intake.oldest)
        while True:
            self._intake.arrived.clear()
            await self._let_go()
            await self._send_gaps()
            if not await self._send_events():
                await self._pause()

    async def _pause(self) -> None:
        """Wait for news; a gap that grows is looked at again anyway."""
        every = LET_GO_EVERY if self._stored is not None else GAPS_EVERY
        if self._waiting > 0 and self._credit > 0:
            every = self._sent_at + LINGER - time.monotonic()
        try:
            async with asyncio.timeout(every):
                await self._intake.arrived.wait()
        except TimeoutError:
            pass

    @property
    def _waiting(self) -> int:
        return self._intake.next - self._next

    async def _let_go(self) -> None:
        if self._stored is not None and time.monotonic() - self._let_go_at >= LET_GO_EVERY:
            self._let_go_at = time.monotonic()
            stored, self._stored = self._stored, None
            try:
                await self._intake.confirm(stored)
            except SpoolError as error:
                self._stored = max(stored, self._stored or 0)
                logger.warning("what is stored cannot be let go of yet: %s", error)
        if self._stored_gaps:
            gaps, self._stored_gaps = self._stored_gaps, []
            await self._intake.confirm_gaps(gaps)

    async def _send_gaps(self) -> None:
        if self._gaps or time.monotonic() - self._gaps_at < GAPS_EVERY:
            return
        gaps = await self._intake.gaps(GAPS)
        if not gaps:
            return
        self._gaps = {gap.key: gap for gap in gaps}
        self._gaps_at = time.monotonic()
        self._send(m.encode(m.Gaps(epoch=self._epoch, gaps=gaps)))

    async def _send_events(self) -> bool:
        """Send a frame, if there is credit and something to send."""
        soon = time.monotonic() < self._sent_at + LINGER
        if self._credit <= 0 or self._waiting <= 0 or (soon and self._waiting < self._limit):
            return False
        self._sent_at = time.monotonic()
        size = min(BATCH_BYTES, self._credit)
        batch = await self._intake.read(self._next, events=self._limit, size=size)
        self._next = batch.end
        if batch.offsets:
            body = packed(batch)
            self._credit -= len(body)
            frame = m.Events(
                epoch=self._epoch, offsets=batch.offsets, size=len(body), body=_compress(body)
            )
            self._send(m.encode(frame))
        return True


def packed(batch: Batch) -> bytes:
    """Return the msgpack array of a batch's events, which are msgpack already."""
    return b"\xdd" + len(batch.bodies).to_bytes(4, "big") + b"".join(batch.bodies)
