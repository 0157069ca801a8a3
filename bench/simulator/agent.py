"""One agent: the product's own uplink, state and session, over a made-up cluster.

Nothing but the feeder differs from `fleetwatch-agent run`: events of the cluster's steps instead of
watches, and entries that are asked for again are made instead of read from an API server.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import Struct

from agent.entries import now
from agent.settings import Settings
from agent.uplink import Uplink
from bench.simulator.clusters import Cluster
from bench.simulator.ledger import Event
from protocol import messages as m
from sources import registry

KUBERNETES = "v1.33.2"
CONTENTS = m.encode(m.Contents(seq=0, contents=()))[:12]  # what frames with contents begin with


class Traffic(Struct):
    """What has crossed an agent's sockets: payloads of WebSocket messages, in bytes and frames."""

    bytes_up: int = 0
    bytes_down: int = 0
    frames_up: int = 0
    frames_down: int = 0
    connections: int = 0
    contents: int = 0  # that were sent

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.bytes_up + other.bytes_up,
            self.bytes_down + other.bytes_down,
            self.frames_up + other.frames_up,
            self.frames_down + other.frames_down,
            self.connections + other.connections,
            self.contents + other.contents,
        )


class Socket(aiohttp.ClientWebSocketResponse):
    """A WebSocket that counts, and that can break as a network does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.is_cut = False
        self._agent = _connecting.get()
        self._agent.socket = self
        self._agent.traffic.connections += 1

    async def send_bytes(self, data: Any, compress: int | None = None) -> None:
        """Send a message, and count it."""
        self._agent.traffic.frames_up += 1
        self._agent.traffic.bytes_up += len(data)
        if data.startswith(CONTENTS):
            self._agent.traffic.contents += len(_contents(data))
        await super().send_bytes(data, compress)

    async def receive(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - aiohttp's
        """Receive a message, and count it."""
        message = await super().receive(timeout)
        if message.type is aiohttp.WSMsgType.BINARY:
            self._agent.traffic.frames_down += 1
            self._agent.traffic.bytes_down += len(message.data)
        return message

    def cut(self) -> None:
        """Break the connection without a word."""
        transport = self._conn.transport if self._conn is not None else None
        if transport is not None:
            transport.abort()
        self.is_cut = True


class Agent:
    """A cluster's agent. `rejected` says what the aggregator did not take."""

    def __init__(self, cluster: Cluster, url: str, token: str) -> None:
        self.cluster = cluster
        self.traffic = Traffic()
        self.socket: Socket | None = None
        self.ahead = 0  # ms that the cluster's clock is ahead of this machine's
        self._feeding = 0
        self._uplink = Uplink(
            cluster.ledger.state,
            Settings(url=url, token=token, home=Path()),
            self._hello,
            self._resend,
            clock=self._now,
        )

    @property
    def connected(self) -> bool:
        """Whether there is a session."""
        return self._uplink.connected

    @property
    def consistent(self) -> bool:
        """Whether the aggregator holds all that the cluster holds."""
        is_cut = self.socket is None or self.socket.is_cut  # which the uplink has yet to see
        return not is_cut and not self._feeding and self._uplink.idle

    @property
    def entries_sent(self) -> int:
        """How many entries it has put in, those that were asked for again among them."""
        return self._uplink.sent

    @property
    def rejected(self) -> dict[tuple[str, m.Key], str]:
        """Entries that became failed reports, and why."""
        return self._uplink.rejected

    @property
    def failure(self) -> str:
        """Why there is no connection."""
        return self._uplink.failure

    async def run(self, client: aiohttp.ClientSession) -> None:
        """Keep a connection, for ever; `client` must make sockets of this module's class."""
        _connecting.set(self)
        await self._uplink.keep(client)

    async def feed(self, events: Iterable[Event]) -> None:
        """Send what a step has changed; waits while the outbox is full."""
        self._feeding += 1
        try:
            for kind, key, stands in events:
                if not stands:
                    await self._uplink.deleted(kind, (key,), self._now())
                    continue
                change = self.cluster.ledger.change(kind, key, at=self._now())
                if change is not None:
                    await self._uplink.changed(change)
        finally:
            self._feeding -= 1

    def cut(self) -> None:
        """Break the connection; the uplink comes back by itself."""
        if self.socket is not None:
            self.socket.cut()

    async def _resend(self, kind: str, keys: Iterable[m.Key]) -> None:
        await self.feed((kind, key, True) for key in keys)

    def _now(self) -> int:
        return now() + self.ahead

    def _hello(self) -> m.Hello:
        return m.Hello(
            versions=(m.VERSION,),
            formats={content.name: content.format for content in registry.contents().values()},
            agent_version=version("fleetwatch"),
            instance=f"simulated-{self.cluster.uid}",
            mode=m.Mode.AGENT,
            clock=self._now(),
            cluster_uid=self.cluster.uid,
            kubernetes_version=KUBERNETES,
        )


def _contents(frame: bytes) -> tuple[m.Content, ...]:
    decoded = m.decode_from_agent(frame)
    assert isinstance(decoded, m.Contents)
    return decoded.contents


_connecting: ContextVar[Agent] = ContextVar("connecting")  # whose socket is being opened
