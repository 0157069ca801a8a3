"""HTTP as senders of events speak it, and as nobody should."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent import connection, receiver
from agent.intake import Intake
from agent.inventory import Inventory
from agent.receiver import Receiver
from agent.receiver_settings import ReceiverSettings
from agent.redaction import Redactor
from agent.spool import Spool, SpoolError

SECRET = "a-secret-of-the-tests"
PATH = f"/falco/{SECRET}"
EVENT = json.dumps({"rule": "x", "output": "o", "time": "2026-01-01T00:00:00Z"}).encode()
BODY_BYTES = 10_000


class Served:
    """A receiver with its intake."""

    def __init__(self, receiver: Receiver, intake: Intake) -> None:
        self.receiver, self.intake = receiver, intake

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.receiver.port)

    async def ask(self, *parts: bytes) -> bytes:
        """Send parts, and return all that is answered until the end of the connection."""
        reader, writer = await self.connect()
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(receiver, "SWEEP", 0.02)
    monkeypatch.setattr(connection, "LINGER", 0.1)
    intake = Intake(lambda: Spool(tmp_path / "spool", limit=2**30), Inventory())
    settings = ReceiverSettings(address=("127.0.0.1", 0), secret=SECRET, body_bytes=BODY_BYTES)
    one = Receiver(settings.check(), intake, Redactor())
    tasks = [asyncio.create_task(intake.run()), asyncio.create_task(one.run())]
    async with asyncio.timeout(10):
        await one.started.wait()
    yield Served(one, intake)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await intake.close()


def post(
    body: bytes = EVENT, *headers: str, path: str = PATH, method: str = "POST", last: bool = True
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if not any(header.startswith("Transfer-Encoding") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    if last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + body


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


async def test_an_event_is_on_disk_when_it_is_answered(served: Served) -> None:
    answer = await served.ask(post())

    assert statuses(answer) == [200]
    assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nDate: " in answer
    assert served.intake.waiting == 1


async def test_a_connection_is_kept_and_answers_come_in_order(served: Served) -> None:
    large = json.dumps([json.loads(EVENT)] * 50).encode()
    requests = [
        post(large, last=False),
        post(b"nonsense", last=False),
        post(b"", path="/healthz", method="GET", last=False),
        post(path="/elsewhere", last=False),
        post(method="PUT", last=False),
        post(),
    ]

    answer = await served.ask(b"".join(requests))

    assert statuses(answer) == [200, 400, 200, 404, 405, 200]
    assert served.intake.waiting == 51


async def test_a_request_may_come_byte_by_byte(served: Served) -> None:
    request = post(EVENT, "X-Header: y")

    answer = await served.ask(*(request[n : n + 40] for n in range(0, len(request), 40)))

    assert statuses(answer) == [200]


async def test_bodies_come_in_chunks_too(served: Served) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (EVENT[:9], EVENT[9:]))

    answer = await served.ask(post(chunks + b"0\r\n\r\n", "Transfer-Encoding: chunked"))

    assert statuses(answer) == [200]
    assert served.intake.waiting == 1


async def test_who_asks_first_may_go_on(served: Served) -> None:
    head, body = post(EVENT, "Expect: 100-continue").split(b"\r\n\r\n")

    assert statuses(await served.ask(head + b"\r\n\r\n", body)) == [100, 200]
    refused = post(b"", "Expect: 100-continue", path="/x").replace(b"h: 0", b"h: 9")
    assert statuses(await served.ask(refused, b"")) == [404]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
async def test_packed_bodies_are_unpacked(served: Served, encoding: str) -> None:
    import zlib

    packed = zlib.compress(EVENT) if encoding == "deflate" else gzip.compress(EVENT)

    assert statuses(await served.ask(post(packed, f"Content-Encoding: {encoding}"))) == [200]
    assert served.intake.waiting == 1


# Their times are left out: each of the processes that run tests must see the same ids.
@pytest.mark.parametrize(
    ("body", "encoding", "status", "says"),
    [
        (gzip.compress(EVENT, mtime=0)[:-9], "gzip", 400, b"its end is missing"),
        (b"no gzip", "gzip", 400, b"cannot be unpacked"),
        (b"x", "br", 415, b"gzip"),
        (gzip.compress(b" " * (BODY_BYTES + 1), mtime=0), "gzip", 413, b"10,000 bytes"),
    ],
)
async def test_what_cannot_be_unpacked_is_refused(
    served: Served, body: bytes, encoding: str, status: int, says: bytes
) -> None:
    answer = await served.ask(post(body, f"Content-Encoding: {encoding}"))

    assert statuses(answer) == [status]
    assert says in answer


async def test_a_body_too_large_is_refused_before_it_came(served: Served) -> None:
    announced = post(b"x").replace(b"Content-Length: 1", b"Content-Length: 10001")
    assert statuses(await served.ask(announced)) == [413]

    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    answer = await served.ask(post(chunk * 2, "Transfer-Encoding: chunked"))
    assert statuses(answer) == [413]
    async with asyncio.timeout(10):
        while sum(gap.events or 0 for gap in await served.intake.gaps(10)) != 2:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post(b"0\r\nX: " + b"y" * 99_000, "Transfer-Encoding: chunked", path="/x"), 431),
        (post(b"1;" + b"y" * 99_000, "Transfer-Encoding: chunked"), 431),
        (b"HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000, 431),
        (b"GET /" + b"y" * 20_000, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 404),
    ],
)
async def test_what_is_no_request_ends_the_connection(
    served: Served, sent: bytes, status: int
) -> None:
    assert statuses(await served.ask(sent[:50_000], sent[50_000:]))[:1] == [status]


async def test_slow_requests_and_idle_connections_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT", 0.1)
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.1)

    assert statuses(await served.ask(post()[:-5])) == [408]
    assert await served.ask(b"") == b""
    assert statuses(await served.ask(post(last=False))) == [200]


async def test_who_waits_for_the_disk_is_not_timed_out(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.0)
    kept: list[Any] = []
    monkeypatch.setattr(served.intake, "take", lambda _entries, done: kept.append(done))
    asking = asyncio.create_task(served.ask(post(last=False)))
    await asyncio.sleep(0.2)
    assert not asking.done()
    kept[0](SpoolError("no space left"))

    answer = await asking

    assert statuses(answer) == [503]
    assert b"not kept: no space left" in answer


async def test_there_are_so_many_connections_and_no_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "CONNECTIONS", 1)
    reader, writer = await served.connect()
    writer.write(post(last=False))
    await reader.readuntil(b"\r\n\r\n")

    second, other = await served.connect()
    async with asyncio.timeout(10):
        assert statuses(await second.read()) == [503]  # and the end

    writer.write(post())
    assert statuses(await reader.read()) == [200]
    writer.close()
    other.close()


async def test_bodies_on_their_way_take_so_much_memory_and_no_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "ARRIVING_BYTES", 1_000)
    _, writer = await served.connect()
    writer.write(post(b"x" * 900)[:-10])
    await asyncio.sleep(0.1)

    assert statuses(await served.ask(post(b"y" * 900))) == [503]

    writer.close()
    async with asyncio.timeout(10):
        while statuses(await served.ask(post())) != [200]:
            await asyncio.sleep(0.05)


async def test_what_has_come_whole_is_answered_at_the_end(tmp_path: Path) -> None:
    intake = Intake(lambda: Spool(tmp_path / "spool", limit=2**30), Inventory())
    settings = ReceiverSettings(address=("127.0.0.1", 0), secret=SECRET)
    one = Receiver(settings.check(), intake, Redactor())
    running = asyncio.create_task(one.run())  # and nobody commits
    await one.started.wait()
    asking = asyncio.create_task(Served(one, intake).ask(post(last=False)))
    while not intake._pending:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await intake.close()

    assert statuses(await asking) == [200]


async def test_a_fault_of_our_own_is_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_body: bytes, _peer: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(served.receiver, "read", fail)

    assert statuses(await served.ask(post())) == [500]
    assert "a request failed" in caplog.text


async def test_who_does_not_read_is_not_read_and_goes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.5)
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT", 0.5)
    _, writer = await served.connect()
    request = post(path="/healthz", method="GET", last=False)
    sent = 0
    with pytest.raises(ConnectionError):  # noqa: PT012 - it is not known when
        async with asyncio.timeout(20):
            while True:
                writer.write(request * 1_000)
                sent += 1_000 * len(request)
                await writer.drain()
                [one] = served.receiver._connections
                assert one._transport.get_write_buffer_size() < 2**20
    writer.close()
    assert sent < 2**25


async def test_large_bodies_are_unpacked_a_few_at_a_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, most = 0, 0
    really = Receiver._unpack

    def unpack(self: Receiver, head: connection.Head, body: bytes) -> receiver.Body | None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.01)
        try:
            return really(self, head, body)
        finally:
            under_way -= 1

    monkeypatch.setattr(Receiver, "_unpack", unpack)
    packed = post(gzip.compress(EVENT), "Content-Encoding: gzip")

    answers = await asyncio.gather(*(served.ask(packed) for _ in range(20)))

    assert [statuses(answer) for answer in answers] == [[200]] * 20
    assert most <= receiver.THREADS
    assert served.receiver._arriving == 0
