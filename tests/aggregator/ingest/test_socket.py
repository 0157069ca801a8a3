"""The socket itself: fences, faults of single items, databases that refuse a value."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from agent.packing import pack
from agent.state import Payload
from aggregator.access import administration
from aggregator.ingest import hub, reading, socket
from aggregator.ingest.clock import READINGS
from aggregator.store import unused_contents
from aggregator.store.ingest import Write, write
from protocol import messages as m
from protocol.content import name as content_name
from protocol.fingerprint import fingerprint
from tests.aggregator.store import fleet
from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.e2e.conftest import OWNER, Aggregator, aggregator  # noqa: F401 - a fixture

KIND = "example.io/Kind"
WITHIN = 20.0  # seconds


class Agent:
    """A hand-driven agent."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, frame: m.FromAgent | bytes) -> None:
        await self._socket.send_bytes(frame if isinstance(frame, bytes) else m.encode(frame))

    async def receive(self) -> m.FromAggregator:
        async with asyncio.timeout(WITHIN):
            frame: m.FromAggregator = m.decode_from_aggregator(await self._socket.receive_bytes())
            return frame

    async def hello(self, **fields: Any) -> m.FromAggregator:
        defaults: dict[str, Any] = {
            "versions": (1,),
            "agent_version": "0",
            "instance": "one",
            "mode": m.Mode.AGENT,
            "clock": 0,
            "cluster_uid": "uid",
        }
        await self.send(m.Hello(**(defaults | fields)))
        return await self.receive()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def connect(aggregator: Aggregator, client: aiohttp.ClientSession, token: str) -> Agent:  # noqa: F811
    socket = await client.ws_connect(
        f"{aggregator.url}/agent/v1",
        protocols=(m.SUBPROTOCOL,),
        headers={"Authorization": f"Bearer {token}"},
        max_msg_size=0,
    )
    return Agent(socket)


def failure(name: str, reason: str = "unreadable") -> m.Item:
    key, body = m.Key("ns", name), m.Failure(reason, None)
    return m.Item(key, fingerprint(KIND, key, body), 1, body)


async def test_a_second_instance_is_refused_while_the_first_is_heard(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    token = await aggregator.add_cluster("prod")
    first, second, again = [await connect(aggregator, client, token) for _ in range(3)]

    assert isinstance(await first.hello(), m.Welcome)
    refused = await second.hello(instance="two")
    taken_over = await again.hello()

    assert isinstance(refused, m.Goodbye)
    assert refused.reason is m.Reason.FENCED
    assert refused.retry_after is not None
    assert isinstance(taken_over, m.Welcome)
    said = await first.receive()
    assert isinstance(said, m.Goodbye)
    assert said.reason is m.Reason.FENCED


async def test_a_token_is_bound_to_the_cluster_of_its_first_session(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    token = await aggregator.add_cluster("prod")
    await (await connect(aggregator, client, token)).hello()

    refused = await (await connect(aggregator, client, token)).hello(cluster_uid="another")

    assert isinstance(refused, m.Goodbye)
    assert refused.reason is m.Reason.REFUSED
    assert "cluster rebind" in refused.message


@pytest.mark.parametrize("first", [b"", b"\xc1", m.encode(m.Heartbeat(clock=1))])
async def test_whatever_is_not_a_hello_is_refused(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
    first: bytes,
) -> None:
    agent = await connect(aggregator, client, await aggregator.add_cluster("prod"))

    await agent.send(first)

    said = await agent.receive()
    assert isinstance(said, m.Goodbye)
    assert said.reason is m.Reason.BAD_FRAME


async def test_an_unknown_version_is_refused(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    agent = await connect(aggregator, client, await aggregator.add_cluster("prod"))

    said = await agent.hello(versions=(99,))

    assert isinstance(said, m.Goodbye)
    assert said.reason is m.Reason.UNSUPPORTED


async def test_a_value_that_postgres_refuses_harms_no_neighbour(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    agent = await connect(aggregator, client, await aggregator.add_cluster("prod"))
    await agent.hello()
    labels = m.Namespace({"team": "a"})
    bad = m.Namespace({"team": "\0"})
    items = [
        m.Item(key, fingerprint(m.NAMESPACES, key, body), 1, body)
        for key, body in [(m.Key("", f"ns-{n}"), labels) for n in range(20)]
    ]
    key = m.Key("", "bad")
    items.insert(7, m.Item(key, fingerprint(m.NAMESPACES, key, bad), 1, bad))

    await agent.send(m.Upsert(seq=1, kind=m.NAMESPACES, items=tuple(items)))
    await agent.send(m.Upsert(seq=2, kind=KIND, items=(failure("other"),)))
    frames: list[m.FromAggregator] = []
    while not (frames and isinstance(frames[-1], m.Ack) and frames[-1].seq == 2):
        frames.append(await agent.receive())

    assert await aggregator.pool.fetchval("SELECT count(*) FROM namespace") == 20
    assert await aggregator.pool.fetchval("SELECT count(*) FROM failed_report") >= 1
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_one_agents_bad_frame_harms_no_other(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    good = await connect(aggregator, client, await aggregator.add_cluster("good"))
    bad = await connect(aggregator, client, await aggregator.add_cluster("bad"))
    await good.hello(cluster_uid="good")
    await bad.hello(cluster_uid="bad")

    await bad.send(b"\xc1")
    await good.send(m.Upsert(seq=1, kind=KIND, items=(failure("a"),)))

    assert isinstance(await bad.receive(), m.Goodbye)
    assert isinstance(await good.receive(), m.Ack)


async def test_a_content_that_goes_between_offer_and_upsert_is_asked_for_again(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    pool = aggregator.pool
    first = await fleet.add_cluster(pool, "first")
    body = b'{"vulnerabilities":[{"severity":"LOW","vulnerabilityID":"CVE-1"}]}'
    packed = pack(Payload(content_name("vulnerabilities", 1, body), "vulnerabilities", 1, body))
    found = reading.read(packed)
    await write(pool, [Write(cluster_id=first, session=1, contents=(found,))])
    agent = await connect(aggregator, client, await aggregator.add_cluster("prod"))
    await agent.hello()
    item = fleet.report(found)

    await agent.send(m.Offer(names=(packed.name,)))
    assert await agent.receive() == m.Want(names=())
    await unused_contents.mark(pool)
    assert await unused_contents.drop(pool, timedelta()) == 1
    await agent.send(m.Upsert(seq=1, kind=fleet.KIND, items=(item,)))

    assert await agent.receive() == m.Missing(kind=fleet.KIND, keys=(item.key,))
    assert isinstance(await agent.receive(), m.Ack)
    await agent.send(m.Offer(names=(packed.name,)))
    assert await agent.receive() == m.Want(names=(packed.name,))
    await agent.send(m.Contents(seq=2, contents=(packed,)))
    await agent.send(m.Upsert(seq=3, kind=fleet.KIND, items=(item,)))
    while not (isinstance(ack := await agent.receive(), m.Ack) and ack.seq == 3):
        pass
    assert await pool.fetchval("SELECT count(*) FROM report") == 1
    await assert_counts_equal_a_recount(pool)


async def test_the_agent_of_a_removed_cluster_is_told_and_shut_out(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    token = await aggregator.add_cluster("prod")
    agent = await connect(aggregator, client, token)
    assert isinstance(await agent.hello(), m.Welcome)

    await administration.remove_cluster(aggregator.pool, OWNER, name="prod")

    said = await agent.receive()
    assert isinstance(said, m.Goodbye)
    assert (said.reason, said.message) == (m.Reason.REFUSED, socket.SHUT_OUT)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await connect(aggregator, client, token)
    again = await connect(aggregator, client, await aggregator.add_cluster("prod"))
    assert isinstance(await again.hello(), m.Welcome)  # the same Kubernetes cluster
    assert await aggregator.query("{ clusters { nodes { name uid state } } }") == {
        "clusters": {"nodes": [{"name": "prod", "uid": "uid", "state": "ONLINE"}]}
    }


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write last-seen often; has to come before the aggregator."""
    monkeypatch.setattr(hub, "HEARTBEAT", 0.05)


@pytest.mark.usefixtures("quick_beats")
async def test_a_clock_that_drifts_is_shown_and_corrected(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    def clock(ahead: int = 0) -> int:
        return time.time_ns() // 1_000_000 + ahead

    async def shown_near(skew: int) -> None:
        question = '{ cluster(name: "prod") { clockSkewMs } }'
        async with asyncio.timeout(WITHIN):
            while abs((await aggregator.query(question))["cluster"]["clockSkewMs"] - skew) > 5_000:
                await asyncio.sleep(0.05)

    agent = await connect(aggregator, client, await aggregator.add_cluster("prod"))
    await agent.hello(clock=clock())
    await shown_near(0)
    await agent.send(m.Heartbeat(clock=clock(600_000)))
    await shown_near(600_000)

    item = failure("a")
    await agent.send(
        m.Upsert(seq=1, kind=KIND, items=(structs.replace(item, observed_at=clock(570_000)),))
    )
    while not isinstance(await agent.receive(), m.Ack):
        pass

    age = await aggregator.pool.fetchval(
        "SELECT extract(epoch FROM now() - observed_at)::int FROM failed_report"
    )
    assert age == pytest.approx(30, abs=5)
    for _ in range(READINGS):
        await agent.send(m.Heartbeat(clock=clock(-50_000)))
    await shown_near(-50_000)


@pytest.mark.usefixtures("quick_beats")
async def test_what_waits_in_an_agents_spool_is_shown(
    aggregator: Aggregator,  # noqa: F811
    client: aiohttp.ClientSession,
) -> None:
    question = '{ cluster(name: "prod") { eventsWaiting oldestEventWaitingAt } }'
    agent = await connect(aggregator, client, await aggregator.add_cluster("prod"))
    await agent.hello(clock=time.time_ns() // 1_000_000)
    assert await aggregator.query(question) == {
        "cluster": {"eventsWaiting": None, "oldestEventWaitingAt": None}
    }
    await agent.send(m.Heartbeat(clock=1, spool_events=7, oldest_unsent=1_700_000_000_000))

    async with asyncio.timeout(WITHIN):
        while (shown := await aggregator.query(question))["cluster"]["eventsWaiting"] is None:
            await asyncio.sleep(0.05)

    assert shown["cluster"]["eventsWaiting"] == 7
    assert shown["cluster"]["oldestEventWaitingAt"][:16] == "2023-11-14T22:13"
