"""An agent's clock, as its heartbeats tell it: it may drift or be set while a session lasts for weeks.

On its way a heartbeat may wait, which makes the clock look behind and never ahead. So of the last few
readings the one that shows it furthest ahead was delayed the least, and counts.
"""

from collections import deque

READINGS = 4  # the last ones that are looked at: a minute of heartbeats


class AgentClock:
    """The last readings of one agent's clock, against the monotonic clock of this process."""

    def __init__(self) -> None:
        self._ahead: deque[int] = deque(maxlen=READINGS)

    def read(self, clock: int, now: float) -> None:
        """Take a reading: `clock` in ms since 1970, which came at `now`, in monotonic seconds."""
        self._ahead.append(clock - int(now * 1000))

    @property
    def ahead(self) -> int | None:
        """How many ms it is ahead of the monotonic clock; None where nothing was read."""
        return max(self._ahead, default=None)
