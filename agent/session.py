"""The agent's side of a session: a pure state machine.

Changes go in, frames come out, in one strict order: an entry's Delete never overtakes its Upsert,
and nothing is compared before what precedes it is sent. Only Offers and contents run ahead: by
themselves they change nothing, and agents that offer the same may wait for a content. Bytes under
way are bounded by the aggregator's credits, changes that wait by
`OUTBOX_BYTES`. Once the connection is gone the session is thrown away: what is not acknowledged is
found again by comparing fingerprints.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from agent.packing import chunks, failed, pack
from agent.state import Change, State
from protocol import messages as m

OUTBOX_BYTES = 512 * 2**10  # of changes that wait to be sent
GROUP_ITEMS = 100  # changes offered together
GROUP_BYTES = 128 * 2**10  # of compressed contents offered together
FRAME_SHARE = 0.8  # of the largest frame that contents are packed up to
KNOWN_CONTENTS = 10_000  # names that the aggregator is known to have, remembered in a session
ITEM_BYTES = 2_000  # about what an item weighs, for OUTBOX_BYTES
STRIKES = 2  # times that an entry may be in a frame that closed a session


class Send(Struct, frozen=True):
    """Send these bytes."""

    frame: bytes


class Resend(Struct, frozen=True):
    """Read these entries of a kind again and put them in as changes; keys None is all."""

    kind: str
    keys: tuple[m.Key, ...] | None


class Rejected(Struct, frozen=True):
    """The aggregator took these as failed reports."""

    items: tuple[m.Refused, ...]


class End(Struct, frozen=True):
    """The session is over."""

    reason: m.Reason
    message: str
    retry_after: float | None


class Committed(Struct, frozen=True):
    """The aggregator has stored events or gaps."""

    stored: m.Stored


Effect = Send | Resend | Rejected | End | Committed
Strikes = Counter[tuple[str, m.Key, int]]  # entries that were in frames that closed a session


class ProtocolError(Exception):
    """The aggregator sent what this version does not understand."""


class _Group(Struct):
    """Changes that are offered together."""

    kind: str
    items: list[m.Item]
    contents: dict[bytes, m.Content]
    size: int = 0
    offered: bool = False
    wanted: frozenset[bytes] | None = None


class _Compared(Struct, frozen=True):
    """Entries of some buckets, read from the state when their turn comes."""

    kind: str
    buckets: tuple[int, ...]


_Deletes = tuple[str, tuple[m.Key, ...], int]
_Outgoing = _Group | _Compared | m.KindSummary | str | _Deletes


class Session:
    """One connection, from Hello to the end."""

    def __init__(
        self, state: State, hello: m.Hello, strikes: Strikes, *, partial: bool = False
    ) -> None:
        """`strikes` outlives the session. A partial state is added to what is held, not compared."""
        self._partial = partial
        self._state = state
        self._hello = hello
        self._strikes = strikes
        self._welcome: m.Welcome | None = None
        self._out: deque[_Outgoing] = deque()
        self._offers: deque[_Group] = deque()  # that wait for their Want
        self._known: dict[bytes, None] = {}
        self._quiet: set[str] = set()  # kinds that are compared before anything is sent
        self._comparing: set[str] = set()  # kinds whose buckets or entries are awaited
        self._frames: dict[int, tuple[str, tuple[m.Item, ...]]] = {}  # upserts under way
        self._given_up: list[m.Refused] = []  # entries that are sent as failures instead
        self._seq = self._acked = 0
        self._context = self._contents = 0  # credits left
        self.outbox_bytes = 0

    def start(self) -> list[Effect]:
        """Open the session."""
        return [Send(m.encode(self._hello))]

    @property
    def welcome(self) -> m.Welcome | None:
        """The aggregator's answer, once it has come."""
        return self._welcome

    @property
    def full(self) -> bool:
        """Whether feeders should wait before they put in more."""
        return self.outbox_bytes >= OUTBOX_BYTES

    @property
    def idle(self) -> bool:
        """Whether everything is sent, acknowledged and compared."""
        return (
            self._welcome is not None
            and not self._out
            and not self._offers
            and not self._comparing
            and self._acked == self._seq
        )

    def receive(self, raw: bytes) -> list[Effect]:
        """Take one binary message. Raises `ProtocolError`."""
        try:
            frame = m.decode_from_aggregator(raw)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"cannot decode the aggregator's frame: {error}") from error
        effects: list[Effect] = []
        match frame:
            case m.Welcome():
                self._accept(frame)
            case m.Want():
                self._want(frame)
            case m.Ack():
                self._ack(frame)
            case m.Compare():
                self._comparing.update(frame.kinds)
                self._out.extend(frame.kinds)
            case m.Descend():
                self._descend(frame)
            case m.Missing():
                self._known.clear()  # the content behind an entry may be gone
                effects.append(Resend(frame.kind, None if frame.everything else frame.keys))
            case m.Stored():
                effects.append(Committed(frame))
            case m.Reject():
                effects.append(Rejected(frame.items))
            case m.Goodbye():
                self._note_bad_frame(frame)
                effects.append(End(frame.reason, frame.message, frame.retry_after))
            case m.Heartbeat():
                pass
        return [*effects, *self.flush()]

    def changed(self, change: Change) -> None:
        """Put in an entry. It is left out while its kind waits to be compared."""
        if self._welcome is None or change.kind in self._quiet:
            return
        item, content = change.item, change.content
        packed = None
        if content is not None and content.name not in self._known:
            packed = content if isinstance(content, m.Content) else pack(content)
        reason = self._reason_to_fail(change, packed, self._welcome.limits)
        if reason:
            item, packed = failed(item, reason), None
            self._given_up.append(m.Refused(change.kind, item.key, reason))
        group = self._open_group(change.kind)
        group.items.append(item)
        size = ITEM_BYTES
        if packed is not None:
            size += len(packed.body)
            group.contents.setdefault(packed.name, packed)
        group.size += size
        self.outbox_bytes += size

    def deleted(self, kind: str, keys: tuple[m.Key, ...], observed_at: int) -> None:
        """Put in entries that are gone."""
        if self._welcome is not None and kind not in self._quiet:
            self._out.append((kind, keys, observed_at))

    def state_changed(self, kind: str) -> None:
        """Put in that a kind is known better or worse than before."""
        if self._welcome is not None and not self._partial:
            self._summarise((kind,))

    def flush(self) -> list[Effect]:
        """Give what may be sent now."""
        if self._welcome is None:
            return []
        effects: list[Effect] = []
        if self._given_up:
            effects.append(Rejected(tuple(self._given_up)))
            self._given_up.clear()
        return [*effects, *map(Send, self._frames_to_send(self._welcome))]

    def heartbeat(self, heartbeat: m.Heartbeat) -> list[Effect]:
        """Give a sign of life."""
        return [Send(m.encode(heartbeat))]

    def goodbye(self, reason: m.Reason, message: str) -> list[Effect]:
        """Close from this side."""
        return [Send(m.encode(m.Goodbye(reason=reason, message=message)))]

    def _reason_to_fail(
        self, change: Change, packed: m.Content | None, limits: m.Limits
    ) -> str | None:
        """Say why an entry cannot be sent as it is."""
        if self._strikes[change.kind, change.item.key, change.item.fingerprint] >= STRIKES:
            return "the aggregator refused the frame it was in, twice"
        if packed is None:
            return None
        if packed.size > limits.content_bytes:
            return f"the content has {packed.size:,} bytes, the limit is {limits.content_bytes:,}"
        largest = int(limits.frame_bytes * FRAME_SHARE)
        if len(packed.body) > largest:
            return (
                f"the content has {len(packed.body):,} bytes compressed, the limit is {largest:,}"
            )
        return None

    def _accept(self, welcome: m.Welcome) -> None:
        self._welcome = welcome
        self._context = welcome.credits.context
        self._contents = welcome.credits.contents
        if not self._partial:
            self._quiet = {held.kind for held in welcome.held if held.entries}
            self._summarise(self._state.kinds)

    def _summarise(self, kinds: Iterable[str]) -> None:
        """A kind that is complete is compared; from here on its changes go out."""
        for summary in self._state.summary(kinds):
            if summary.state in (m.KindState.SYNCED, m.KindState.ABSENT):
                self._quiet.discard(summary.kind)
            self._out.append(summary)

    def _open_group(self, kind: str) -> _Group:
        last = self._out[-1] if self._out else None
        if (
            isinstance(last, _Group)
            and last.kind == kind
            and not last.offered
            and len(last.items) < GROUP_ITEMS
            and last.size < GROUP_BYTES
        ):
            return last
        group = _Group(kind, [], {})
        self._out.append(group)
        return group

    def _want(self, want: m.Want) -> None:
        if not self._offers:
            raise ProtocolError("a Want without an Offer")
        group = self._offers.popleft()
        group.wanted = frozenset(want.names) & group.contents.keys()

    def _ack(self, ack: m.Ack) -> None:
        self._context += ack.credits.context
        self._contents += ack.credits.contents
        for seq in range(self._acked + 1, ack.seq + 1):
            self._frames.pop(seq, None)
        self._acked = ack.seq

    def _descend(self, descend: m.Descend) -> None:
        if descend.buckets:
            self._out.append(_Compared(descend.kind, descend.buckets))
        else:
            self._comparing.discard(descend.kind)

    def _note_bad_frame(self, goodbye: m.Goodbye) -> None:
        kind, items = self._frames.get(goodbye.seq or 0, ("", ()))
        for item in items:
            self._strikes[kind, item.key, item.fingerprint] += 1

    def _frames_to_send(self, welcome: m.Welcome) -> Iterator[bytes]:
        yield from self._offers_to_send()
        yield from self._contents_to_send(welcome.limits)
        while self._out and self._context > 0:
            head = self._out[0]
            if isinstance(head, _Group):
                if head.wanted is None or head.wanted:
                    break  # what follows waits for its Want, and its contents, too
                self._out.popleft()
                self.outbox_bytes -= head.size
                yield from self._group_frames(head, welcome.limits)
                continue
            self._out.popleft()
            if isinstance(head, m.KindSummary):
                yield self._context_frame(m.Summary(seq=self._next(), kinds=self._summaries(head)))
            elif isinstance(head, _Compared):
                yield from self._entries_frames(head, welcome.limits.items)
            elif isinstance(head, str):
                fingerprints = self._state.kind(head).bucket_fingerprints()
                yield self._context_frame(
                    m.Buckets(kind=head, fingerprints=fingerprints), back=True
                )
            else:
                yield from self._delete_frames(head, welcome.limits.items)

    def _offers_to_send(self) -> Iterator[bytes]:
        for group in self._out:
            if not isinstance(group, _Group) or group.offered:
                continue
            group.offered = True
            names = tuple(name for name in group.contents if name not in self._known)
            if not names:
                group.wanted = frozenset()
                continue
            for name in names:  # whatever the answer, the content goes before the next group
                if len(self._known) >= KNOWN_CONTENTS:
                    self._known.pop(next(iter(self._known)))
                self._known[name] = None
            self._offers.append(group)
            yield m.encode(m.Offer(names=names))

    def _contents_to_send(self, limits: m.Limits) -> Iterator[bytes]:
        for group in self._out:
            while isinstance(group, _Group) and group.wanted and self._contents > 0:
                yield self._contents_frame(group, limits)

    def _contents_frame(self, group: _Group, limits: m.Limits) -> bytes:
        """Encode what fits in a frame of the contents that are wanted of a group."""
        budget = int(limits.frame_bytes * FRAME_SHARE)
        packed: list[m.Content] = []
        for content in (c for n, c in group.contents.items() if n in (group.wanted or ())):
            if packed and len(content.body) >= budget:
                break
            budget -= len(content.body)
            packed.append(content)
        group.wanted = (group.wanted or frozenset()) - {content.name for content in packed}
        raw = m.encode(m.Contents(seq=self._next(), contents=tuple(packed)))
        self._contents -= len(raw)
        return raw

    def _summaries(self, first: m.KindSummary) -> tuple[m.KindSummary, ...]:
        """Put summaries that stand together in one frame, as the kinds stand now."""
        names = {first.kind: None}
        while self._out and isinstance(following := self._out[0], m.KindSummary):
            names[following.kind] = None
            self._out.popleft()
        return self._state.summary(names)

    def _group_frames(self, group: _Group, limits: m.Limits) -> Iterator[bytes]:
        for items in chunks(tuple(group.items), limits.items):
            seq = self._next()
            self._frames[seq] = (group.kind, items)
            yield self._context_frame(m.Upsert(seq=seq, kind=group.kind, items=items))

    def _delete_frames(self, deletes: _Deletes, limit: int) -> Iterator[bytes]:
        kind, keys, observed_at = deletes
        for chunk in chunks(keys, limit):
            yield self._context_frame(
                m.Delete(seq=self._next(), kind=kind, keys=chunk, observed_at=observed_at)
            )

    def _entries_frames(self, compared: _Compared, limit: int) -> Iterator[bytes]:
        kind = self._state.kind(compared.kind)
        entries = tuple(kind.in_buckets(compared.buckets))
        pieces = list(chunks(entries, limit)) or [()]
        for number, piece in enumerate(pieces, 1):
            yield self._context_frame(
                m.Entries(
                    seq=self._next(),
                    kind=compared.kind,
                    buckets=compared.buckets,
                    entries=piece,
                    last=number == len(pieces),
                )
            )
        self._comparing.discard(compared.kind)

    def _context_frame(self, frame: m.FromAgent, *, back: bool = False) -> bytes:
        """Encode a frame; one that is not acknowledged does not cost credit (`back`)."""
        raw = m.encode(frame)
        if not back:
            self._context -= len(raw)
        return raw

    def _next(self) -> int:
        self._seq += 1
        return self._seq
