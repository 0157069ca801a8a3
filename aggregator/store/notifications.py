"""Listening for what Postgres tells all replicas: that runtime events were stored.

One connection a process, whoever is woken by it. It has to be a direct one, or one of a pooler in
session mode; while there is none, who follows events looks every few seconds by itself.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from aggregator.store.pool import Connection, Pool, UnavailableError, answering
from aggregator.store.runtime_events import CHANNEL

log = logging.getLogger(__name__)

ACQUIRE_TIMEOUT = 5.0  # seconds
RETRY = 2.0  # seconds until listening is tried again
CHECK_EVERY = 15.0  # seconds between looks at whether the connection still answers
CHECK_TIMEOUT = 5.0  # seconds


async def listen(pool: Pool, wake: Callable[[], None]) -> None:
    """Call `wake` whenever events were stored, for ever, and when it may have missed some."""
    while True:
        try:
            with answering():
                await _listen(pool, wake)
        except UnavailableError as error:
            log.warning("not told of new events, looking every few seconds meanwhile: %s", error)
        await asyncio.sleep(RETRY)


async def _listen(pool: Pool, wake: Callable[[], None]) -> None:
    lost = asyncio.Event()

    def on_news(*_: object) -> None:
        wake()

    def on_loss(*_: object) -> None:
        lost.set()

    async with pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        connection.add_termination_listener(on_loss)
        await connection.add_listener(CHANNEL, on_news)
        try:
            wake()
            await _until_lost(connection, lost)
        finally:
            if not connection.is_closed():
                connection.remove_termination_listener(on_loss)
                await connection.remove_listener(CHANNEL, on_news)


async def _until_lost(connection: Connection, lost: asyncio.Event) -> None:
    while not lost.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_EVERY):  # wait_for of 3.11 may lose a cancellation
                await lost.wait()
        await connection.execute("SELECT 1", timeout=CHECK_TIMEOUT)
