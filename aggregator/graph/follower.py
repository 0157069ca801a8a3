"""Subscribers' ways through the events: a round whenever something came, and now and then.

    Wakes     one a process: NOTIFY calls `wake`, followers wait
    Follower  one a subscription: `next` returns what came behind its position

A round begins when what the one before found is written to the socket, so a slow reader holds back
its own rounds and memory stays flat. While Postgres is away a follower waits where it was.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from aggregator.graph.errors import TIMEOUT, UNAVAILABLE, GraphError
from aggregator.graph.limits import (
    FOLLOW_EVERY,
    HELD_EVERY,
    OUT_OF_REACH,
    ROUND_EVENTS,
    ROUND_GAP,
    ROUNDS_AT_ONCE,
)
from aggregator.graph.position import BEGIN, XMIN, Beginning, Cursor, Position, Round

RETRY = 1.0  # seconds between tries while Postgres is away
SLOWEST = 10  # times HELD_EVERY, which a transaction that lasts is looked at

_beginning = msgspec.json.Decoder(Beginning).decode
_round = msgspec.json.Decoder(Round).decode

Look = Callable[[Position, int], Awaitable[bytes]]


class Asking(Protocol):
    """How statements are run: SQL and values in, bytes out; GraphError otherwise."""

    async def __call__(self, sql: str, values: list[Any], /) -> bytes:
        """Run a statement."""


class Wakes:
    """Tells every follower of this process that something was stored."""

    def __init__(self, ask: Asking) -> None:
        self.rounds = asyncio.Semaphore(ROUNDS_AT_ONCE)
        self.news = asyncio.Event()  # taken before a round, so that nothing is overheard
        self._ask = ask
        self._polled = False

    def wake(self) -> None:
        """Wake all who wait."""
        self.news.set()
        self.news = asyncio.Event()

    async def wait(self, news: asyncio.Event, *, held: str | None) -> None:
        """Wait for news, for `FOLLOW_EVERY` at most.

        `held` is the oldest transaction under way where it holds back events: its end is not told
        of, so one of the followers asks for it on behalf of all.
        """
        if held is None or self._polled:
            await _soon(news, FOLLOW_EVERY)
            return
        self._polled = True
        try:
            moved = await self._poll(news, held)
        except BaseException:
            self.wake()  # another has to ask
            raise
        finally:
            self._polled = False
        if moved:
            self.wake()

    async def _poll(self, news: asyncio.Event, held: str) -> bool:
        """Ask now and then; return whether the transaction has ended."""
        clock = asyncio.get_running_loop().time
        until, delay = clock() + FOLLOW_EVERY, HELD_EVERY
        while clock() < until and not await _soon(news, delay):
            if await self._ask(XMIN, []) != held.encode():
                return True
            delay = min(1.5 * delay, SLOWEST * HELD_EVERY)
        return False


async def _soon(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event happens within a time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class Follower:
    """One subscription. `look` runs a round from a position with a limit of events to look at."""

    def __init__(self, wakes: Wakes, look: Look, position: Position) -> None:
        self._wakes = wakes
        self._look = look
        self._position = position
        self._looks = ROUND_EVENTS
        self._caught_up = False
        self._held: str | None = None
        self._news = wakes.news
        self._rest = 0.0  # the time of the loop until which nobody looks again

    async def next(self) -> list[msgspec.Raw]:
        """Return the answers for the next events, at least one. Raises `GraphError` at the end."""
        while True:
            if self._caught_up:
                await self._wait()
            found = await self._round()
            looks = self._looks
            self._position = found.advance(self._position, looks)
            self._looks = found.next_looks(looks)
            self._caught_up = found.complete(looks)
            self._held = found.xmin if found.held else None
            if found.events:
                return found.events

    async def _wait(self) -> None:
        try:
            await self._wakes.wait(self._news, held=self._held)
        except GraphError as error:
            if error.code not in {UNAVAILABLE, TIMEOUT}:
                raise
        await asyncio.sleep(self._rest - asyncio.get_running_loop().time())

    async def _round(self) -> Round:
        """Run one round; while Postgres is away, try until it is back."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        while True:
            try:
                async with self._wakes.rounds:
                    self._news, self._rest = self._wakes.news, clock() + ROUND_GAP
                    found = _round(await self._look(self._position, self._looks))
            except GraphError as error:
                if error.code not in {UNAVAILABLE, TIMEOUT} or clock() > begun + OUT_OF_REACH:
                    raise
                self._looks = max(ROUND_EVENTS, self._looks // 2)
                await asyncio.sleep(RETRY)
                continue
            found.check(self._position)
            return found


async def begin(ask: Asking, after: Cursor | None) -> Position:
    """Return where a subscription begins. Raises `GraphError`, CURSOR_EXPIRED for one."""
    values = [None] * 4 if after is None else after.values
    return _beginning(await ask(BEGIN, values)).start(after)
