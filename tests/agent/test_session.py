"""What the agent's session sends, and when."""

from collections import Counter

import pytest

from agent import session as s
from agent.state import Change, Payload, State
from protocol import messages as m
from protocol.fingerprint import fingerprint

KIND = "example.io/Kind"
HELLO = m.Hello(versions=(1,), agent_version="0", instance="i", mode=m.Mode.AGENT, clock=0)


def welcome(
    *, context: int = 100_000, contents: int = 100_000, held: tuple[m.Held, ...] = ()
) -> bytes:
    return m.encode(
        m.Welcome(
            version=1,
            session=1,
            heartbeat=15.0,
            limits=m.Limits(frame_bytes=10_000, content_bytes=1_000, items=2),
            credits=m.Credits(context=context, contents=contents),
            clock=0,
            held=held,
        )
    )


def started(state: State | None = None, **fields: object) -> s.Session:
    session = s.Session(state or State(), HELLO, Counter())
    session.receive(welcome(**fields))  # type: ignore[arg-type]
    return session


def change(name: str, body: bytes = b"content", kind: str = KIND) -> Change:
    key = m.Key("", name)
    report = m.Report(
        content=body.ljust(32)[:32],
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
    item = m.Item(key, fingerprint(kind, key, report), 1, report)
    return Change(kind, item, Payload(report.content, "test", 1, body))


def frames(effects: list[s.Effect]) -> list[m.FromAgent]:
    return [m.decode_from_agent(e.frame) for e in effects if isinstance(e, s.Send)]


def answer(session: s.Session, frame: m.FromAggregator) -> list[m.FromAgent]:
    return frames(session.receive(m.encode(frame)))


def test_nothing_is_sent_before_the_welcome() -> None:
    session = s.Session(State(), HELLO, Counter())
    assert [type(frame) for frame in frames(session.start())] == [m.Hello]

    session.changed(change("a"))

    assert session.flush() == []


def test_contents_go_only_where_they_are_wanted() -> None:
    session = started()
    for name, body in [("a", b"one"), ("b", b"two")]:
        session.changed(change(name, body))

    [offer] = frames(session.flush())
    sent = answer(session, m.Want(names=(b"two".ljust(32),)))

    assert isinstance(offer, m.Offer)
    assert len(offer.names) == 2
    contents, upsert = sent
    assert isinstance(contents, m.Contents)
    assert [content.name for content in contents.contents] == [b"two".ljust(32)]
    assert isinstance(upsert, m.Upsert)
    assert [item.key.name for item in upsert.items] == ["a", "b"]
    assert (contents.seq, upsert.seq) == (1, 2)


def test_a_content_that_comes_packed_goes_as_it_is() -> None:
    session = started()
    made = change("a")
    assert isinstance(made.content, Payload)
    packed = m.Content(made.content.name, "test", 1, 7, b"packed before")
    session.changed(Change(made.kind, made.item, packed))
    session.flush()

    contents, _ = answer(session, m.Want(names=(packed.name,)))

    assert isinstance(contents, m.Contents)
    assert contents.contents == (packed,)


def test_a_content_is_offered_once_a_session() -> None:
    session = started()
    session.changed(change("a"))
    session.flush()
    answer(session, m.Want(names=()))

    session.changed(change("b"))

    [upsert] = frames(session.flush())
    assert isinstance(upsert, m.Upsert)


def test_a_delete_never_overtakes_the_upsert_before_it() -> None:
    session = started()
    session.changed(change("a"))
    session.deleted(KIND, (m.Key("", "a"),), 1)

    [offer] = frames(session.flush())
    sent = answer(session, m.Want(names=()))

    assert isinstance(offer, m.Offer)
    assert [type(frame) for frame in sent] == [m.Upsert, m.Delete]


def test_frames_hold_no_more_than_the_aggregator_takes() -> None:
    session = started()
    session.deleted(KIND, tuple(m.Key("", str(n)) for n in range(5)), 1)

    sent = frames(session.flush())

    assert [len(frame.keys) for frame in sent if isinstance(frame, m.Delete)] == [2, 2, 1]


def test_nothing_is_sent_beyond_the_credit() -> None:
    session = started(context=1)
    session.deleted(KIND, (m.Key("", "a"),), 1)
    session.deleted(KIND, (m.Key("", "b"),), 1)

    first = frames(session.flush())
    more = answer(session, m.Ack(seq=1, credits=m.Credits(context=1_000)))

    assert len(first) == 1
    assert len(more) == 1


def test_a_content_over_the_limit_becomes_a_failure() -> None:
    session = started()
    session.changed(change("a", b"x" * 1_001))

    [upsert] = frames(session.flush())

    assert isinstance(upsert, m.Upsert)
    assert upsert.items[0].body == m.Failure(
        "the content has 1,001 bytes, the limit is 1,000", None
    )
    assert upsert.items[0].fingerprint == change("a", b"x" * 1_001).item.fingerprint


def test_a_frame_that_closed_a_session_twice_is_given_up() -> None:
    strikes: s.Strikes = Counter()
    for _ in range(s.STRIKES):
        session = s.Session(State(), HELLO, strikes)
        session.receive(welcome())
        session.changed(change("a"))
        session.flush()
        answer(session, m.Want(names=()))
        bye = m.Goodbye(reason=m.Reason.BAD_FRAME, message="bad", seq=1)
        effects = session.receive(m.encode(bye))
        assert any(isinstance(effect, s.End) for effect in effects)

    session = s.Session(State(), HELLO, strikes)
    session.receive(welcome())
    session.changed(change("a"))

    [upsert] = frames(session.flush())
    assert isinstance(upsert, m.Upsert)
    assert isinstance(upsert.items[0].body, m.Failure)


def test_a_kind_that_is_held_is_quiet_until_it_is_complete() -> None:
    state = State()
    kind = state.kind(KIND)
    session = started(state, held=(m.Held(KIND, 1, 5),))
    session.flush()
    session.changed(change("a"))
    session.deleted(KIND, (m.Key("", "b"),), 1)
    assert session.flush() == []

    kind.state = m.KindState.SYNCED
    session.state_changed(KIND)
    [summary] = frames(session.flush())
    assert isinstance(summary, m.Summary)

    session.deleted(KIND, (m.Key("", "b"),), 1)
    assert [type(frame) for frame in frames(session.flush())] == [m.Delete]


def test_a_partial_session_compares_nothing() -> None:
    state = State()
    state.kind(KIND).state = m.KindState.SYNCED
    session = s.Session(state, HELLO, Counter(), partial=True)

    effects = session.receive(welcome(held=(m.Held(KIND, 1, 5),)))
    session.changed(change("a"))

    assert effects == []
    assert [type(frame) for frame in frames(session.flush())] == [m.Offer]


def test_it_is_idle_once_everything_is_acknowledged() -> None:
    session = started()
    idle = [session.idle]
    session.deleted(KIND, (m.Key("", "a"),), 1)
    idle.append(session.idle)
    session.flush()
    idle.append(session.idle)

    answer(session, m.Ack(seq=1))

    assert [*idle, session.idle] == [True, False, False, True]


def test_a_full_outbox_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "OUTBOX_BYTES", 1_000)
    session = started()

    for number in range(5):
        session.changed(change(str(number), str(number).encode()))
    assert session.full
    session.flush()
    answer(session, m.Want(names=()))

    assert not session.full


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x81\xa1t\xa7unknown"])
def test_what_cannot_be_decoded_is_an_error(raw: bytes) -> None:
    with pytest.raises(s.ProtocolError):
        started().receive(raw)
