"""An agent's session, seen from the aggregator: a pure state machine.

`receive` takes a frame and yields what is to be done, in order: frames to send, questions to the
database, whose answers are sent back into the generator, or the end. What is to be written gathers
in `pending` until the hub takes it; `committed` turns the outcome into acknowledgements. The shell
around it (socket.py, hub.py) holds every await and no decision.
"""

import msgspec

from aggregator.ingest import event_reading
from aggregator.ingest.claims import Claims
from aggregator.ingest.effects import (
    Alive,
    AskBuckets,
    AskEntries,
    AskKnown,
    AskRoots,
    Close,
    Effect,
    Send,
    Settle,
    Steps,
)
from aggregator.ingest.pending import Pending
from aggregator.ingest.pending_events import PendingEvents
from aggregator.store.contents import NewContent
from aggregator.store.ingest import Write, Written
from protocol import messages as m

FRAME_BYTES = 16 * 2**20  # one binary message
CONTENT_BYTES = 32 * 2**20  # one content, canonical
ITEMS = 1_000  # upserts, deletes, offers or entries in one frame
ENTRIES = 1_000_000  # of one kind, in one comparison
REFUSED_CONTENTS = 10_000  # of one session; beyond it the session ends
REFUSED_RETRY = 600.0  # seconds until such an agent may come back
KIND_CHARACTERS = 300  # of the name of a kind
KINDS = 500  # of one session
LIMITS = m.Limits(frame_bytes=FRAME_BYTES, content_bytes=CONTENT_BYTES, items=ITEMS)
CREDITS = m.Credits(
    context=2**20, contents=2 * 2**20, events=4 * 2**20
)  # bytes under way, a session

# What may be under way at once, with a frame more than the credits say, as agents may overdraw by one.
PENDING_BYTES = CREDITS.context + CREDITS.contents + 2 * FRAME_BYTES
PENDING_EVENTS_BYTES = CREDITS.events + event_reading.EVENTS_BYTES

UPGRADE = "upgrade it"  # in the reason of what a newer aggregator could read
OVER_QUOTA = (
    "this cluster has brought more new rules or contents today than one cluster may; "
    "it may again from midnight UTC"
)

_BODIES: dict[str, tuple[type, ...]] = {
    m.WORKLOADS: (m.Workload,),
    m.NAMESPACES: (m.Namespace,),
    m.NODES: (m.Node,),
}
_REPORT_BODIES = (m.Report, m.Failure)


class BadFrameError(Exception):
    """A frame that cannot be decoded, is too large or out of order; it ends the session."""

    def __init__(self, message: str, seq: int | None = None) -> None:
        super().__init__(message)
        self.seq = seq


class Session:
    """One agent's connection, from Welcome to the end."""

    def __init__(
        self, *, cluster_id: int, number: int, skew: int = 0, claims: Claims | None = None
    ) -> None:
        """`skew` is how far the agent's clock is ahead, in ms; sessions of a process share `claims`."""
        self.cluster_id = cluster_id
        self.number = number
        self._claims = Claims() if claims is None else claims
        self.pending = Pending()
        self.events = PendingEvents()
        self.skew = skew  # measured again by heartbeats
        self._received = 0  # the last seq that came
        self._refused: dict[bytes, str] = {}  # contents that cannot be read, and why
        self._entries: dict[str, dict[m.Key, int]] = {}  # by kind, of a comparison
        self._states: dict[str, m.KindState] = {}
        self._equal: set[str] = set()  # kinds that were found equal or made so

    def receive(self, raw: bytes) -> Steps:
        """Take one binary message."""
        try:
            yield from self._receive(raw)
        except BadFrameError as error:
            yield Close(m.Goodbye(reason=m.Reason.BAD_FRAME, message=str(error), seq=error.seq))

    def take(self, limit: int, findings: int, events: float = 0) -> Write:
        """Hand over pending entries, contents of about so many findings, and events, to be written."""
        write = self.pending.take(
            self.cluster_id,
            self.number,
            self.skew,
            limit=limit,
            findings=findings,
            waits=self._waits,
        )
        if not self.events:
            return write
        batches, gaps = self.events.take(events)
        return msgspec.structs.replace(write, events=batches, gaps=gaps)

    @property
    def ready(self) -> bool:
        """Whether any entry or content can be written now."""
        return self.pending.ready(self._waits)

    @property
    def held(self) -> int:
        """Bytes of frames that are not acknowledged."""
        return self.pending.bytes + self.events.bytes

    @property
    def owes(self) -> bool:
        """Whether contents that it was asked for have yet to come; others may wait for them."""
        return self._claims.owes(self)

    def read(self, name: bytes, outcome: NewContent | str) -> None:
        """Take a content that was read, or the reason why it cannot be."""
        self.pending.reading.discard(name)
        if isinstance(outcome, NewContent):
            self.pending.contents[name] = outcome
        else:
            self.refuse_content(name, outcome)

    def leave(self) -> None:
        """Let others bring what this one was to bring."""
        self._claims.leave(self)

    def committed(self, write: Write, written: Written) -> list[Effect]:
        """Say what follows from a part that is written, in the order of the wire."""
        if written.stale:
            message = "another session took over, or the cluster is locked: connect again"
            return [Close(m.Goodbye(reason=m.Reason.FENCED, message=message))]
        self._claims.settle((content.name for content in write.contents), self)
        for name in written.refused:
            self.refuse_content(name, OVER_QUOTA)
        effects: list[Effect] = [
            Send(m.Missing(kind=kind, keys=keys)) for kind, keys in _by_kind(written.missing)
        ]
        rejected, acknowledged = self.pending.settled()
        if rejected:
            effects.append(Send(m.Reject(items=rejected)))
        if acknowledged is not None:
            effects.append(Send(acknowledged))
        return [*effects, *map(Send, self.events.settled())]

    def reject(self, kind: str, item: m.Item, reason: str, *, again: bool = False) -> None:
        """Turn an entry that cannot be stored into a failed report, to be written instead.

        It keeps its fingerprint, so it is not sent in circles; `again` gives it another, so that
        each new session tries once more.
        """
        fingerprint = item.fingerprint ^ 1 if again else item.fingerprint
        failure = m.Item(item.key, fingerprint, item.observed_at, m.Failure(reason, None))
        self.pending.upsert(kind, failure)
        self.pending.rejected.append(m.Refused(kind, item.key, reason))

    def refuse_content(self, name: bytes, reason: str) -> None:
        """Remember that a content cannot be stored; what points at it is rejected."""
        self._claims.settle((name,), self)
        self._refused[name] = reason
        for (kind, _), item in list(self.pending.upserts.items()):
            if isinstance(item.body, m.Report) and item.body.content == name:
                self._reject_content(kind, item, reason)

    def _reject_content(self, kind: str, item: m.Item, reason: str) -> None:
        self.reject(kind, item, reason, again=reason == OVER_QUOTA or UPGRADE in reason)

    def _receive(self, raw: bytes) -> Steps:
        frame = self._decode(raw)
        if len(self._refused) > REFUSED_CONTENTS:
            yield Close(
                m.Goodbye(
                    reason=m.Reason.BUSY,
                    message=f"more than {REFUSED_CONTENTS:,} contents that cannot be stored",
                    retry_after=REFUSED_RETRY,
                )
            )
            return
        self._check_order(frame)
        match frame:
            case m.Offer():
                yield from self._offer(frame)
            case m.Contents():
                for content in frame.contents:
                    self._content(content)
                self.pending.arrived(frame.seq, contents=len(raw))
            case m.Upsert() | m.Delete() | m.Summary() | m.Entries():
                yield from self._entries_frame(frame)
                self.pending.arrived(frame.seq, context=len(raw))
            case m.Buckets():
                yield from self._buckets(frame)
            case m.Events() | m.Gaps():
                self._take_events(frame)
            case m.Heartbeat():
                yield Alive(frame.clock, frame.kinds, frame.spool_events, frame.oldest_unsent)
            case m.Goodbye():
                yield Settle()
                yield Close()
            case m.Hello():
                raise BadFrameError("a second Hello")

    def _take_events(self, frame: m.Events | m.Gaps) -> None:
        if self.events.bytes > PENDING_EVENTS_BYTES:
            raise BadFrameError("more bytes of events under way than the credits allow")
        try:
            if isinstance(frame, m.Events):
                if len(frame.offsets) > ITEMS:
                    raise BadFrameError(f"more than {ITEMS:,} events in a frame")
                self.events.arrived(event_reading.read(frame), frame.size)
            else:
                event_reading.check_gaps(frame)
                self.events.missing(frame.epoch, frame.gaps)
        except event_reading.BadEventsError as error:
            raise BadFrameError(str(error)) from error

    def _decode(self, raw: bytes) -> m.FromAgent:
        expected = self._received + 1  # what a frame that cannot be read would have been
        if len(raw) > FRAME_BYTES:
            message = f"a frame of {len(raw):,} bytes, the limit is {FRAME_BYTES:,}"
            raise BadFrameError(message, expected)
        if self.pending.bytes > PENDING_BYTES:
            raise BadFrameError("more bytes under way than the credits allow", expected)
        try:
            frame: m.FromAgent = m.decode_from_agent(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"a frame that cannot be decoded: {error}"
            raise BadFrameError(message, expected) from error
        return frame

    def _entries_frame(self, frame: m.Upsert | m.Delete | m.Summary | m.Entries) -> Steps:
        match frame:
            case m.Upsert():
                for item in frame.items:
                    self._upsert(frame.kind, item)
            case m.Delete():
                for key in frame.keys:
                    self.pending.delete(frame.kind, key, frame.observed_at)
            case m.Summary():
                yield from self._summary(frame)
            case m.Entries():
                yield from self._compare_entries(frame)

    def _check_order(self, frame: m.FromAgent) -> None:
        seq = getattr(frame, "seq", None)
        if isinstance(frame, m.Goodbye) or seq is None:
            return
        if seq != self._received + 1:
            raise BadFrameError(f"seq {seq} after {self._received}", seq)
        self._received = seq
        for field in ("items", "keys", "contents", "entries"):
            if len(getattr(frame, field, ())) > ITEMS:
                raise BadFrameError(f"more than {ITEMS:,} {field} in a frame", seq)
        kind = getattr(frame, "kind", "")
        if len(kind) > KIND_CHARACTERS or "\0" in kind:
            raise BadFrameError("the name of a kind is too long or holds a NUL", seq)

    def _offer(self, frame: m.Offer) -> Steps:
        if len(frame.names) > ITEMS:
            raise BadFrameError(f"more than {ITEMS:,} names in an Offer")
        known = (yield AskKnown(frame.names)) if frame.names else set()
        unknown = (n for n in dict.fromkeys(frame.names) if n not in known | self._refused.keys())
        yield Send(m.Want(names=tuple(n for n in unknown if self._claims.take(n, self))))

    def _content(self, content: m.Content) -> None:
        if self._claims.arrive(content.name, self):
            self.pending.unread[content.name] = content

    def _waits(self, item: m.Item) -> bool:
        """Whether an entry points at a content that another session brings."""
        return isinstance(item.body, m.Report) and self._claims.awaited(item.body.content, self)

    def _upsert(self, kind: str, item: m.Item) -> None:
        body = item.body
        group, _, name = kind.rpartition("/")
        if not isinstance(body, _BODIES.get(kind, _REPORT_BODIES)) or not group or not name:
            raise BadFrameError(f"an entry of kind {kind} with a body of another", self._received)
        if isinstance(body, m.Report) and body.content in self._refused:
            self._reject_content(kind, item, self._refused[body.content])
        else:
            self.pending.upsert(kind, item)

    def _summary(self, frame: m.Summary) -> Steps:
        if len(frame.kinds) > KINDS or any(len(k.kind) > KIND_CHARACTERS for k in frame.kinds):
            raise BadFrameError("a Summary with too many kinds or too long names", frame.seq)
        for kind in frame.kinds:
            self._states[kind.kind] = kind.state
            self.pending.states[kind.kind] = kind
            if kind.state is m.KindState.ABSENT:
                self.pending.forget(kind.kind)
        synced = {k.kind: k for k in frame.kinds if k.state is m.KindState.SYNCED}
        if synced:
            yield Settle()
            held = yield AskRoots(tuple(synced))
            differing = []
            for name, kind in synced.items():
                entries, root = held.get(name, (0, 0))
                if (entries, root) == (kind.entries, kind.root):
                    self._equal.add(name)
                elif entries == 0:
                    self._equal.add(name)
                    yield Send(m.Missing(kind=name, everything=True))
                else:
                    differing.append(name)
            if differing:
                yield Send(m.Compare(kinds=tuple(differing)))
        self._mark_full_sync()

    def _buckets(self, frame: m.Buckets) -> Steps:
        if len(frame.fingerprints) != m.BUCKETS:
            raise BadFrameError(f"{len(frame.fingerprints)} buckets instead of {m.BUCKETS}")
        yield Settle()
        held = yield AskBuckets(frame.kind)
        differing = tuple(i for i in range(m.BUCKETS) if held[i] != frame.fingerprints[i])
        yield Send(m.Descend(kind=frame.kind, buckets=differing))
        if not differing:
            self._equal.add(frame.kind)
            self._mark_full_sync()

    def _compare_entries(self, frame: m.Entries) -> Steps:
        theirs = self._entries.setdefault(frame.kind, {})
        theirs.update(frame.entries)
        if len(theirs) > ENTRIES:
            raise BadFrameError(f"more than {ENTRIES:,} entries of {frame.kind}", frame.seq)
        if not frame.last:
            return
        del self._entries[frame.kind]
        yield Settle()
        ours = yield AskEntries(frame.kind, frame.buckets)
        for key in ours.keys() - theirs.keys():
            self.pending.delete(frame.kind, key, None)
        missing = [key for key, fingerprint in theirs.items() if ours.get(key) != fingerprint]
        for start in range(0, len(missing), ITEMS):
            yield Send(m.Missing(kind=frame.kind, keys=tuple(missing[start : start + ITEMS])))
        self._equal.add(frame.kind)
        self._mark_full_sync()

    def _mark_full_sync(self) -> None:
        synced = {kind for kind, state in self._states.items() if state is m.KindState.SYNCED}
        listing = m.KindState.LISTING in self._states.values()
        if synced and not listing and synced <= self._equal:
            self.pending.full_sync = True


def _by_kind(entries: tuple[tuple[str, m.Key], ...]) -> list[tuple[str, tuple[m.Key, ...]]]:
    kinds: dict[str, list[m.Key]] = {}
    for kind, key in entries:
        kinds.setdefault(kind, []).append(key)
    return [(kind, tuple(keys)) for kind, keys in kinds.items()]
