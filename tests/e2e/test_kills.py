"""Whatever is killed on the way, an event that was answered 200 is in Postgres once, or in a gap.

Agent, aggregator and Postgres are killed with SIGKILL at random moments, their own starts included,
under a steady stream of numbered events. A subscriber that comes back with its last cursor sees each
event that is stored once.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.processes import Processes
from tests.fakes.kubernetes import FakeKubernetes

DRAINED = 90.0  # seconds in which all that waits has to arrive at the end
QUIET = 1.0  # seconds without anything new, after which nothing more is on its way
PAUSE = 0.004  # seconds between events of one sender
SENDERS = 2
VICTIMS = ("agent", "aggregator", "postgres")
PADDING = "x" * 600


class Subscriber:
    """Follows all events, and comes back with its last cursor."""

    QUERY = (
        "subscription ($after: String) { runtimeEvents(after: $after) { cursor node { fields } } }"
    )

    def __init__(self, processes: Processes) -> None:
        self._url = processes.url.replace("http", "ws") + "/graphql"
        self._token = processes.admin_token
        self._after: str | None = None
        self.seen: list[int] = []

    async def run(self) -> None:
        protocols = [websockets.Subprotocol("graphql-transport-ws")]
        while True:
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                async with connect(self._url, subprotocols=protocols, proxy=None) as socket:
                    await self._follow(socket)
            await asyncio.sleep(0.1)

    async def _follow(self, socket: ClientConnection) -> None:
        payload = {"Authorization": f"Bearer {self._token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        variables = {"after": self._after}
        asked = {"query": self.QUERY, "variables": variables}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": asked}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "error":
                codes = [error["extensions"]["code"] for error in message["payload"]]
                assert codes == ["UNAVAILABLE"], message
                return
            if message["type"] == "next":
                edge = message["payload"]["data"]["runtimeEvents"]
                self._after = edge["cursor"]
                self.seen.append(edge["node"]["fields"]["n"])


class Sender:
    """Sends numbered events as Falco does, one a POST, and keeps what was answered 200."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._next = number
        self.answered: list[int] = []
        self.unsure: list[int] = []  # no answer came: they may have been kept

    async def run(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10.0) as client:
            while True:
                number, self._next = self._next, self._next + SENDERS
                self.unsure.append(number)
                try:
                    answer = await client.post(self._url, json=event(number))
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                    continue
                self.unsure.pop()
                if answer.status_code == 200:
                    self.answered.append(number)
                await asyncio.sleep(PAUSE)


def event(number: int) -> dict[str, Any]:
    return {
        "hostname": f"node-{number % 3}",
        "time": "2026-11-25T10:00:00.123456789Z",
        "rule": "Terminal shell in container",
        "priority": ("Debug", "Notice", "Critical")[number % 3],
        "source": "syscall",
        "output": f"event {number} {PADDING}",
        "output_fields": {"n": number},
    }


async def survive(
    processes: Processes, *, kills: int, seed: int
) -> tuple[list[int], list[int], Subscriber, asyncio.Task[None]]:
    """Send while processes die.

    Returns the numbers answered 200, those not answered, and who follows them.
    """
    chance = random.Random(seed)
    await processes.start()
    await processes.until_ready()
    subscriber = Subscriber(processes)
    following = asyncio.create_task(subscriber.run())
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(DRAINED):
        while not subscriber.seen:  # it follows from here on
            await client.post(processes.events_url, json=event(-1))
            await asyncio.sleep(0.2)
    senders = [Sender(processes.events_url, number) for number in range(SENDERS)]
    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    try:
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.05, 1.2))
            await processes.kill(chance.choice(VICTIMS))
            processes.revive()
            if chance.random() < 0.3:
                await processes.until_ready()
        await processes.until_ready()
        await asyncio.sleep(1.0)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    answered = [number for sender in senders for number in sender.answered]
    unsure = [number for sender in senders for number in sender.unsure]
    return answered, unsure, subscriber, following


async def settle(
    processes: Processes, answered: list[int], subscriber: Subscriber
) -> tuple[Counter[int], Counter[int], int]:
    """Wait until all is there or in a gap, and seen.

    Returns how often each number is stored, how often each was seen, and what the gaps count. What
    nobody answered may arrive at any time until then, so both are read until neither changes.
    """
    connection = await asyncpg.connect(processes.dsn)
    stored: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    lost = 0
    try:
        async with asyncio.timeout(DRAINED):
            while True:
                before = stored, seen, lost
                rows = await connection.fetch("SELECT (fields ->> 'n')::int FROM runtime_event")
                stored = Counter(row[0] for row in rows if row[0] >= 0)
                seen = Counter(number for number in subscriber.seen if number >= 0)
                lost = await connection.fetchval(
                    "SELECT coalesce(sum(events), 0)::bigint FROM event_gap WHERE reason = 'OVERFLOW'"
                )
                complete = sum(number not in stored for number in answered) <= lost
                if complete and seen.total() >= stored.total() and before == (stored, seen, lost):
                    break
                processes.revive()
                await asyncio.sleep(QUIET)
    except TimeoutError:
        pass  # what is missing is told by who asked
    finally:
        await connection.close()
    return stored, seen, lost


async def test_what_was_answered_is_there_once(tmp_path: Path) -> None:
    await check_nothing_is_lost(tmp_path, kills=20, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_what_was_answered_is_there_once_after_200_kills(tmp_path: Path) -> None:
    await check_nothing_is_lost(tmp_path, kills=200, seed=2)


async def test_what_a_small_spool_pushed_out_is_in_a_gap(tmp_path: Path) -> None:
    await check_gaps(tmp_path, kills=20, seed=3)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_what_a_small_spool_pushed_out_is_in_a_gap_after_200_kills(tmp_path: Path) -> None:
    await check_gaps(tmp_path, kills=200, seed=4)


async def check_nothing_is_lost(folder: Path, *, kills: int, seed: int) -> None:
    async with FakeKubernetes() as kubernetes:
        processes = Processes(folder, kubernetes.write_kubeconfig(folder / "kubeconfig"))
        try:
            answered, unsure, subscriber, following = await survive(
                processes, kills=kills, seed=seed
            )
            stored, seen, lost = await settle(processes, answered, subscriber)
            assert not following.done(), following.exception()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        finally:
            await asyncio.to_thread(processes.stop)
    assert seen == stored
    assert len(answered) > 20 * kills
    assert lost == 0
    assert [number for number in answered if stored[number] != 1] == []
    assert [number for number in stored if stored[number] > 1] == []
    assert set(stored) <= {*answered, *unsure}


async def check_gaps(folder: Path, *, kills: int, seed: int) -> None:
    async with FakeKubernetes() as kubernetes:
        kubeconfig = kubernetes.write_kubeconfig(folder / "kubeconfig")
        processes = Processes(folder, kubeconfig, FLEETWATCH_SPOOL_BYTES="65536")
        try:
            answered, unsure, subscriber, following = await survive(
                processes, kills=kills, seed=seed
            )
            stored, seen, lost = await settle(processes, answered, subscriber)
            assert not following.done(), following.exception()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        finally:
            await asyncio.to_thread(processes.stop)
    assert seen == stored
    missing = [number for number in answered if number not in stored]
    assert missing, "the spool never overflowed"
    assert [number for number in stored if stored[number] > 1] == []
    assert set(stored) <= {*answered, *unsure}
    # Those that nobody answered may have been kept, and pushed out.
    assert len(missing) <= lost <= len(missing) + len(unsure)
