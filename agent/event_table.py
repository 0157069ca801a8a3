"""The spool's database: its tables, how it is opened, and how a damaged one is read."""

import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from agent import gaps
from protocol.messages import Priority

logger = logging.getLogger(__name__)

LOG_BYTES = 16 * 2**20  # that the write-ahead log may keep on disk
CACHE_KIB = 4096
VICTIM_ROWS = 200  # rows that are looked at together when room is made
LOWEST_FIRST = tuple(sorted(Priority, reverse=True))
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
FORGET_SENDERS = "DELETE FROM sender WHERE id NOT IN (SELECT value FROM json_each(?))"
ADD = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"
# Of a commit. Each statement gives up the interpreter's lock once, and waits to get it back.
ROWS_TOGETHER = 256
# One row each, however many events: every row that is fetched gives up the interpreter's lock, and
# waits to get it back.
AHEAD = """
SELECT json_group_array(json_array(offset, priority, checksum, length(CAST(body AS BLOB)))) FROM (
    SELECT offset, priority, checksum, body FROM event WHERE offset >= ? ORDER BY offset LIMIT ?)
"""
BODIES = """
SELECT CAST(group_concat(CAST(body AS TEXT), '') AS BLOB) FROM (
    SELECT body FROM event WHERE offset BETWEEN ? AND ? ORDER BY offset)
"""
BELOW = """
SELECT json_group_array(json_array(sender, events, bytes)) FROM (
    SELECT sender, count(*) AS events, sum(length(CAST(body AS BLOB))) AS bytes FROM event WHERE offset < ?
    GROUP BY sender)
"""
VICTIMS = """
SELECT offset, priority, happened_at, received_at, length(CAST(body AS BLOB)) FROM event
WHERE sender = ? AND priority = ? AND offset >= ? ORDER BY offset LIMIT ?
"""
HELD = "SELECT sender, count(*), sum(length(CAST(body AS BLOB))) FROM event GROUP BY sender"
ONE = "SELECT sender, length(CAST(body AS BLOB)) FROM event WHERE offset = ?"
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


Numbers = TypeVar("Numbers")
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


def add(rows: int) -> str:
    """Return the statement that adds so many rows at once."""
    return ADD + ", (?, ?, ?, ?, ?, ?, ?)" * (rows - 1)


def read(
    database: sqlite3.Connection, start: int, *, events: int, size: int
) -> list[tuple[int, bytes | None]]:
    """Return offsets and bodies from an offset on, up to about `size` bytes; None is a spoiled one."""
    [(found,)] = database.execute(AHEAD, (start, events))
    ahead: list[tuple[int, int, int, int]] = []
    for one in _numbers(found, list[tuple[int, int, int, int]]):
        if ahead and size < one[-1]:
            break
        ahead.append(one)
        size -= one[-1]
    if not ahead:
        return []
    [(joined,)] = database.execute(BODIES, (ahead[0][0], ahead[-1][0]))
    rows: list[tuple[int, bytes | None]] = []
    position = 0
    for offset, priority, check, length in ahead:
        body = joined[position : position + length]
        position += length
        rows.append((offset, body if check == checksum(offset, priority, body) else None))
    return rows


def victims(
    database: sqlite3.Connection, sender: int, start: int
) -> list[tuple[int, int, int, int, int]]:
    """Return a sender's oldest events of its lowest priority, from an offset on.

    Each as offset, priority, the times that it happened and was received, and its size.
    """
    for priority in LOWEST_FIRST:
        rows = database.execute(VICTIMS, (sender, priority, start, VICTIM_ROWS)).fetchall()
        if rows:
            return rows
    return []


def forget_senders(database: sqlite3.Connection, held: Iterable[int]) -> None:
    """Forget senders but those whose events are held, or on their way in."""
    database.execute(FORGET_SENDERS, (msgspec.json.encode(list(held)).decode(),))


def below(database: sqlite3.Connection, end: int) -> list[tuple[int, int, int]]:
    """Return senders with how many events and bytes they have below an offset."""
    [(found,)] = database.execute(BELOW, (end,))
    return _numbers(found, list[tuple[int, int, int]])


def _numbers(found: str, kind: type[Numbers]) -> Numbers:
    try:
        return msgspec.json.decode(found, type=kind)
    except msgspec.ValidationError as error:
        raise sqlite3.DatabaseError(f"a column holds what it cannot: {error}") from error


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
