"""Events on disk, from the moment they are acknowledged until the aggregator has committed them.

An event gets the next offset of the spool's epoch and keeps it. What was appended is on disk when
`append` returns: SQLite's write-ahead log is synchronised with each commit. Whatever is later
missing of it is in a gap: events pushed out when the spool is full, rows that the disk spoiled
(each carries a checksum), commits that a torn log has swallowed (the mark tells).

When the spool is full, the sender that holds most gives way, so that one noisy node does not push
out the others' events, and of its events the oldest of the lowest priority go first. What may be
under way to the aggregator is never pushed out.

Not thread-safe: all calls come from one thread (`agent.intake`).
"""

import heapq
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent import event_table as table
from agent import gaps
from agent.errors import FatalError
from agent.event_table import Batch, Entry
from agent.gaps import Loss
from agent.mark import NONE, Mark, MarkFile
from protocol.messages import GapRecord

logger = logging.getLogger(__name__)

DATABASE = "events.db"
MARK = "events.mark"
ROW_BYTES = 120  # what a row weighs beside its body: keys, index, page overhead
VICTIM_BYTES = 64 * 2**10  # given up by one sender before its turn passes to the next
SENDERS = 10_000  # names remembered, of those that hold nothing too


class SpoolError(Exception):
    """The spool could not be used: the disk is full, or broken. Nothing has changed."""


class Spool:
    """The spool of one agent. `folder` survives restarts."""

    def __init__(self, folder: Path, *, limit: int, clock: Callable[[], float] = time.time) -> None:
        """`limit` is in bytes of events with what they weigh on disk."""
        self._path = folder / DATABASE
        self._limit = limit
        self._clock = clock
        self.epoch = ""
        self.next = 0  # the offset that the next event gets
        self.stored = 0  # below it, the aggregator holds all
        self.waiting = 0  # events
        self.bytes = 0
        self.pushed_out = 0  # events, since it was opened
        self._base = 0  # the offset that this epoch began with
        self._sent = 0
        self._oldest_at = NONE
        self._senders: dict[str, int] = {}
        self._held: dict[int, int] = {}  # bytes by sender
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._mark = MarkFile(folder / MARK)
            if not self._mark.lock():
                raise FatalError(
                    f"{folder} is in use by another agent: give each a folder of its own."
                )
            self._database = self._open()
        except (OSError, sqlite3.Error) as error:
            raise FatalError(f"The event spool in {folder} cannot be used: {error}") from error
        self._opened_at = self.next

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep events; they are on disk when this returns. Raises `SpoolError`, with none kept."""
        before = Mark(self.epoch, next=self.next, waiting=self.waiting)
        try:
            with self._writing():
                for start in range(0, len(entries), table.ROWS_TOGETHER):
                    self._add(self.next + start, entries[start : start + table.ROWS_TOGETHER])
                self.next += len(entries)
                self._remember("next", self.next)
                if self.bytes > self._limit:
                    self._make_room()
                self._write_mark(waiting=min(self.waiting, before.waiting), next_=before.next)
        except SpoolError:
            with self._guarded():
                self._load()
            raise
        if self._oldest_at == NONE and entries:
            self._oldest_at = entries[0].received_at
        self._write_mark()

    def _add(self, first: int, entries: Sequence[Entry]) -> None:
        values: list[object] = []
        for offset, entry in enumerate(entries, first):
            sender = self._sender(entry.sender)
            times = (entry.happened_at, entry.received_at)
            check = table.checksum(offset, entry.priority, entry.body)
            values += (offset, sender, entry.priority, *times, check, entry.body)
            self._count(sender, 1, len(entry.body))
        self._database.execute(table.add(len(entries)), values)

    def note(self, loss: Loss) -> None:
        """Record that events are missing. Raises `SpoolError`."""
        with self._writing():
            self._note(loss)

    def name_epoch(self, epoch: str) -> None:
        """Give the epoch a name that says what is in it, before anything of it is sent."""
        with self._writing() as database:
            database.execute(table.REMEMBER, ("epoch", epoch))
        self.epoch, self._opened_at = epoch, self.next
        self._write_mark()

    def alive(self) -> None:
        """Note that somebody listens."""
        self._write_mark()

    # ------------------------------------------------------------ what goes out

    def read(self, start: int, *, events: int, size: int) -> Batch:
        """Return events from an offset on, up to about `size` bytes; they count as sent."""
        offsets: list[int] = []
        bodies: list[bytes] = []
        spoiled: list[int] = []
        end = start
        with self._guarded():
            for offset, body in table.read(self._database, start, events=events, size=size):
                end = offset + 1
                if body is None:
                    spoiled.append(offset)
                else:
                    offsets.append(offset)
                    bodies.append(body)
        if end == start:
            end = max(start, self.next)
        self.reserve(end)
        if spoiled:
            self._give_up(spoiled)
        return Batch(tuple(offsets), tuple(bodies), end)

    def reserve(self, end: int) -> None:
        """Note that events below an offset may be under way, so that none of them is pushed out."""
        if end > self._sent:
            self._sent = end
            self._write_mark()

    def confirm(self, next_: int) -> None:
        """Let go of all events below an offset: the aggregator has committed them."""
        if next_ <= self.stored:
            return
        try:
            with self._writing(synchronous=False) as database:
                gone = table.below(database, next_)
                # First the mark: a count that is too low hides nothing but a loss at this moment.
                self._write_mark(waiting=self.waiting - sum(count for _, count, _ in gone))
                database.execute(table.DROP_BELOW, (next_,))
                self._remember("stored", next_)
                for sender, count, size in gone:
                    self._count(sender, -count, -size)
        except SpoolError:
            with self._guarded():
                self._load()
            raise
        self.stored = next_
        self._sent = max(self._sent, next_)
        self.next = max(self.next, next_)
        row = self._database.execute(table.OLDEST).fetchone()
        self._oldest_at = NONE if row is None else row[0]
        self._write_mark()

    def gaps(self, limit: int) -> tuple[GapRecord, ...]:
        """Return gaps that the aggregator does not hold as they stand."""
        with self._guarded():
            return gaps.waiting(self._database, limit)

    def confirm_gaps(self, sent: Iterable[GapRecord]) -> None:
        """Let go of gaps that the aggregator holds as they were sent."""
        with self._writing() as database:
            gaps.stored(database, sent, self._now())

    def resume(self, resume: int | None) -> bool:
        """Go on from where the aggregator stands; None where it does not know this epoch.

        An aggregator that was restored from a backup has lost what was stored since: a gap. One
        that is ahead of all that this spool ever gave shows that the spool's own volume was
        restored: what came since gets a new epoch, so that no new event passes for an old one.
        Returns False then: the session has to begin anew.
        """
        known = 0 if resume is None else resume
        if known > self._opened_at >= self._sent:
            self._renew(known)
            return False
        if max(known, self._base) < self.stored:
            lost = self.stored - max(known, self._base)
            with self._writing():
                self._note(Loss(gaps.AGGREGATOR_RESTORED, lost, None, self._now()))
                self._remember("base", self.stored)
            self._base = self.stored
        self.confirm(known)
        return True

    @property
    def oldest_at(self) -> int | None:
        """When the first event that waits was received; None where none does."""
        return None if self._oldest_at == NONE else self._oldest_at

    def close(self) -> None:
        """Close the files."""
        self._write_mark()
        self._database.close()
        self._mark.close()

    # ------------------------------------------------------------ room

    def _make_room(self) -> None:
        """Push out events until the rest is within the limit."""
        loss = Loss(gaps.OVERFLOW)
        spent: set[int] = set()  # senders of which nothing may go
        while self.bytes > self._limit:
            left = ((size, sender) for sender, size in self._held.items() if sender not in spent)
            (most, sender), (second, _) = [*heapq.nlargest(2, left), (0, 0), (0, 0)][:2]
            if not most:
                break
            wanted = min(self.bytes - self._limit, max(most - second, VICTIM_BYTES))
            if not self._push_out(sender, wanted, loss):
                spent.add(sender)
        if loss.events:
            self._note(loss)

    def _push_out(self, sender: int, wanted: int, loss: Loss) -> int:
        """Push out a sender's oldest events of its lowest priority. Returns how many."""
        gained = 0
        victims = []
        for row in table.victims(self._database, sender, self._sent):
            offset, priority, happened_at, received_at, size = row
            if gained >= wanted:
                break
            victims.append((offset,))
            gained += size + ROW_BYTES
            self._count(sender, -1, -size)
            loss.add(priority, min(happened_at, received_at), max(happened_at, received_at))
        self._database.executemany(table.DROP, victims)
        self.pushed_out += len(victims)
        return len(victims)

    def _give_up(self, spoiled: Sequence[int]) -> None:
        """Turn rows that the disk spoiled into a gap."""
        logger.error("%d events in %s are spoiled on disk", len(spoiled), self._path)
        with self._writing() as database:
            for offset in spoiled:
                sender, size = database.execute(table.ONE, (offset,)).fetchone()
                database.execute(table.DROP, (offset,))
                self._count(sender, -1, -size)
            self._note(Loss(gaps.SPOOL_DAMAGED, len(spoiled), self.oldest_at, self._now()))
        self._write_mark()

    # ------------------------------------------------------------ opening

    def _open(self) -> sqlite3.Connection:
        mark = self._mark.read()
        fresh = not self._path.exists()
        try:
            self._database = table.connect(self._path)
            self._load()
            damaged = False
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # full or out of reach, not damaged
                raise
            logger.error("%s is damaged, what can be read is kept: %s", self._path, error)  # noqa: TRY400
            epoch = str(uuid.uuid4()) if mark is None else mark.epoch
            stored = 0 if mark is None else mark.stored
            self._database = table.salvage(self._path, epoch=epoch, stored=stored)
            self._load()
            damaged = True
        self._compare(mark, fresh=fresh, damaged=damaged)
        return self._database

    def _load(self) -> None:
        database = self._database
        facts = dict(database.execute("SELECT name, value FROM fact"))
        self.epoch = facts.get("epoch") or ""
        if not self.epoch:
            self.epoch = str(uuid.uuid4())
            database.execute(table.REMEMBER, ("epoch", self.epoch))
        self.stored, self._base = facts.get("stored") or 0, facts.get("base") or 0
        self._senders = {name: id_ for id_, name in database.execute("SELECT id, name FROM sender")}
        self._held, self.waiting, self.bytes = {}, 0, 0
        for sender, count, size in database.execute(table.HELD):
            self._count(sender, count, size)
        [(last, oldest)] = database.execute(table.ENDS)
        self.next = max(facts.get("next") or 0, self.stored, 0 if last is None else last + 1)
        self._oldest_at = NONE if oldest is None else oldest

    def _compare(self, mark: Mark | None, *, fresh: bool, damaged: bool) -> None:
        """Record what the mark knows of and the database does not: lost events, silence."""
        now = self._now()
        losses = []
        if mark is None:
            if damaged:
                losses.append(Loss(gaps.SPOOL_DAMAGED, None, None, now))
            if not fresh:
                losses.append(Loss(gaps.RECEIVER_DOWN, None, self.oldest_at, now))
        else:
            since = mark.alive_at if mark.oldest_at == NONE else mark.oldest_at
            if mark.epoch != self.epoch:
                if mark.waiting:
                    losses.append(Loss(gaps.SPOOL_REPLACED, mark.waiting, since, now))
            else:
                self.confirm(mark.stored)
                beyond = mark.next - max(self.next, mark.stored)
                lost = max(beyond, mark.waiting - self.waiting)
                if lost > 0:
                    losses.append(Loss(gaps.SPOOL_DAMAGED, lost, since, now))
                self.next = max(self.next, mark.next)
                self._sent = max(mark.sent, self.stored)
            losses.append(Loss(gaps.RECEIVER_DOWN, None, mark.alive_at, now))
        with self._writing():
            for loss in losses:
                self._note(loss)
            self._remember("next", self.next)
        self._write_mark()
        self._mark.sync()

    def _renew(self, resume: int) -> None:
        """Begin a new epoch: the aggregator knows offsets of this one that this spool never gave."""
        logger.warning("the spool is older than what was sent of it: it begins anew")
        self.confirm(self._opened_at)
        with self._writing():
            self.epoch = str(uuid.uuid4())
            self._base, self.next = self.stored, max(self.next, resume)
            self._database.executemany(
                table.REMEMBER, [("epoch", self.epoch), ("base", self._base), ("next", self.next)]
            )
        self._write_mark()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"{self._path} cannot be used: {error}") from error

    @contextmanager
    def _writing(self, *, synchronous: bool = True) -> Iterator[sqlite3.Connection]:
        with (
            self._guarded(),
            table.transaction(self._database, synchronous=synchronous) as database,
        ):
            yield database

    def _note(self, loss: Loss) -> None:
        now = self._now()
        key = f"{loss.reason.lower()}-{now}-{uuid.uuid4().hex[:8]}"
        gaps.note(self._database, loss, now, key=key)

    def _sender(self, name: str) -> int:
        known = self._senders.get(name)
        if known is None:
            if len(self._senders) >= SENDERS and len(self._held) < 0.9 * SENDERS:
                table.forget_senders(self._database, self._held)
                self._senders = {n: i for n, i in self._senders.items() if i in self._held}
            if name and len(self._senders) >= SENDERS:
                return self._sender("")  # those beyond share one
            known = self._database.execute(table.ADD_SENDER, (name,)).lastrowid or 0
            self._senders[name] = known
        return known

    def _count(self, sender: int, events: int, size: int) -> None:
        """Count events that came or went, with the size of their bodies."""
        size += events * ROW_BYTES
        self.waiting += events
        self.bytes += size
        left = self._held.get(sender, 0) + size
        if left > 0:
            self._held[sender] = left
        else:
            self._held.pop(sender, None)

    def _remember(self, name: str, value: int) -> None:
        self._database.execute(table.REMEMBER, (name, value))

    def _write_mark(self, *, waiting: int | None = None, next_: int | None = None) -> None:
        self._mark.write(
            Mark(
                self.epoch,
                self.next if next_ is None else next_,
                self._sent,
                self.stored,
                self.waiting if waiting is None else waiting,
                self._oldest_at,
                self._now(),
            )
        )

    def _now(self) -> int:
        return int(self._clock() * 1000)
