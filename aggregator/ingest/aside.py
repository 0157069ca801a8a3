"""Transactions in a thread of their own, with an event loop and a pool of their own.

Making rows of what agents sent takes up to a second of Python for a transaction. In the loop that
serves everybody all would wait as long; here they wait for the interpreter's lock, a millisecond or so.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from aggregator.store.pool import Pool

SWITCH = 0.001  # seconds until a thread that computes gives way; Python's own is 0.005
Result = TypeVar("Result")


class Aside:
    """The thread. `open` and `close` it in the loop that uses it."""

    def __init__(self, open_pool: Callable[[], Awaitable[Pool]]) -> None:
        self._open_pool = open_pool
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="writers", daemon=True)
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Start the thread, and connect to Postgres."""
        sys.setswitchinterval(SWITCH)
        self._thread.start()
        self._pool = await self._there(self._connect())

    async def close(self) -> None:
        """Close the connections, and end the thread."""
        if self._pool is not None:
            await self._there(self._disconnect(self._pool))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def run(self, work: Callable[[Pool], Coroutine[Any, Any, Result]]) -> Result:
        """Do work with the pool there, and wait for it here; cancelled here is cancelled there."""
        if self._pool is None:
            raise RuntimeError("it is not open")
        return await self._there(work(self._pool))

    async def _there(self, work: Coroutine[Any, Any, Result]) -> Result:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _connect(self) -> Pool:
        return await self._open_pool()

    @staticmethod
    async def _disconnect(pool: Pool) -> None:
        await pool.close()
