"""What a session answers to frames, good and bad."""

import hashlib
from typing import Any

import msgspec
import pytest

from aggregator.ingest import effects as e
from aggregator.ingest import session as s
from aggregator.ingest.claims import CLAIM, Claims
from aggregator.store.contents import NewContent
from aggregator.store.ingest import Written
from protocol import messages as m
from tests.aggregator.store import fleet

KEY = m.Key("ns", "name")
KIND = "example.io/Kind"


def session() -> s.Session:
    return s.Session(cluster_id=1, number=1)


def run(session: s.Session, frame: m.FromAgent | bytes, *answers: Any) -> list[e.Effect]:
    """Feed a frame; questions get `answers` in order, Settle gets None."""
    steps = session.receive(frame if isinstance(frame, bytes) else m.encode(frame))
    effects: list[e.Effect] = []
    waiting = list(answers)
    answer: Any = None
    while True:
        try:
            effect = steps.send(answer)
        except StopIteration:
            return effects
        asks = isinstance(effect, e.AskKnown | e.AskRoots | e.AskBuckets | e.AskEntries)
        answer = waiting.pop(0) if asks else None
        effects.append(effect)


def goodbye(effects: list[e.Effect]) -> m.Goodbye:
    [close] = effects
    assert isinstance(close, e.Close)
    assert close.goodbye is not None
    return close.goodbye


def delete(seq: int, *names: str) -> m.Delete:
    return m.Delete(seq=seq, kind=KIND, keys=tuple(m.Key("", n) for n in names), observed_at=1)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "cannot be decoded"),
        (b"\xc1garbage", "cannot be decoded"),
        (msgspec.msgpack.encode({"t": "nonsense"}), "cannot be decoded"),
        (msgspec.msgpack.encode({"t": "upsert", "seq": "one"}), "cannot be decoded"),
        (b"\x91" * 100_000, "cannot be decoded"),
        (b"x" * (s.FRAME_BYTES + 1), "the limit is"),
    ],
)
def test_a_bad_frame_ends_the_session_with_a_reason(raw: bytes, says: str) -> None:
    said = goodbye(run(session(), raw))

    assert said.reason is m.Reason.BAD_FRAME
    assert says in said.message


def test_frames_out_of_order_end_the_session_and_name_the_frame() -> None:
    under_test = session()
    run(under_test, delete(1, "a"))

    said = goodbye(run(under_test, delete(3, "a")))

    assert (said.reason, said.seq) == (m.Reason.BAD_FRAME, 3)


def test_more_items_than_allowed_end_the_session() -> None:
    said = goodbye(run(session(), delete(1, *map(str, range(s.ITEMS + 1)))))

    assert "more than 1,000 keys" in said.message


def test_a_body_of_another_kind_ends_the_session() -> None:
    item = m.Item(KEY, 1, 1, m.Namespace({}))

    assert (
        "body of another"
        in goodbye(run(session(), m.Upsert(seq=1, kind=KIND, items=(item,)))).message
    )


def test_unknown_fields_are_ignored() -> None:
    raw = msgspec.msgpack.encode({**msgspec.msgpack.decode(m.encode(delete(1, "a"))), "new": 1})

    assert run(session(), raw) == []


def test_nothing_is_acknowledged_before_it_is_written() -> None:
    under_test = session()

    assert run(under_test, delete(1, "a")) == []
    assert run(under_test, delete(2, "b")) == []
    write = under_test.take(100, 100)
    effects = under_test.committed(write, Written())

    assert set(write.deletes) == {(KIND, m.Key("", "a")), (KIND, m.Key("", "b"))}
    [ack] = effects
    assert isinstance(ack, e.Send)
    assert isinstance(ack.frame, m.Ack)
    assert ack.frame.seq == 2
    assert ack.frame.credits.context == len(m.encode(delete(1, "a"))) * 2


def test_a_part_that_is_written_acknowledges_nothing() -> None:
    under_test = session()
    run(under_test, delete(1, "a", "b", "c"))

    first = under_test.committed(under_test.take(2, 100), Written())
    second = under_test.committed(under_test.take(2, 100), Written())

    assert first == []
    assert len(second) == 1


def test_a_stale_session_is_told() -> None:
    under_test = session()
    run(under_test, delete(1, "a"))

    said = goodbye(under_test.committed(under_test.take(9, 100), Written(stale=True)))

    assert said.reason is m.Reason.FENCED


def report(content: bytes, key: m.Key = KEY) -> m.Item:
    body = m.Report(
        content=content,
        source="s",
        subject=m.Object("", "Pod", "", "p"),
        resolved=False,
        superseded=False,
        container="",
        image=None,
        scanner="",
        scanner_version="",
        reported_at=None,
        uid="",
        labels={},
    )
    return m.Item(key, 7, 1, body)


def ready(session: s.Session) -> bool:
    return session.ready


def packed(found: NewContent) -> m.Content:
    return m.Content(found.name, found.kind, 1, 4, b"")


def read(session: s.Session, outcome: NewContent | str) -> None:
    """Read the one content that waits."""
    [content] = session.pending.take_unread(1)
    assert not session.pending.unread
    session.read(content.name, outcome)


@pytest.mark.parametrize("before", [True, False], ids=["read-before", "read-after"])
def test_what_points_at_a_refused_content_becomes_a_failed_report(*, before: bool) -> None:
    under_test = session()
    content = m.Content(b"x" * 32, "kind", 1, 1, b"")
    run(under_test, m.Contents(seq=1, contents=(content,)))
    if before:
        read(under_test, "not zstd")
    run(under_test, m.Upsert(seq=2, kind=KIND, items=(report(content.name),)))
    if not before:
        assert not ready(under_test)
        read(under_test, "not zstd")

    write = under_test.take(9, 100)
    effects = under_test.committed(write, Written())

    assert write.upserts[KIND, KEY].body == m.Failure("not zstd", None)
    assert write.upserts[KIND, KEY].fingerprint == 7  # equal on both sides: not sent again
    frames = [effect.frame for effect in effects if isinstance(effect, e.Send)]
    assert frames[0] == m.Reject(items=(m.Refused(KIND, KEY, "not zstd"),))
    assert isinstance(frames[1], m.Ack)


def test_no_entry_is_written_before_the_contents_that_came_before_it() -> None:
    under_test = session()
    found = fleet.content("CVE-1")
    run(under_test, m.Contents(seq=1, contents=(packed(found),)))
    run(under_test, delete(2, "a"))

    assert not ready(under_test)
    read(under_test, found)
    assert ready(under_test)
    assert under_test.take(9, 100).contents == (found,)


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Two:
    """Two clusters' sessions of one process, which offer the same content."""

    def __init__(self) -> None:
        self.clock = Clock()
        claims = Claims(self.clock)
        self.first = s.Session(cluster_id=1, number=1, claims=claims)
        self.second = s.Session(cluster_id=2, number=1, claims=claims)
        self.found = fleet.content("CVE-1")
        self.offer = m.Offer(names=(self.found.name,))
        self._seq = 0

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def bring(self, session: s.Session) -> None:
        run(session, m.Contents(seq=1, contents=(packed(self.found),)))

    def write(self, session: s.Session) -> None:
        read(session, self.found)
        write = session.take(9, 100)
        assert write.contents == (self.found,)
        session.committed(write, Written())


@pytest.fixture
def two() -> Two:
    two = Two()
    wanted = e.Send(m.Want(names=(two.found.name,)))
    assert run(two.first, two.offer, set())[-1] == wanted
    assert run(two.second, two.offer, set())[-1] == e.Send(m.Want(names=()))
    item = report(two.found.name)
    run(two.second, m.Upsert(seq=1, kind=KIND, items=(item,)))
    return two


def test_a_content_comes_from_one_session_and_others_wait_for_it(two: Two) -> None:
    assert not ready(two.second)
    two.bring(two.first)
    assert not ready(two.second)
    two.clock.now += CLAIM + 1  # however long it takes to write
    assert not ready(two.second)
    two.write(two.first)

    assert ready(two.second)
    assert set(two.second.take(9, 100).upserts) == {(KIND, KEY)}


def test_who_waits_goes_on_where_the_other_brings_nothing(two: Two) -> None:
    two.clock.now += CLAIM + 1

    assert ready(two.second)
    assert run(two.second, two.offer, set())[-1] == e.Send(m.Want(names=(two.found.name,)))


def test_who_brings_one_content_after_the_other_is_waited_for(two: Two) -> None:
    for _ in range(3):
        two.clock.now += CLAIM - 1
        content = m.Content(hashlib.sha256(str(two.clock.now).encode()).digest(), "kind", 1, 4, b"")
        run(two.first, m.Contents(seq=two.next_seq(), contents=(content,)))

    assert not ready(two.second)
    two.clock.now += CLAIM + 1
    assert ready(two.second)


@pytest.mark.parametrize("has_come", [True, False], ids=["brought", "owed"])
def test_who_waits_goes_on_where_the_other_ends(two: Two, *, has_come: bool) -> None:
    if has_come:
        two.bring(two.first)
    assert two.first.owes is not has_come
    two.first.leave()

    assert ready(two.second)
    assert run(two.second, two.offer, set())[-1] == e.Send(m.Want(names=(two.found.name,)))
    assert two.second.owes


def test_who_waits_goes_on_where_the_content_is_refused(two: Two) -> None:
    two.bring(two.first)
    read(two.first, "not zstd")

    assert ready(two.second)


def test_a_content_that_two_bring_is_read_once(two: Two) -> None:
    two.bring(two.first)
    run(two.second, m.Contents(seq=2, contents=(packed(two.found),)))

    assert two.first.pending.unread
    assert not two.second.pending.unread


def test_entries_that_wait_keep_nothing_else_waiting(two: Two) -> None:
    run(two.second, delete(2, "a"))

    assert ready(two.second)
    write = two.second.take(9, 100)
    assert set(write.deletes) == {(KIND, m.Key("", "a"))}
    assert not write.upserts
    assert two.second.committed(write, Written()) == []  # what came before is not acknowledged


def summary(entries: int, root: int, state: m.KindState = m.KindState.SYNCED) -> m.Summary:
    return m.Summary(seq=1, kinds=(m.KindSummary(KIND, state, entries, root),))


def test_equal_roots_cost_nothing_more() -> None:
    effects = run(session(), summary(2, 5), {KIND: (2, 5)})

    assert [type(effect) for effect in effects] == [e.Settle, e.AskRoots]


def test_an_empty_aggregator_asks_for_everything() -> None:
    effects = run(session(), summary(2, 5), {})

    assert effects[-1] == e.Send(m.Missing(kind=KIND, everything=True))


def test_different_roots_are_compared_by_bucket_then_by_entry() -> None:
    under_test = session()
    other = m.Key("ns", "other")

    effects = run(under_test, summary(2, 5), {KIND: (1, 9)})
    assert effects[-1] == e.Send(m.Compare(kinds=(KIND,)))
    mine, theirs = [0] * 256, [0] * 256
    theirs[7] = 5
    effects = run(under_test, m.Buckets(kind=KIND, fingerprints=tuple(theirs)), mine)
    assert effects[-1] == e.Send(m.Descend(kind=KIND, buckets=(7,)))
    frame = m.Entries(seq=2, kind=KIND, buckets=(7,), entries=((KEY, 5),), last=True)
    effects = run(under_test, frame, {other: 3})
    assert effects[-1] == e.Send(m.Missing(kind=KIND, keys=(KEY,)))
    assert set(under_test.take(9, 100).deletes) == {(KIND, other)}


@pytest.mark.parametrize("state", [m.KindState.LISTING, m.KindState.FORBIDDEN, m.KindState.ERROR])
def test_a_kind_that_could_not_be_listed_deletes_nothing(state: m.KindState) -> None:
    under_test = session()

    effects = run(under_test, summary(0, 0, state))

    write = under_test.take(9, 100)
    assert effects == []
    assert not write.deletes
    assert [kind.state for kind in write.states] == [state]


def test_contents_under_way_are_not_wanted_again() -> None:
    under_test = session()
    name = b"x" * 32

    first = run(under_test, m.Offer(names=(name, name)), set())

    assert first[-1] == e.Send(m.Want(names=(name,)))


def test_more_bytes_than_the_credits_allow_end_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "PENDING_BYTES", 10)
    under_test = session()
    run(under_test, delete(1, "a"))

    assert "credits" in goodbye(run(under_test, delete(2, "b"))).message


def test_what_is_over_quota_is_tried_again_by_the_next_session() -> None:
    under_test = session()
    item = fleet.report(fleet.content("CVE-1"))
    assert isinstance(item.body, m.Report)
    under_test.refuse_content(item.body.content, s.OVER_QUOTA)

    run(under_test, m.Upsert(seq=1, kind=KIND, items=(item,)))

    failed = under_test.take(9, 9).upserts[KIND, item.key]
    assert isinstance(failed.body, m.Failure)
    assert failed.fingerprint != item.fingerprint


def test_a_session_of_endless_refusals_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "REFUSED_CONTENTS", 1)
    under_test = session()
    for number in range(2):
        under_test.refuse_content(bytes([number]), "why")

    said = goodbye(run(under_test, delete(1, "a")))

    assert (said.reason, said.retry_after) == (m.Reason.BUSY, s.REFUSED_RETRY)


@pytest.mark.parametrize("kind", ["/Kind", "Kind", "group/"])
def test_kinds_without_a_group_or_name_end_the_session(kind: str) -> None:
    item = m.Item(KEY, 1, 1, m.Failure("why", None))

    assert goodbye(run(session(), m.Upsert(seq=1, kind=kind, items=(item,)))).seq == 1
