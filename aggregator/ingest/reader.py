"""Reads contents ahead of the transactions that write them, off the event loop.

Frames hold contents compressed. They are unpacked only as far ahead as the next transactions need,
whatever all sessions together have sent, so rows in memory have a bound.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from aggregator.ingest import reading
from aggregator.ingest.session import Session
from aggregator.store.contents import NewContent
from protocol import messages as m

AHEAD = 20_000  # findings and packages that are read and not yet being written
TURN_BYTES = 2**20  # of canonical contents that are read in one turn, as they claim to have


def weight(content: NewContent) -> int:
    """Count findings and packages."""
    return len(content.findings) + len(content.packages)


class Reader:
    """The task that reads; `sessions` are asked in their order, `notify` is told of each turn."""

    def __init__(
        self, sessions: Callable[[], Iterable[Session]], notify: Callable[[], None]
    ) -> None:
        self._sessions = sessions
        self._notify = notify
        self._work = asyncio.Event()

    def wake(self) -> None:
        """Tell that there are contents to read, or room for what they say."""
        self._work.set()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._ahead() < AHEAD and (turn := list(self._turn())):
                outcomes = await asyncio.to_thread(reading.read_all, [c for _, c in turn])
                for (session, content), outcome in zip(turn, outcomes, strict=True):
                    session.read(content.name, outcome)
                self._notify()

    def _ahead(self) -> int:
        return sum(
            weight(content)
            for session in self._sessions()
            if session.pending.contents
            for content in session.pending.contents.values()
        )

    def _turn(self) -> Iterator[tuple[Session, m.Content]]:
        left = TURN_BYTES
        for session in self._sessions():
            if left <= 0:
                return
            for content in session.pending.take_unread(left):
                left -= content.size
                yield session, content
