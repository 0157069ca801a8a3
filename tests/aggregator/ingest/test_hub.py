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
        self.connected = Connected(Session(cluster_id=cluster_id, number=1), self.frames.append)
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
