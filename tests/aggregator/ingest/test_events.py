"""Runtime events in a session and in the hub: shared out fairly, halved, never in the way of state."""

import asyncio
import json
from typing import Any

import pytest
import zstandard

from aggregator.ingest import effects as e
from aggregator.ingest import event_reading
from aggregator.ingest import session as s
from aggregator.ingest.hub import SESSION_EVENTS, Connected, Hub
from aggregator.ingest.pending_events import BURST, Rate
from aggregator.store import sessions
from aggregator.store.pool import Pool
from aggregator.store.runtime_events import REFUSED
from protocol import messages as m
from tests.aggregator.store.fleet import add_cluster
from tests.aggregator.store.test_runtime_events import event


def packed(*numbers: int, epoch: str = "e", **fields: Any) -> m.Events:
    body = m.encode(tuple(event(number, **fields) for number in numbers))
    return m.Events(epoch=epoch, offsets=numbers, size=len(body), body=zstandard.compress(body))


def effects(session: s.Session, frame: m.FromAgent) -> list[e.Effect]:
    return list(session.receive(m.encode(frame)))


def goodbye(found: list[e.Effect]) -> str:
    [close] = found
    assert isinstance(close, e.Close)
    assert close.goodbye is not None
    assert close.goodbye.reason is m.Reason.BAD_FRAME
    return close.goodbye.message


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (m.Events(epoch="e", offsets=(), size=0, body=b""), "without offsets"),
        (m.Events(epoch="e", offsets=(2, 1), size=0, body=b""), "impossible"),
        (m.Events(epoch="e", offsets=(1, 3, 2, 4), size=0, body=b""), "must rise"),
        (m.Events(epoch="e", offsets=(-1,), size=0, body=b""), "impossible"),
        (m.Events(epoch="", offsets=(1,), size=0, body=b""), "an epoch"),
        (m.Events(epoch="e\0", offsets=(1,), size=0, body=b""), "an epoch"),
        (m.Events(epoch="e", offsets=(1,), size=2**30, body=b""), "the limit is"),
        (m.Events(epoch="e", offsets=tuple(range(1001)), size=0, body=b""), "more than 1,000"),
        (m.Gaps(epoch="e", gaps=(m.GapRecord("k", "r", 0, 0, -1),)), "impossible counts"),
        (m.Gaps(epoch="e", gaps=(m.GapRecord("k", "r", 0, 2**60, 1),)), "impossible time"),
        (m.Gaps(epoch="e", gaps=(m.GapRecord("k" * 300, "r", 0, 0, 1),)), "too long"),
        (m.Gaps(epoch="e", gaps=(m.GapRecord("k", "r", 0, 0, 1),) * 101), "more than 100 gaps"),
    ],
)
def test_frames_that_make_no_sense_end_the_session(frame: m.FromAgent, says: str) -> None:
    assert says in goodbye(effects(s.Session(cluster_id=1, number=1), frame))


@pytest.mark.parametrize(
    "body", [b"nonsense", zstandard.compress(b"nonsense"), zstandard.compress(b"x" * 2_000_000)]
)
def test_events_that_cannot_be_read_are_lost_not_sent_for_ever(body: bytes) -> None:
    batch = event_reading.read(m.Events(epoch="e", offsets=(4, 5), size=1000, body=body))

    assert (batch.events, batch.lost, batch.end) == ((), REFUSED, 6)


def test_more_bytes_than_the_credits_allow_end_the_session() -> None:
    session = s.Session(cluster_id=1, number=1)
    number = 0
    found: list[e.Effect] = []
    while not found:
        frame = packed(number, output="x" * 500_000)
        found = effects(session, frame)
        number += 1

    assert "more bytes of events" in goodbye(found)
    assert session.events.bytes <= s.PENDING_EVENTS_BYTES + event_reading.EVENTS_BYTES


def test_a_rate_fills_with_time() -> None:
    now = [0.0]
    rate = Rate(10.0, clock=lambda: now[0])
    rate.spend(int(10 * BURST) + 20)
    assert rate.allowance == 0
    now[0] += 2.5
    assert rate.allowance == pytest.approx(5)
    now[0] += 1000
    assert rate.allowance == 10 * BURST
    assert Rate(None).allowance > 1e9


class Agent:
    """A connected agent that sends events."""

    def __init__(self, hub: Hub, cluster_id: int, **limits: Any) -> None:
        self.frames: list[m.FromAggregator] = []
        self._hub = hub
        session = s.Session(cluster_id=cluster_id, number=1)
        self.connected = Connected(session, self.frames.append, **limits)
        hub.add(self.connected)

    def send(self, frame: m.FromAgent) -> None:
        assert effects(self.connected.session, frame) == []
        self._hub.notify()

    def stored(self) -> int:
        return max((f.next or 0 for f in self.frames if isinstance(f, m.Stored)), default=0)


@pytest.fixture
async def hub(pool: Pool) -> Any:
    hub = Hub(pool)
    await hub.start()
    yield hub
    await hub.stop()


async def until_stored(agent: Agent, offset: int) -> None:
    async with asyncio.timeout(20):
        while agent.stored() < offset:
            await asyncio.sleep(0.01)


async def test_stored_follows_the_commit_and_gives_credit_back(hub: Hub, pool: Pool) -> None:
    agent = Agent(hub, await add_cluster(pool, "c"))
    frame = packed(0, 1, 2)
    agent.send(frame)
    agent.send(m.Gaps(epoch="e", gaps=(m.GapRecord("k", "OVERFLOW", 1, 2, 3),)))
    await until_stored(agent, 3)

    assert await pool.fetchval("SELECT count(*) FROM runtime_event") == 3
    frames = [f for f in agent.frames if isinstance(f, m.Stored)]
    assert sum(f.credits.events for f in frames) == frame.size
    assert [gap for f in frames for gap in f.gaps] == [("k", 3)]
    assert not agent.connected.session.events


async def test_a_refused_event_becomes_a_gap_and_its_neighbours_go_through(
    hub: Hub, pool: Pool
) -> None:
    agent = Agent(hub, await add_cluster(pool, "c"))
    events = [event(n) for n in range(7)]
    events[3] = event(3, output="a NUL: \0")
    events[5] = event(5, fields="[")
    body = m.encode(tuple(events))
    offsets = tuple(range(7))
    agent.send(m.Events(epoch="e", offsets=offsets, size=len(body), body=zstandard.compress(body)))
    await until_stored(agent, 7)

    rows = await pool.fetch("SELECT fields FROM runtime_event ORDER BY id")
    assert [json.loads(row["fields"])["n"] for row in rows] == [0, 1, 2, 4, 6]
    assert await pool.fetchval("SELECT sum(events) FROM event_gap WHERE reason = 'REFUSED'") == 2


async def test_a_flood_does_not_keep_others_waiting(hub: Hub, pool: Pool) -> None:
    noisy = Agent(hub, await add_cluster(pool, "noisy"), rate=None)
    quiet = Agent(hub, await add_cluster(pool, "quiet"), rate=None)
    for start in range(0, 8_000, 1_000):
        numbers = range(start, start + 1_000)
        noisy.send(packed(*numbers, output="x"))
        if start == 3_000:
            quiet.send(packed(0))
    await until_stored(quiet, 1)

    assert noisy.stored() <= 4 * SESSION_EVENTS
    await until_stored(noisy, 8_000)


async def test_above_its_rate_a_cluster_waits_and_reports_its_state(hub: Hub, pool: Pool) -> None:
    agent = Agent(hub, await add_cluster(pool, "c"), rate=20.0)
    for start in range(0, 200, 40):
        agent.send(packed(*range(start, start + 40)))
    await until_stored(agent, 40)
    summary = m.Summary(seq=1, kinds=(m.KindSummary("g/K", m.KindState.FORBIDDEN, 0, 0),))
    agent.send(summary)
    async with asyncio.timeout(20):
        while not any(isinstance(frame, m.Ack) for frame in agent.frames):
            await asyncio.sleep(0.01)

    assert agent.stored() < 200


async def test_a_new_session_resumes_where_the_rows_end(hub: Hub, pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    agent = Agent(hub, cluster_id)
    agent.send(packed(0, 1, 5))
    await until_stored(agent, 6)

    def hello(epoch: str) -> m.Hello:
        return m.Hello(
            versions=(1,),
            agent_version="1",
            instance="i",
            mode=m.Mode.AGENT,
            clock=0,
            spool=m.Spool(epoch, 0, 9),
        )

    assert (await sessions.open_session(pool, cluster_id, hello("e"), 45.0)).resume == 6
    assert await pool.fetchval("SELECT count(*) FROM event_gap") == 0
    assert (await sessions.open_session(pool, cluster_id, hello("new"), 45.0)).resume is None
    assert await pool.fetchval("SELECT reason FROM event_gap") == "SPOOL_REPLACED"
