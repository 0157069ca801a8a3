"""Clients that ask over HTTP: keep-alive connections, as light as asyncio lets them be.

They share two cores with the server and the database, so what they cost is taken from both.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CLIENTS = 8
END = b"\r\n\r\n"
LENGTH = b"content-length: "
OK = b"HTTP/1.1 200"
PATIENCE = 60.0  # seconds for one answer, beyond every statement timeout


class RefusedError(RuntimeError):
    """A server answered something else than 200."""


@dataclass(frozen=True)
class Request:
    """What is posted to where."""

    path: str
    body: bytes

    def __bytes__(self) -> bytes:
        """Return it as HTTP."""
        head = (
            f"POST /{self.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"accept: application/json\r\ncontent-length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass
class Measured:
    """Requests a second and the milliseconds of each."""

    rate: float = 0.0
    times: list[float] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """Return a percentile."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * part))]


class _Connection(asyncio.Protocol):
    """One connection: asks the next as soon as the last is answered."""

    def __init__(
        self, requests: Iterator[bytes], until: float, done: asyncio.Future[bytes]
    ) -> None:
        self._requests = requests
        self._until = until
        self._done = done
        self._buffer = bytearray()
        self._missing = 0
        self._asked = 0.0
        self.times: list[float] = []
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._buffer.clear()
        self._missing = 0
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._missing:
            end = self._buffer.find(END)
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            length = head.partition(LENGTH)[2].split(b"\r\n")[0]
            self._missing = end + len(END) + int(length)
        if len(self._buffer) >= self._missing:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self.times.append((now - self._asked) * 1000)
        if not self._buffer.startswith(OK):
            self._finish(RefusedError(bytes(self._buffer[:800])))
        elif now >= self._until:
            self._finish(None)
        else:
            self._ask()

    def _finish(self, error: Exception | None) -> None:
        self._transport.close()
        if self._done.done():
            return
        if error:
            self._done.set_exception(error)
        else:
            self._done.set_result(bytes(self._buffer[self._buffer.find(END) + len(END) :]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ConnectionError("The server hung up."))


async def _run(port: int, requests: Iterator[bytes], until: float) -> tuple[bytes, list[float]]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    connection = _Connection(requests, until, done)
    await loop.create_connection(lambda: connection, "127.0.0.1", port)
    return await asyncio.wait_for(done, max(until - time.perf_counter(), 0) + PATIENCE), (
        connection.times
    )


async def ask(port: int, request: Request) -> bytes:
    """Return the answer to one request."""
    body, _ = await _run(port, iter([bytes(request)]), 0.0)
    return body


async def measure(port: int, requests: Sequence[Request], seconds: float) -> Measured:
    """Ask on all connections for a while, each beginning with another of the requests."""
    sent = [bytes(request) for request in requests]
    begin = time.perf_counter()
    answers = await asyncio.gather(
        *(
            _run(port, itertools.cycle(sent[start:] + sent[:start]), begin + seconds)
            for start in (number * len(sent) // CLIENTS for number in range(CLIENTS))
        )
    )
    took = time.perf_counter() - begin
    times = [one for _, taken in answers for one in taken]
    return Measured(len(times) / took, times)
