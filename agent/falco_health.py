"""What Falco says of itself: the health of its sensors, no alerts.

Falco reports the system calls that the kernel dropped before a rule could look at them, and the
alerts that its own queue dropped. Each time the numbers rise, a gap says so. Metrics snapshots hold
sums since Falco's start, so the last one of each host is remembered.
"""

import logging
from collections.abc import Callable

from agent.gaps import FALCO_DROPS, Loss
from sources.falco import Internal

logger = logging.getLogger(__name__)

HOSTS = 10_000  # whose sums are remembered
LONGEST_HOST = 253  # characters of a name
SNAPSHOT = "metrics snapshot"  # in the rule of events that hold sums


class Health:
    """The last word of each host's Falco; `lose` records a gap."""

    def __init__(self, lose: Callable[[Loss], None]) -> None:
        self._lose = lose
        self._sums: dict[str, tuple[int, int]] = {}  # host → system calls, alerts dropped
        self._seen_at: dict[str, int] = {}

    def take(self, event: Internal, now: int) -> None:
        """Take what a Falco says of itself; `now` is ms since 1970."""
        calls, alerts = event.system_calls_dropped or 0, event.alerts_dropped or 0
        host = event.hostname[:LONGEST_HOST]
        since = self._seen_at.get(host, now)
        if SNAPSHOT in event.rule:
            before = self._sums.get(host)
            if len(self._sums) >= HOSTS:
                self._sums.clear()
                self._seen_at.clear()
            self._sums[host] = (calls, alerts)
            self._seen_at[host] = now
            if before is None or calls < before[0] or alerts < before[1]:  # Falco started anew
                return
            calls, alerts = calls - before[0], alerts - before[1]
        if not calls and not alerts:
            return
        logger.warning("Falco on %s dropped %d system calls and %d alerts", host, calls, alerts)
        # Nobody knows how many alerts dropped system calls would have been.
        self._lose(Loss(FALCO_DROPS, None if calls else alerts, since, now))
