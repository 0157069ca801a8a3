"""Outlines on disk: one row an object, in a database of their own beside the event spool's.

What is lost here costs reading objects again, nothing else. So a commit waits for no disk, a
database that is damaged or of another shape is thrown away, and one that is full takes no more.
The spool's database promises the opposite, and exists only where events are taken.

One process at a time: the database is locked until it is closed, or the process has ended.
Not thread-safe: all calls come from one thread (`agent.memory`).
"""

import logging
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from agent import outline
from agent.outline import Outlined
from agent.state import Place

logger = logging.getLogger(__name__)

DATABASE = "reports.db"
SHAPE = 1  # of the table; another one begins anew
LOCK_SECONDS = 1.0  # that another process may hold it
ROWS = 200_000  # objects remembered; of those beyond, each start reads all
ROW_BYTES = 256 * 2**10  # of one object; a larger one is read at each start
TABLE_BYTES = 256 * 2**20  # of the database
LOG_BYTES = 4 * 2**20  # that the write-ahead log may keep on disk
CACHE_KIB = 128
PLACES = 1000  # read together

Row = tuple[bytes, bytes]  # an object's stamp and its encoded outlines

SETTINGS = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA cache_size = -{CACHE_KIB}",
    f"PRAGMA journal_size_limit = {LOG_BYTES}",
    "PRAGMA temp_store = MEMORY",
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS outline (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    stamp BLOB NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID
"""
HOLDS = "SELECT EXISTS (SELECT 1 FROM outline WHERE kind = ?)"
# CROSS: the other way round, which SQLite prefers, it looks at all of the kind for each page.
FIND = """
SELECT o.namespace, o.name, o.stamp, o.checksum, CAST(o.body AS BLOB) FROM json_each(?) AS wanted
CROSS JOIN outline o ON o.kind = ? AND o.namespace = json_extract(wanted.value, '$[0]')
    AND o.name = json_extract(wanted.value, '$[1]')
"""
PLACES_AFTER = """
SELECT namespace, name FROM outline WHERE kind = ? AND (namespace, name) > (?, ?)
ORDER BY namespace, name LIMIT ?
"""
DROP = "DELETE FROM outline WHERE kind = ? AND namespace = ? AND name = ?"
DROP_KIND = "DELETE FROM outline WHERE kind = ?"
ADD = "INSERT INTO outline VALUES (?, ?, ?, ?, ?, ?)"
COUNT = "SELECT count(*) FROM outline"


class OutlineTable:
    """The table in `folder`. Its methods raise `sqlite3.Error`."""

    def __init__(self, folder: Path) -> None:
        """Open the table, made anew where it cannot be used; raises `OSError` too."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / DATABASE
        try:
            self._database = _open(path)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise
            logger.warning("%s begins anew: %s", path, error)
            discard(folder)
            self._database = _open(path)
        self._rows: int = self._database.execute(COUNT).fetchone()[0]
        self._page_bytes: int = self._database.execute("PRAGMA page_size").fetchone()[0]

    def holds(self, kind: str) -> bool:
        """Tell whether anything of a kind is remembered."""
        [(held,)] = self._database.execute(HOLDS, (kind,))
        return bool(held)

    def find(self, kind: str, stamps: Mapping[Place, bytes]) -> dict[Place, Outlined]:
        """Return the objects whose outline was made from what these stamps say."""
        found: dict[Place, Outlined] = {}
        wanted = msgspec.json.encode(list(stamps)).decode()
        for namespace, name, stamp, check, body in self._database.execute(FIND, (wanted, kind)):
            place = (namespace, name)
            if stamp == stamps[place] and check == _checksum(kind, place, stamp, body):
                with suppress(msgspec.MsgspecError):  # of another shape
                    found[place] = outline.decode(body)
        return found

    def write(self, changes: Mapping[tuple[str, Place], Row | None]) -> None:
        """Replace what is remembered of objects; None forgets one."""
        rows = [
            (kind, *place, row[0], _checksum(kind, place, *row), row[1])
            for (kind, place), row in changes.items()
            if row is not None and len(row[1]) <= ROW_BYTES
        ]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            dropped = self._database.executemany(DROP, [(kind, *at) for kind, at in changes])
            self._rows -= dropped.rowcount
            if self._has_room(len(rows), sum(len(row[-1]) for row in rows)):
                self._database.executemany(ADD, rows)
                self._rows += len(rows)

    def places(self, kind: str, after: Place) -> list[Place]:
        """Return up to `PLACES` objects of a kind that are remembered, after one, in order."""
        return self._database.execute(PLACES_AFTER, (kind, *after, PLACES)).fetchall()

    def forget_kind(self, kind: str) -> None:
        """Forget all objects of a kind."""
        self._rows -= self._database.execute(DROP_KIND, (kind,)).rowcount

    def close(self) -> None:
        """Close the database, and give it to others."""
        self._database.close()

    def _has_room(self, rows: int, size: int) -> bool:
        [(pages,)] = self._database.execute("PRAGMA page_count")
        [(free,)] = self._database.execute("PRAGMA freelist_count")
        used: int = (pages - free) * self._page_bytes
        return self._rows + rows <= ROWS and used + size <= TABLE_BYTES


def discard(folder: Path) -> None:
    """Delete the database, which nobody has open. Raises `OSError`."""
    for part in ("", "-wal", "-shm", "-journal"):
        (folder / f"{DATABASE}{part}").unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    database.text_factory = lambda raw: raw.decode(errors="replace")  # of what the disk spoiled
    try:
        for setting in SETTINGS:
            database.execute(setting)
        [(shape,)] = database.execute("PRAGMA user_version")
        if shape not in (0, SHAPE):
            raise sqlite3.DatabaseError(f"its table has shape {shape}, not {SHAPE}")
        database.execute(SCHEMA)
        database.execute(f"PRAGMA user_version = {SHAPE}")
        [(verdict, *_), *_] = database.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        database.execute("SELECT kind, namespace, name, stamp, checksum, body FROM outline LIMIT 0")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _checksum(kind: str, place: Place, stamp: bytes, body: bytes) -> int:
    """Return what tells a row that the disk spoiled."""
    return zlib.crc32(body, zlib.crc32(stamp, zlib.crc32("/".join((kind, *place)).encode())))
