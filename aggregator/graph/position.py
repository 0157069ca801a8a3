"""Where a subscription is: a position in the order of commits, of one life of the database.

    BEGIN   ->  Beginning: where the database stands, and what has become of a cursor's event
    a round ->  Round: what came, and with `advance` the position behind it

A position is only good in the life of the database that it is of: a restore takes transactions
back, and their numbers are given out anew.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from aggregator.graph.errors import CURSOR_EXPIRED, UNAVAILABLE, GraphError
from aggregator.graph.limits import ROUND_EVENTS, ROUND_LOOKS

LATE = timedelta(days=7)  # that an event's `at` may lie before its arrival; the store's
EARLY = timedelta(minutes=5)  # or after it
MARGIN = timedelta(hours=1)  # that a transaction may last, from its clock to its commit
LAST_ID = 2**63 - 1
NOTHING = "1:1:"  # a snapshot that sees no transaction
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Which database this is, in which life. A restored one goes on under another timeline, a copied one
# has another oid, one made anew another identifier. Without the checkpoint that
# pg_control_checkpoint() waits for, the name of the current WAL file knows the timeline.
LIFE = """(SELECT encode(substring(sha256(convert_to(concat_ws('/',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)), 'UTF8')) FOR 6), 'hex'))"""
# The first day that is kept: what lies before it is gone.
OLDEST = """(SELECT to_date(min(right(c.relname, 8)), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC'
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'runtime_event'::regclass AND c.relname ~ '_[0-9]{8}$')"""


def microseconds(expression: str) -> str:
    """Return the SQL for a time as microseconds since 1970."""
    return f"(extract(epoch FROM {expression}) * 1000000)::bigint"


# The message is written to the WAL and flushed with the commit, and with it all numbers of
# transactions that the snapshot knows: a crash gives none of them to others.
# A snapshot sees no transaction beyond its end, so a visible row of one comes from another life.
# What a cursor is of must still be there, unless it went with its cluster: a snapshot of the disk,
# put back, goes on with the same timeline.
XMIN = "SELECT convert_to(pg_snapshot_xmin(pg_current_snapshot())::text, 'UTF8')"
BEGIN = f"""
SELECT convert_to(json_build_object(
    'life', {LIFE}, 'xmin', pg_snapshot_xmin(pg_current_snapshot())::text,
    'xmax', pg_snapshot_xmax(pg_current_snapshot())::text, 'snapshot', pg_current_snapshot()::text,
    'now', {microseconds("statement_timestamp()")}, 'oldest', {microseconds(OLDEST)},
    'flushed', pg_logical_emit_message(true, 'fleetwatch', '')::text,
    'foreign', EXISTS (
        SELECT FROM runtime_event WHERE tx >= pg_snapshot_xmax(pg_current_snapshot())),
    'there', NOT EXISTS (SELECT FROM cluster WHERE id = $1::int AND removed_at IS NULL) OR EXISTS (
        SELECT FROM runtime_event WHERE cluster_id = $1::int AND at = $2::timestamptz
            AND id = $3::bigint AND tx = ($4::text)::xid8)
)::text, 'UTF8')
"""
ADOPT = "UPDATE runtime_event SET tx = DEFAULT WHERE tx >= pg_snapshot_xmax(pg_current_snapshot())"


class Position(Struct, frozen=True):
    """Up to where events were seen; the next one lies behind it."""

    life: str
    tx: int
    id: int
    arrived: int  # microseconds; what lies behind arrived later, but for a transaction's length
    since: str = ""  # a snapshot: what it sees was before the beginning; '' is past that

    @property
    def arrived_at(self) -> datetime:
        """The time that what lies behind arrived after."""
        return _time(self.arrived)

    @property
    def snapshot(self) -> str:
        """The snapshot that must not see an event."""
        return self.since or NOTHING


class Cursor(Struct, frozen=True):
    """What a cursor says: a position, and the event that it is of."""

    position: Position
    cluster_id: int
    at: int  # microseconds

    @property
    def values(self) -> list[Any]:
        """The parameters of BEGIN."""
        return [self.cluster_id, _time(self.at), self.position.id, str(self.position.tx)]


def cursor(terms: list[str] | None) -> Cursor | None:
    """Return what the terms of a cursor say; None where none is given."""
    if terms is None:
        return None
    life, tx, id_, arrived, since, cluster_id, at = terms
    return Cursor(Position(life, int(tx), int(id_), int(arrived), since), int(cluster_id), int(at))


class Stand(Struct, frozen=True):
    """Where the database stands, as one statement sees it."""

    life: str
    xmin: str
    xmax: str
    now: int  # microseconds
    oldest: int | None  # microseconds: where the first day that is kept begins; None is not asked

    def check(self, position: Position) -> None:
        """Raise `GraphError` with CURSOR_EXPIRED where a position has lost its meaning."""
        if position.life != self.life or position.tx >= int(self.xmax):
            raise _other_life()
        if self.oldest is not None and position.arrived_at - LATE - MARGIN < _time(self.oldest):
            raise GraphError(
                CURSOR_EXPIRED,
                "Events that came after `after` may be too old to be kept: begin without it, and"
                " look for what happened meanwhile with the query runtimeEvents.",
            )


class Beginning(Stand, frozen=True):
    """What BEGIN answers."""

    snapshot: str
    foreign: bool
    there: bool

    def start(self, after: Cursor | None) -> Position:
        """Return where a subscription begins."""
        if self.foreign:
            raise GraphError(
                UNAVAILABLE,
                "The database was restored from a dump whose events carry transactions of another"
                " database. Before anyone may subscribe, its owner has to run once:"
                f" {ADOPT}",
            )
        if after is None:
            return Position(self.life, int(self.xmin) - 1, LAST_ID, self.now, self.snapshot)
        self.check(after.position)
        if not self.there:
            raise _other_life()
        return after.position


class Last(Struct, frozen=True):
    """The last of some rows, and the latest time that any of them carries."""

    tx: str
    id: int
    latest: int  # microseconds

    def after(self, position: Position) -> Position:
        """Return the position behind it."""
        arrived = max(position.arrived, self.latest - EARLY // timedelta(microseconds=1))
        return Position(position.life, int(self.tx), self.id, arrived, position.since)


class Round(Stand, frozen=True):
    """What a round's statement answers."""

    held: bool  # events are there that a transaction under way holds back
    looks: int  # events looked at
    seen: Last | None
    picked: int  # events that pass, up to ROUND_EVENTS
    told: Last | None
    events: list[msgspec.Raw]  # those of them that fit into ROUND_BYTES, each {"data": …}

    @property
    def cut(self) -> bool:
        """Whether more of what was looked at may pass than was told."""
        return self.picked >= ROUND_EVENTS or len(self.events) < self.picked

    def complete(self, looks: int) -> bool:
        """Whether all there is was looked at, with a limit of so many looks."""
        return not self.cut and self.looks < looks

    def advance(self, position: Position, looks: int) -> Position:
        """Return the position after this round: a row's, as those are past being taken back.

        `xmin` would lie further, but a crash gives numbers of transactions that left nothing behind
        to others.
        """
        if self.cut and self.told is not None:
            position = self.told.after(position)
        elif self.seen is not None:
            position = self.seen.after(position)
        if self.complete(looks):
            position = msgspec.structs.replace(position, arrived=max(position.arrived, self.now))
        if position.since and position.tx >= int(position.since.split(":")[1]):
            position = msgspec.structs.replace(position, since="")
        return position

    def next_looks(self, looks: int) -> int:
        """Return how many events to look at next: more while the filter lets few through."""
        if self.cut:
            return ROUND_EVENTS
        if self.complete(looks) or self.picked > looks // 4:
            return looks
        return min(2 * looks, ROUND_LOOKS)


def _time(value: int) -> datetime:
    return EPOCH + timedelta(microseconds=value)


def _other_life() -> GraphError:
    return GraphError(
        CURSOR_EXPIRED,
        "`after` is of another life of the database, which was restored or replaced since: begin"
        " without it, and look for what happened meanwhile with the query runtimeEvents.",
    )
