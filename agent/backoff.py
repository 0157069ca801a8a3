"""How long to wait before trying again.

The arithmetic: 0.5 s doubled each time and cut at 10 s, so 0.5, 1, 2, 4, 8, 10, 10 …, each drawn
evenly from the upper half of itself. An API server that is down for a minute is asked about ten
times by each reflector, and is found again at most 10 s after it is back. The jitter keeps the
reflectors of one agent from asking in step.
"""

from collections.abc import Callable
from random import random

FIRST_SECONDS = 0.5
FACTOR = 2.0
MAX_SECONDS = 10.0
JITTER = 0.5  # of the wait is random


class Backoff:
    """The waits between failures in a row; `reset` after a success."""

    def __init__(self, *, draw: Callable[[], float] = random) -> None:
        self.failures = 0
        self._draw = draw

    def next(self) -> float:
        """Count a failure and return the seconds to wait now."""
        wait = min(FIRST_SECONDS * FACTOR ** min(self.failures, 32), MAX_SECONDS)
        self.failures += 1
        return wait * (1 - JITTER * self._draw())

    def reset(self) -> None:
        """Start again at the shortest wait."""
        self.failures = 0
