"""The spool's database: its tables, how it is opened, and how a damaged one is read."""

import logging
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from agent import gaps

logger = logging.getLogger(__name__)

LOG_BYTES = 16 * 2**20  # that the write-ahead log may keep on disk
CACHE_KIB = 4096
PARTS = ("", "-wal", "-shm")  # the files of a database

SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sender (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS event (
    offset INTEGER PRIMARY KEY, sender INTEGER NOT NULL, priority INTEGER NOT NULL,
    happened_at INTEGER NOT NULL, received_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS event_victim ON event (sender, priority, offset);
"""
SETTINGS = (
    "PRAGMA page_size = 8192",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA cache_size = -{CACHE_KIB}",
    f"PRAGMA journal_size_limit = {LOG_BYTES}",
    "PRAGMA temp_store = MEMORY",
)
REMEMBER = "INSERT OR REPLACE INTO fact VALUES (?, ?)"
ADD_SENDER = "INSERT INTO sender (name) VALUES (?)"
FORGET_SENDERS = "DELETE FROM sender WHERE id NOT IN (SELECT sender FROM event)"
ADD = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"
READ = """
SELECT offset, priority, checksum, body FROM event WHERE offset >= ? ORDER BY offset LIMIT ?
"""
VICTIMS = """
SELECT offset, happened_at, received_at, length(body) FROM event
WHERE sender = ? AND priority = ? AND offset >= ? ORDER BY offset LIMIT ?
"""
HELD = "SELECT sender, count(*), sum(length(body)) FROM event GROUP BY sender"
BELOW = "SELECT sender, count(*), sum(length(body)) FROM event WHERE offset < ? GROUP BY sender"
ONE = "SELECT sender, length(body) FROM event WHERE offset = ?"
DROP = "DELETE FROM event WHERE offset = ?"
DROP_BELOW = "DELETE FROM event WHERE offset < ?"
ENDS = "SELECT max(offset), min(received_at) FROM event"
OLDEST = "SELECT received_at FROM event ORDER BY offset LIMIT 1"
WHOLE = """
SELECT e.offset, e.priority, e.happened_at, e.received_at, e.checksum, e.body,
       coalesce((SELECT s.name FROM sender s WHERE s.id = e.sender), '')
FROM event e ORDER BY e.offset
"""


class Entry(Struct, frozen=True):
    """An event to be kept. Times are milliseconds since 1970."""

    sender: str
    priority: int
    happened_at: int
    received_at: int
    body: bytes  # msgpack of `protocol.messages.Event`
    unresolved: bool = False  # its pod is not known yet; not kept


class Batch(Struct, frozen=True):
    """Events in the order of their offsets; `end` follows the last that was looked at."""

    offsets: tuple[int, ...]
    bodies: tuple[bytes, ...]
    end: int


Row = tuple[int, int, int, int, int, bytes, str]


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, made if it is not there. Raises `sqlite3.Error`."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for setting in SETTINGS:
            database.execute(setting)
        database.executescript(SCHEMA + gaps.SCHEMA)
        [(verdict, *_), *_] = database.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error:
        database.close()
        raise
    if verdict != "ok":
        database.close()
        raise sqlite3.DatabaseError(verdict)
    return database


@contextmanager
def transaction(
    database: sqlite3.Connection, *, synchronous: bool = True
) -> Iterator[sqlite3.Connection]:
    """Begin and commit, or roll back; sqlite3's own context manager begins nothing.

    What need not outlive a power cut (events that are stored elsewhere are let go of) is not
    synchronised; it reaches the disk with the next commit that is.
    """
    if not synchronous:
        database.execute("PRAGMA synchronous = NORMAL")
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    finally:
        if not synchronous:
            database.execute("PRAGMA synchronous = FULL")


def checksum(offset: int, priority: int, body: bytes) -> int:
    """Return what tells a row that the disk spoiled."""
    return zlib.crc32(body, zlib.crc32(b"%d %d" % (offset, priority)))


def salvage(path: Path, *, epoch: str, stored: int) -> sqlite3.Connection:
    """Put what a damaged database still gives into a new one in its place. Raises `sqlite3.Error`."""
    aside = path.with_suffix(".damaged")
    for part in PARTS:
        Path(f"{aside}{part}").unlink(missing_ok=True)
        if Path(f"{path}{part}").exists():
            Path(f"{path}{part}").rename(f"{aside}{part}")
    rows = [row for row in _readable(aside).values() if row[0] >= stored]
    database = connect(path)
    with transaction(database):
        database.executemany(REMEMBER, [("epoch", epoch), ("stored", stored)])
        database.executemany(ADD_SENDER, sorted({(row[-1],) for row in rows}))
        ids = {name: id_ for id_, name in database.execute("SELECT id, name FROM sender")}
        database.executemany(ADD, [(offset, ids[sender], *rest) for offset, *rest, sender in rows])
    for part in PARTS:
        Path(f"{aside}{part}").unlink(missing_ok=True)
    return database


def _readable(path: Path) -> dict[int, Row]:
    """Read from both ends towards the damage."""
    rows: dict[int, Row] = {}
    for order in ("ASC", "DESC"):
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                for row in database.execute(f"{WHOLE} {order}"):
                    if row[0] in rows:
                        break
                    if _intact(row):
                        rows[row[0]] = row
        except sqlite3.Error as error:
            logger.warning("reading the damaged spool ended: %s", error)
    return rows


def _intact(row: Any) -> bool:
    offset, priority, happened_at, received_at, checked, body, sender = row
    numbers = (offset, priority, happened_at, received_at, checked)
    if not all(isinstance(number, int) for number in numbers):
        return False
    if not isinstance(body, bytes) or not isinstance(sender, str):
        return False
    return bool(checked == checksum(offset, priority, body))
