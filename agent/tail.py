"""The last events of the spool in memory, so that what is delivered at once is not read back.

What leaves a spool that is not behind is what has just come in. Everything here is on disk, too.
"""

from collections import deque
from collections.abc import Sequence

from agent.event_table import Batch, Entry


class Tail:
    """Events in the order of their offsets, without a hole, up to so many bytes of bodies."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._bodies: deque[bytes] = deque()
        self._first = 0  # the offset of the first body
        self._bytes = 0

    @property
    def end(self) -> int:
        """The offset that follows the last event."""
        return self._first + len(self._bodies)

    def add(self, first: int, entries: Sequence[Entry]) -> None:
        """Take events that begin with an offset."""
        if first != self.end:
            self.clear()
            self._first = first
        self._bodies.extend(entry.body for entry in entries)
        self._bytes += sum(len(entry.body) for entry in entries)
        while self._bytes > self._limit:
            self._drop()

    def read(self, start: int, *, end: int, events: int, size: int) -> Batch | None:
        """Return events from an offset on, below `end`, up to about `size` bytes.

        None where the first is not here.
        """
        self.forget(start)
        if not self._bodies or start != self._first or start >= end:
            return None
        events = min(events, end - start)
        bodies: list[bytes] = []
        for body in self._bodies:
            if bodies and (len(bodies) >= events or size < len(body)):
                break
            bodies.append(body)
            size -= len(body)
        end = start + len(bodies)
        return Batch(tuple(range(start, end)), tuple(bodies), end)

    def forget(self, below: int) -> None:
        """Let go of events below an offset."""
        while self._bodies and self._first < below:
            self._drop()

    def clear(self) -> None:
        """Let go of everything."""
        self._bodies.clear()
        self._bytes = 0

    def _drop(self) -> None:
        self._bytes -= len(self._bodies.popleft())
        self._first += 1
