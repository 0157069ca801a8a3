"""A network that can be bad: a TCP proxy which delays, trickles, tears, cuts and strands.

What it draws depends on its seed, on the number of a connection and on what has passed there, never
on the clock.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self

from msgspec import Struct

READ_BYTES = 65_536  # taken from a socket at once
RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: what waits is thrown away, and the other side told


class Weather(Struct, frozen=True):
    """How bytes travel."""

    delay: float = 0.0  # seconds that a piece waits, at most
    piece: int = READ_BYTES  # bytes that travel together, at most
    lost: float = 0.0  # of new connections lead nowhere


FAIR = Weather()


class Connection:
    """A client's connection and the one behind it."""

    def __init__(self, chance: random.Random, *sides: asyncio.StreamWriter) -> None:
        self.chance = chance
        self.sides = sides
        self.is_stranded = False
        self.is_torn = False  # it breaks within the next piece
        self._released = asyncio.Event()

    def cut(self) -> None:
        """Break it, for both sides, now."""
        for side in self.sides:
            _reset(side)
        self._released.set()

    def strand(self) -> None:
        """Let nothing pass any more; a side may be told that it is over, the other is not."""
        self.is_stranded = True
        for side in self.chance.sample(self.sides, self.chance.randint(0, len(self.sides) - 1)):
            _reset(side)

    async def released(self) -> None:
        """Wait until a stranded connection is cut."""
        await self._released.wait()


class Proxy:
    """What stands between programs. `targets` are the URLs that a new connection may lead to."""

    def __init__(self, targets: Callable[[], Sequence[str]], *, seed: int = 0) -> None:
        self.url = ""
        self.weather = FAIR
        self.accepted = self.cuts = self.strands = 0
        self._targets = targets
        self._seed = seed
        self._connections: set[Connection] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Take connections."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            while self._connections:
                await asyncio.sleep(0.01)

    def cut(self, share: float = 1.0, *, tear: bool = False) -> None:
        """Break a share of the connections: now, or within the next piece that travels."""
        for connection in self._share(share):
            self.cuts += 1
            if tear:
                connection.is_torn = True
            else:
                connection.cut()

    def strand(self, share: float) -> None:
        """Let nothing pass any more on a share of the connections, without a word."""
        for connection in self._share(share):
            self.strands += 1
            connection.strand()

    def release(self) -> None:
        """Cut what is stranded, as whatever stands between does at last."""
        for connection in [one for one in self._connections if one.is_stranded]:
            connection.cut()

    def _share(self, share: float) -> list[Connection]:
        return [one for one in list(self._connections) if one.chance.random() < share]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        chance = random.Random(f"{self._seed}/{self.accepted}")
        host, _, port = chance.choice(self._targets()).removeprefix("http://").partition(":")
        try:
            there, here = await asyncio.open_connection(host, int(port))
        except OSError:
            _reset(writer)
            return
        connection = Connection(chance, writer, here)
        self._connections.add(connection)
        if chance.random() < self.weather.lost:
            self.strands += 1
            connection.is_stranded = True
        try:
            await asyncio.gather(
                self._pass(connection, reader, here), self._pass(connection, there, writer)
            )
        finally:
            self._connections.discard(connection)
            for side in connection.sides:
                side.close()

    async def _pass(
        self,
        connection: Connection,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
    ) -> None:
        """Carry bytes one way until their source ends."""
        with contextlib.suppress(OSError):
            while data := await source.read(READ_BYTES):
                while data and not connection.is_stranded:
                    data = await self._send(connection, data, target)
                if connection.is_stranded:
                    break
        if connection.is_stranded:
            await connection.released()
        target.close()

    async def _send(
        self, connection: Connection, data: bytes, target: asyncio.StreamWriter
    ) -> bytes:
        """Send a piece; returns what is left."""
        chance, weather = connection.chance, self.weather
        piece = READ_BYTES if weather.piece == READ_BYTES else chance.randint(1, weather.piece)
        if weather.delay:
            await asyncio.sleep(weather.delay * chance.random())
        if connection.is_torn:
            target.write(data[: min(piece, len(data)) // 2])
            await asyncio.sleep(0)
            connection.cut()
            return b""
        target.write(data[:piece])
        await target.drain()
        return data[piece:]


def _reset(side: asyncio.StreamWriter) -> None:
    """End a connection as a machine does that knows nothing of it."""
    if side.transport.is_closing():
        return
    side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    side.transport.abort()
