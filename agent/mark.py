"""What the spool knew last, beside its database: a few bytes, written around every commit.

A write-ahead log that lost its end opens as if nothing had been there. The mark tells: it holds how
far the spool had come and how many events waited, so that what is missing at the next start becomes
a gap. It reaches the page cache, not the disk, with each commit: it outlives the process, and is at
most as old as the last checkpoint after a power cut, when the log itself is what SQLite made safe.
"""

import fcntl
import os
import struct
import zlib
from pathlib import Path

from msgspec import Struct

_LAYOUT = struct.Struct("<36sqqqqqq")
_CHECKSUM = struct.Struct("<I")
NONE = -1  # where there is no time


class Mark(Struct, frozen=True):
    """How the spool stood. Times are milliseconds since 1970."""

    epoch: str
    next: int = 0  # the offset that the next event gets
    sent: int = 0  # below it, events may have been sent
    stored: int = 0  # below it, the aggregator holds all
    waiting: int = 0  # events in the database
    oldest_at: int = NONE  # when the first of them was received
    alive_at: int = NONE  # when the agent last listened


class MarkFile:
    """The file that the mark is kept in."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def lock(self) -> bool:
        """Keep others off the spool until this process ends. Returns whether nobody else has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def read(self) -> Mark | None:
        """Return the mark; None where there is none, or a torn one."""
        raw = os.pread(self._file, _LAYOUT.size + _CHECKSUM.size, 0)
        if len(raw) < _LAYOUT.size + _CHECKSUM.size:
            return None
        body = raw[: _LAYOUT.size]
        if _CHECKSUM.unpack(raw[_LAYOUT.size :]) != (zlib.crc32(body),):
            return None
        epoch, *numbers = _LAYOUT.unpack(body)
        return Mark(epoch.rstrip(b"\0").decode("ascii"), *numbers)

    def write(self, mark: Mark) -> None:
        """Replace the mark."""
        body = _LAYOUT.pack(
            mark.epoch.encode("ascii"),
            mark.next,
            mark.sent,
            mark.stored,
            mark.waiting,
            mark.oldest_at,
            mark.alive_at,
        )
        os.pwrite(self._file, body + _CHECKSUM.pack(zlib.crc32(body)), 0)

    def sync(self) -> None:
        """Bring the mark to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
