"""Listening for what Postgres tells all replicas: that runtime events were stored."""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from aggregator.store.pool import Pool
from aggregator.store.runtime_events import CHANNEL

logger = logging.getLogger(__name__)

RETRY = 2.0  # seconds until listening is tried again
CHECK = 15.0  # seconds between looks at whether the connection still stands


async def listen(pool: Pool, wake: Callable[[], None]) -> None:
    """Call `wake` whenever events were stored, for ever; who waits looks now and then by itself."""
    while True:
        try:
            await _listen(pool, wake)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.warning("not told of new events, looking every few seconds meanwhile: %s", error)
        await asyncio.sleep(RETRY)


async def _listen(pool: Pool, wake: Callable[[], None]) -> None:
    async with pool.acquire() as connection:

        def heard(*_: object) -> None:
            wake()

        await connection.add_listener(CHANNEL, heard)
        try:
            wake()
            while True:
                await asyncio.sleep(CHECK)
                await connection.execute("SELECT 1", timeout=CHECK)
        finally:
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, heard)
