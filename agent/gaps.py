"""Gaps: what is known to be missing, gathered into few records that grow.

A gap is a row of the spool's database until the aggregator has stored it as it stands. One that is
still growing (events pushed out of a full spool, one after the other) is one record, not one an
event; after a while without growth, or when it has become long, the next loss begins another.
"""

import json
import sqlite3
from collections.abc import Iterable

from msgspec import Struct

from protocol.messages import GapRecord, Priority

OVERFLOW = "OVERFLOW"  # the spool was full
DISK_FULL = "DISK_FULL"  # nothing could be written: refused with 503
TOO_LARGE = "TOO_LARGE"  # over the size limit: refused with 413
FALCO_DROPS = "FALCO_DROPS"  # Falco says that the kernel dropped system calls
RECEIVER_DOWN = "RECEIVER_DOWN"  # nobody listened
SPOOL_DAMAGED = "SPOOL_DAMAGED"  # the disk did not keep what it was given
SPOOL_REPLACED = "SPOOL_REPLACED"  # the spool was gone, or could not be opened
AGGREGATOR_RESTORED = "AGGREGATOR_RESTORED"  # the aggregator lost what it had stored

QUIET = 60_000  # ms without growth after which a gap is closed
LONGEST = 600_000  # ms from a gap's first growth to its last

SCHEMA = """
CREATE TABLE IF NOT EXISTS gap (
    key TEXT PRIMARY KEY, reason TEXT NOT NULL, started_at INTEGER, ended_at INTEGER,
    events INTEGER, priorities TEXT NOT NULL, opened_at INTEGER NOT NULL, grown_at INTEGER NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0
)
"""
LATEST = """
SELECT key, started_at, ended_at, events, priorities FROM gap
WHERE reason = ? AND grown_at > ? AND opened_at > ? ORDER BY grown_at DESC LIMIT 1
"""
GROW = """
UPDATE gap SET started_at = ?, ended_at = ?, events = ?, priorities = ?, grown_at = ?, stored = 0
WHERE key = ?
"""
ADD = """
INSERT OR REPLACE INTO gap (key, reason, started_at, ended_at, events, priorities, opened_at, grown_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
WAITING = """
SELECT key, reason, started_at, ended_at, events, priorities FROM gap WHERE NOT stored
ORDER BY opened_at LIMIT ?
"""
STORED = "UPDATE gap SET stored = 1 WHERE key = ? AND events IS ? AND ended_at IS ?"
DROP_CLOSED = "DELETE FROM gap WHERE stored AND (grown_at <= ? OR opened_at <= ?)"


class Loss(Struct):
    """Events that are lost for one reason. Times are milliseconds since 1970, None unknown."""

    reason: str
    events: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    priorities: dict[str, int] = {}

    def add(self, priority: int, started_at: int, ended_at: int) -> None:
        """Count one more event, which lies between these times."""
        self.events = (self.events or 0) + 1
        self.started_at = (
            started_at if self.started_at is None else min(self.started_at, started_at)
        )
        self.ended_at = ended_at if self.ended_at is None else max(self.ended_at, ended_at)
        name = Priority(priority).name
        self.priorities = {**self.priorities, name: self.priorities.get(name, 0) + 1}


def note(database: sqlite3.Connection, loss: Loss, now: int, *, key: str) -> None:
    """Record a loss: in the gap of this reason that still grows, else in a new one named `key`."""
    row = database.execute(LATEST, (loss.reason, now - QUIET, now - LONGEST)).fetchone()
    if row is None or loss.events is None or row[3] is None:
        texts = json.dumps(loss.priorities)
        values = (loss.started_at, loss.ended_at, loss.events, texts, now, now)
        database.execute(ADD, (key, loss.reason, *values))
        return
    name, started_at, ended_at, events, text = row
    priorities: dict[str, int] = json.loads(text)
    for priority, count in loss.priorities.items():
        priorities[priority] = priorities.get(priority, 0) + count
    grown = (
        _least(started_at, loss.started_at),
        _most(ended_at, loss.ended_at),
        events + loss.events,
        json.dumps(priorities),
    )
    database.execute(GROW, (*grown, now, name))


def waiting(database: sqlite3.Connection, limit: int) -> tuple[GapRecord, ...]:
    """Return gaps that the aggregator does not hold as they stand."""
    return tuple(
        GapRecord(key, reason, started_at, ended_at, events, json.loads(priorities))
        for key, reason, started_at, ended_at, events, priorities in database.execute(
            WAITING, (limit,)
        )
    )


def stored(database: sqlite3.Connection, sent: Iterable[GapRecord], now: int) -> None:
    """Note that the aggregator holds gaps as they were sent; those that grew since go again."""
    database.executemany(STORED, [(gap.key, gap.events, gap.ended_at) for gap in sent])
    database.execute(DROP_CLOSED, (now - QUIET, now - LONGEST))


def _least(one: int | None, other: int | None) -> int | None:
    known = [each for each in (one, other) if each is not None]
    return min(known, default=None)


def _most(one: int | None, other: int | None) -> int | None:
    known = [each for each in (one, other) if each is not None]
    return max(known, default=None)
