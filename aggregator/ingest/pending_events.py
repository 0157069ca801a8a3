"""Runtime events that a session has sent and the database does not hold yet.

They are apart from the state (pending.py): a cluster whose events are held back, because it is over
its rate, goes on to report its state. Frames are taken whole and in order.
"""

import math
import time
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from aggregator.store.runtime_events import EventBatch
from protocol import messages as m

BURST = 2.0  # seconds of its rate that a cluster may bring at once


class Rate:
    """A cluster's allowance of events, a bucket that fills with time; `limit` None is without end."""

    def __init__(self, limit: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit` is in events a second."""
        self._limit = limit
        self._clock = clock
        self._left = (limit or 0.0) * BURST
        self._filled_at = clock()

    @property
    def allowance(self) -> float:
        """How many events may be taken now."""
        if self._limit is None:
            return math.inf
        now = self._clock()
        gained = (now - self._filled_at) * self._limit
        self._left = min(self._left + gained, self._limit * BURST)
        self._filled_at = now
        return max(0.0, self._left)

    def spend(self, events: int) -> None:
        """Count events as taken; a frame more than the allowance is paid back by waiting."""
        if self._limit is not None:
            self._left -= events


class _Arrival(Struct):
    """A frame that waits to be stored, with its bytes to give back as credit."""

    batch: EventBatch
    size: int


class PendingEvents:
    """A session's frames of events and gaps since the last `take`."""

    def __init__(self) -> None:
        self.bytes = 0  # unpacked, of frames that are not stored
        self.gaps: dict[tuple[str, str], m.GapRecord] = {}
        self._arrivals: deque[_Arrival] = deque()
        self._taken: list[_Arrival] = []
        self._taken_gaps: dict[tuple[str, str], m.GapRecord] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._arrivals or self.gaps)

    @property
    def only_events(self) -> bool:
        """Whether nothing but events waits."""
        return not self.gaps

    def arrived(self, batch: EventBatch, size: int) -> None:
        """Take a frame of events."""
        self._arrivals.append(_Arrival(batch, size))
        self.bytes += size

    def missing(self, epoch: str, gaps: tuple[m.GapRecord, ...]) -> None:
        """Take gaps; the last word on each counts."""
        self.gaps.update({(epoch, gap.key): gap for gap in gaps})

    def take(
        self, limit: float
    ) -> tuple[tuple[EventBatch, ...], tuple[tuple[str, m.GapRecord], ...]]:
        """Hand over frames of about `limit` events, and all gaps as (epoch, gap)."""
        while self._arrivals and limit > 0:
            arrival = self._arrivals.popleft()
            self._taken.append(arrival)
            limit -= len(arrival.batch.offsets)
        self._taken_gaps, self.gaps = self.gaps, {}
        gaps = tuple((epoch, gap) for (epoch, _), gap in self._taken_gaps.items())
        return tuple(arrival.batch for arrival in self._taken), gaps

    def settled(self) -> list[m.Stored]:
        """What was taken is committed: the frames that say so, one an epoch."""
        answers: dict[str, m.Stored] = {}
        for arrival in self._taken:
            epoch = arrival.batch.epoch
            before = answers.get(epoch)
            size = arrival.size + (before.credits.events if before else 0)
            answers[epoch] = m.Stored(
                epoch=epoch, next=arrival.batch.end, credits=m.Credits(events=size)
            )
            self.bytes -= arrival.size
        for epoch in dict.fromkeys(epoch for epoch, _ in self._taken_gaps):
            stored = answers.get(epoch) or m.Stored(epoch=epoch)
            gaps = tuple(
                (gap.key, gap.events) for (of, _), gap in self._taken_gaps.items() if of == epoch
            )
            answers[epoch] = m.Stored(
                epoch=epoch, next=stored.next, gaps=gaps, credits=stored.credits
            )
        self._taken, self._taken_gaps = [], {}
        return list(answers.values())
