"""The hub: what goes wrong with one session's part stays with that session."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aggregator.ingest import hub as hub_module
from aggregator.ingest.hub import Connected, Hub
from aggregator.ingest.session import Session
from aggregator.store.ingest import Write, Written
from aggregator.store.ingest import write as write_really
from aggregator.store.pool import Pool
from protocol import messages as m
from tests.aggregator.store.fleet import KIND, add_cluster, content, report

WITHIN = 30.0  # seconds


class Agent:
    """A session whose frames are kept."""

    def __init__(self, hub: Hub, cluster_id: int) -> None:
        self.frames: list[m.FromAggregator] = []
        session = Session(cluster_id=cluster_id, number=1, claims=hub.claims)
        self.connected = Connected(session, self.frames.append)
        self._hub = hub
        hub.add(self.connected)

    async def upsert(self, item: m.Item) -> None:
        steps = self.connected.session.receive(m.encode(m.Upsert(seq=1, kind=KIND, items=(item,))))
        assert list(steps) == []
        self._hub.notify()
        async with asyncio.timeout(WITHIN):
            await self.connected.settle()


@pytest.fixture
async def hub(pool: Pool) -> AsyncIterator[Hub]:
    hub = Hub(pool)
    await hub.start()
    yield hub
    await hub.stop()


async def test_what_nobody_expected_ends_the_session_and_not_the_hub(
    hub: Hub, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await add_cluster(pool, "bad"), await add_cluster(pool, "good")

    async def write(pool: Pool, writes: list[Write], **_: int) -> list[Written]:
        if any(one.cluster_id == bad for one in writes):
            raise RuntimeError("nobody expected this")
        return await write_really(pool, writes)

    monkeypatch.setattr(hub_module, "write", write)
    first, second = Agent(hub, bad), Agent(hub, good)
    await first.upsert(report(content("CVE-1")))
    await second.upsert(report(content("CVE-1")))

    assert first.connected.closed.is_set()
    assert isinstance(first.frames[-1], m.Goodbye)
    assert [type(frame) for frame in second.frames] == [m.Missing, m.Ack]


async def test_a_locked_cluster_ends_its_own_session_only(
    hub: Hub, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "CONFLICT_RETRIES", 0)
    locked, free = await add_cluster(pool, "locked"), await add_cluster(pool, "free")
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM agent_session WHERE cluster_id = $1 FOR UPDATE", locked)
        first, second = Agent(hub, locked), Agent(hub, free)
        await asyncio.gather(
            first.upsert(report(content("CVE-1"))), second.upsert(report(content("CVE-1")))
        )

    assert isinstance(first.frames[-1], m.Goodbye)
    assert isinstance(second.frames[-1], m.Ack)


async def test_no_frame_is_taken_while_too_much_is_held(
    hub: Hub, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "HELD_BYTES", 0)
    going = asyncio.Event()

    async def write(pool: Pool, writes: list[Write], **_: int) -> list[Written]:
        await going.wait()
        return await write_really(pool, writes)

    monkeypatch.setattr(hub_module, "write", write)
    busy = Agent(hub, await add_cluster(pool, "busy"))
    next_ = Agent(hub, await add_cluster(pool, "next"))
    writing = asyncio.create_task(busy.upsert(report(content("CVE-1"))))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(hub.room(next_.connected))
    done, _ = await asyncio.wait((waiting,), timeout=0.1)
    assert not done
    assert hub.held > 0

    going.set()
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(waiting, writing)
    assert hub.held == 0


async def test_who_others_wait_for_is_read_all_the_same(
    hub: Hub, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "HELD_BYTES", -1)
    agent = Agent(hub, await add_cluster(pool, "owes"))
    hub.claims.take(b"content", agent.connected.session)

    async with asyncio.timeout(WITHIN):
        await hub.room(agent.connected)


async def test_two_groups_of_sessions_are_written_at_once(
    hub: Hub, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = asyncio.Barrier(2)
    begun = asyncio.Event()

    async def write(pool: Pool, writes: list[Write], **_: int) -> list[Written]:
        begun.set()
        async with asyncio.timeout(WITHIN):
            await together.wait()
        return await write_really(pool, writes)

    monkeypatch.setattr(hub_module, "write", write)
    agents = [Agent(hub, await add_cluster(pool, name)) for name in ("first", "second")]
    first = asyncio.create_task(agents[0].upsert(report(content("CVE-1"))))
    async with asyncio.timeout(WITHIN):
        await begun.wait()
    await asyncio.gather(first, agents[1].upsert(report(content("CVE-1"))))

    assert [type(agent.frames[-1]) for agent in agents] == [m.Ack, m.Ack]
