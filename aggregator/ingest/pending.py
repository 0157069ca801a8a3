"""What a session has sent and the database does not hold yet.

Only the last word on each entry is kept, so it stays as small as what changed, however often.
"""

import itertools
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from aggregator.store.contents import NewContent
from aggregator.store.ingest import Entry, Write
from protocol import messages as m

Value = TypeVar("Value")
Waits = Callable[[m.Item], bool]  # whether an entry waits for a content


class _Arrival(Struct):
    """A frame that waits for its ack, with its bytes to give back as credit."""

    seq: int
    context: int
    contents: int


class Pending:
    """The fold of a session's frames since the last `take`."""

    def __init__(self) -> None:
        self.unread: dict[bytes, m.Content] = {}
        self.reading: set[bytes] = set()  # names of contents that are being read
        self.contents: dict[bytes, NewContent] = {}
        self.bytes = 0  # of frames that are not acknowledged
        self.upserts: dict[Entry, m.Item] = {}
        self.deletes: dict[Entry, int | None] = {}
        self.states: dict[str, m.KindSummary] = {}
        self.rejected: list[m.Refused] = []
        self.full_sync = False
        self._arrivals: deque[_Arrival] = deque()
        self._taken = 0  # arrivals whose entries are being written
        self._rejected_taken = 0

    def __bool__(self) -> bool:
        """Whether there is anything to write or to acknowledge."""
        return bool(self._arrivals or self.coming or self.contents or self._entries)

    @property
    def coming(self) -> bool:
        """Whether contents have yet to be read."""
        return bool(self.unread or self.reading)

    @property
    def _entries(self) -> bool:
        return bool(self.upserts or self.deletes or self.states)

    def ready(self, waits: Waits) -> bool:
        """Whether anything can be written now; entries that wait for a content cannot."""
        if self.contents:
            return True
        if self.coming:
            return False
        if not self.upserts or self.deletes:
            return bool(self)
        return not all(waits(item) for item in self.upserts.values())

    def take_unread(self, size: int) -> list[m.Content]:
        """Hand over contents to read, of about so many bytes as they claim to have."""
        taken: list[m.Content] = []
        while self.unread and size > 0:
            content = self.unread.pop(next(iter(self.unread)))
            self.reading.add(content.name)
            taken.append(content)
            size -= content.size
        return taken

    def upsert(self, kind: str, item: m.Item) -> None:
        """Note an entry as it now stands."""
        self.deletes.pop((kind, item.key), None)
        self.upserts[kind, item.key] = item

    def delete(self, kind: str, key: m.Key, observed_at: int | None) -> None:
        """Note that an entry is gone; `observed_at` None is now."""
        self.upserts.pop((kind, key), None)
        self.deletes[kind, key] = observed_at

    def forget(self, kind: str) -> None:
        """Drop what was sent of a kind that is gone altogether."""
        for entry in [entry for entry in self.upserts if entry[0] == kind]:
            del self.upserts[entry]

    def arrived(self, seq: int, *, context: int = 0, contents: int = 0) -> None:
        """Note a frame that wants an ack."""
        self._arrivals.append(_Arrival(seq, context, contents))
        self.bytes += context + contents

    def take(
        self,
        cluster_id: int,
        session: int,
        skew: int,
        *,
        limit: int,
        findings: int,
        waits: Waits,
    ) -> Write:
        """Hand over what is pending, or a part of it: up to `limit` entries.

        Contents go first, those with up to `findings` findings together, and no entry goes before
        the last of them; entries that wait for another session's stay. A part acknowledges nothing:
        frames are acknowledged once all of what they brought is written.
        """
        contents = self._take_contents(findings)
        if self.contents or self.coming:
            return Write(cluster_id=cluster_id, session=session, skew=skew, contents=contents)
        upserts = _first(self.upserts, limit, waits)
        deletes = _first(self.deletes, limit - len(upserts))
        whole = not self.upserts and not self.deletes
        write = Write(
            cluster_id=cluster_id,
            session=session,
            skew=skew,
            contents=contents,
            upserts=upserts,
            deletes=deletes,
            states=tuple(self.states.values()) if whole else (),
            full_sync=self.full_sync and whole,
        )
        if whole:
            self.states, self.full_sync = {}, False
            self._taken, self._rejected_taken = len(self._arrivals), len(self.rejected)
        return write

    def _take_contents(self, findings: int) -> tuple[NewContent, ...]:
        taken: list[NewContent] = []
        while self.contents and (not taken or findings > 0):
            content = self.contents.pop(next(iter(self.contents)))
            taken.append(content)
            findings -= len(content.findings) + len(content.packages)
        return tuple(taken)

    def settled(self) -> tuple[tuple[m.Refused, ...], m.Ack | None]:
        """What was taken is written: the refusals and the ack that follow."""
        arrivals = [self._arrivals.popleft() for _ in range(self._taken)]
        rejected = tuple(self.rejected[: self._rejected_taken])
        del self.rejected[: self._rejected_taken]
        self._taken = self._rejected_taken = 0
        if not arrivals:
            return rejected, None
        credits_back = m.Credits(
            context=sum(arrival.context for arrival in arrivals),
            contents=sum(arrival.contents for arrival in arrivals),
        )
        self.bytes -= credits_back.context + credits_back.contents
        return rejected, m.Ack(seq=arrivals[-1].seq, credits=credits_back)


def _first(
    entries: dict[Entry, Value], limit: int, waits: Callable[[Value], bool] = lambda _: False
) -> dict[Entry, Value]:
    """Remove and return up to `limit` entries that do not wait."""
    able = ((entry, value) for entry, value in entries.items() if not waits(value))
    chosen = dict(itertools.islice(able, limit))
    for entry in chosen:
        del entries[entry]
    return chosen
