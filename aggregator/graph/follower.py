"""One subscriber's way through the events: a round whenever something came, and now and then.

A round waits until what the one before found is written to the socket, so a slow reader holds back
its own rounds and no memory. While Postgres is away the subscriber waits where it was.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import msgspec

from aggregator.access.principal import Principal
from aggregator.graph.errors import UNAVAILABLE, GraphError
from aggregator.graph.limits import FOLLOW_EVERY, FOLLOW_SOON, ROUND_EVENTS, ROUNDS_AT_ONCE
from aggregator.graph.subscription import BEGIN, Beginning, Position, Round

log = logging.getLogger(__name__)

OUT_OF_REACH = 60.0  # seconds that the database may be away until the subscription ends
RETRY = 1.0  # seconds between tries meanwhile

_beginning = msgspec.json.Decoder(Beginning).decode
_round = msgspec.json.Decoder(Round).decode


class Asking(Protocol):
    """How statements are run: a plan's SQL and its values in, bytes out; GraphError otherwise."""

    async def __call__(self, sql: str, values: list[Any], /) -> bytes:
        """Run a statement."""


class Wakes:
    """Tells every follower of this process that something was stored; NOTIFY calls it."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self.rounds = asyncio.Semaphore(ROUNDS_AT_ONCE)

    def wake(self) -> None:
        """Wake all."""
        for event in self._waiting:
            event.set()

    def add(self) -> asyncio.Event:
        """Return an event that is set when something was stored."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def remove(self, event: asyncio.Event) -> None:
        """Forget an event."""
        self._waiting.discard(event)


async def begin(ask: Asking) -> Beginning:
    """Ask where the database stands."""
    return _beginning(await ask(BEGIN, []))


async def follow(
    wakes: Wakes,
    position: Position,
    look: Callable[[Position, Principal], Awaitable[bytes]],
    principal: Callable[[], Awaitable[Principal]],
) -> AsyncIterator[bytes]:
    """Yield each event's answer, for ever. `look` runs a round; `principal` says who asks now."""
    woken = wakes.add()
    try:
        away = 0.0
        while True:
            woken.clear()
            asker = await principal()  # a scope may change, a token may end
            try:
                async with wakes.rounds:
                    found = _round(await look(position, asker))
            except GraphError as error:
                if error.code != UNAVAILABLE or away >= OUT_OF_REACH:
                    raise
                away += RETRY
                await asyncio.sleep(RETRY)
                continue
            away = 0.0
            for event in found.events:
                yield bytes(event)
            position = found.advance(position)
            if found.seen < ROUND_EVENTS:
                await _wait(woken, FOLLOW_SOON if found.behind else FOLLOW_EVERY)
    finally:
        wakes.remove(woken)


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        pass
