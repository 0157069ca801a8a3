"""What a session answers to frames, good and bad."""

from typing import Any

import msgspec
import pytest

from aggregator.ingest import session as s
from aggregator.store.ingest import Written
from protocol import messages as m
from tests.aggregator.store import fleet

KEY = m.Key("ns", "name")
KIND = "example.io/Kind"


def session() -> s.Session:
    return s.Session(cluster_id=1, number=1)


def run(session: s.Session, frame: m.FromAgent | bytes, *answers: Any) -> list[s.Effect]:
    """Feed a frame; questions get `answers` in order, Settle gets None."""
    steps = session.receive(frame if isinstance(frame, bytes) else m.encode(frame))
    effects: list[s.Effect] = []
    waiting = list(answers)
    answer: Any = None
    while True:
        try:
            effect = steps.send(answer)
        except StopIteration:
            return effects
        asks = isinstance(
            effect, s.AskKnown | s.AskRoots | s.AskBuckets | s.AskEntries | s.ReadContent
        )
        answer = waiting.pop(0) if asks else None
        effects.append(effect)


def goodbye(effects: list[s.Effect]) -> m.Goodbye:
    [close] = effects
    assert isinstance(close, s.Close)
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
    assert isinstance(ack, s.Send)
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


def test_what_points_at_a_refused_content_becomes_a_failed_report() -> None:
    under_test = session()
    content = m.Content(b"x" * 32, "kind", 1, 1, b"")
    report = m.Report(
        content=content.name,
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
    run(under_test, m.Contents(seq=1, contents=(content,)), "not zstd")
    run(under_test, m.Upsert(seq=2, kind=KIND, items=(m.Item(KEY, 7, 1, report),)))

    write = under_test.take(9, 100)
    effects = under_test.committed(write, Written())

    assert write.upserts[KIND, KEY].body == m.Failure("not zstd", None)
    assert write.upserts[KIND, KEY].fingerprint == 7  # equal on both sides: not sent again
    frames = [effect.frame for effect in effects if isinstance(effect, s.Send)]
    assert frames[0] == m.Reject(items=(m.Refused(KIND, KEY, "not zstd"),))
    assert isinstance(frames[1], m.Ack)


def summary(entries: int, root: int, state: m.KindState = m.KindState.SYNCED) -> m.Summary:
    return m.Summary(seq=1, kinds=(m.KindSummary(KIND, state, entries, root),))


def test_equal_roots_cost_nothing_more() -> None:
    effects = run(session(), summary(2, 5), {KIND: (2, 5)})

    assert [type(effect) for effect in effects] == [s.Settle, s.AskRoots]


def test_an_empty_aggregator_asks_for_everything() -> None:
    effects = run(session(), summary(2, 5), {})

    assert effects[-1] == s.Send(m.Missing(kind=KIND, everything=True))


def test_different_roots_are_compared_by_bucket_then_by_entry() -> None:
    under_test = session()
    other = m.Key("ns", "other")

    effects = run(under_test, summary(2, 5), {KIND: (1, 9)})
    assert effects[-1] == s.Send(m.Compare(kinds=(KIND,)))
    mine, theirs = [0] * 256, [0] * 256
    theirs[7] = 5
    effects = run(under_test, m.Buckets(kind=KIND, fingerprints=tuple(theirs)), mine)
    assert effects[-1] == s.Send(m.Descend(kind=KIND, buckets=(7,)))
    frame = m.Entries(seq=2, kind=KIND, buckets=(7,), entries=((KEY, 5),), last=True)
    effects = run(under_test, frame, {other: 3})
    assert effects[-1] == s.Send(m.Missing(kind=KIND, keys=(KEY,)))
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

    assert first[-1] == s.Send(m.Want(names=(name,)))


def test_more_bytes_than_the_credits_allow_end_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "PENDING_BYTES", 10)
    under_test = session()
    run(under_test, delete(1, "a"))

    assert "credits" in goodbye(run(under_test, delete(2, "b"))).message


def test_contents_are_written_before_too_many_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "PENDING_FINDINGS", 0)
    found = fleet.content("CVE-1")
    content = m.Content(found.name, found.kind, 1, 4, b"")

    effects = run(session(), m.Contents(seq=1, contents=(content,)), found)

    assert isinstance(effects[-1], s.Settle)


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
