"""What is done by the clock, on one replica at a time.

The end of grace, reading contents again, contents that nothing shows, what is left of removed
clusters, the days of runtime events, counts of the whole fleet.
"""

import asyncio
import logging
import time
from contextlib import aclosing
from datetime import timedelta

from aggregator.ingest.reading import RefusedContentError, rows, unpack
from aggregator.store import (
    event_retention,
    finding_stats,
    grace,
    removal,
    rereading,
    unused_contents,
)
from aggregator.store.pool import Pool, UnavailableError, answering
from protocol.messages import Content
from sources.registry import contents as content_kinds

logger = logging.getLogger(__name__)

LOCK = 0x666C_6565_7401  # the advisory lock of maintenance
INTERVAL = 30.0  # seconds between rounds
GRACE = timedelta(minutes=30)  # that an absent report stays
REREADS = 200  # contents that are read again in one round
RETENTION = timedelta(days=30)  # of runtime events
CONTENTS_RETENTION = timedelta(days=1)  # of contents that nothing shows
MARK_EVERY = 600.0  # seconds between looks for contents that nothing shows
DELETIONS = 200  # of contents, in one round
PURGE = 20.0  # seconds of one round that the rows of removed clusters may take
PAUSE = 0.01  # seconds between two of such, for others' sake


class Maintenance:
    """The task; `run` ends only by being cancelled."""

    def __init__(
        self,
        pool: Pool,
        *,
        grace: timedelta = GRACE,
        retention: timedelta = RETENTION,
        contents_retention: timedelta = CONTENTS_RETENTION,
    ) -> None:
        self._pool = pool
        self._grace = grace
        self._retention = retention
        self._contents_retention = contents_retention
        self._marked_at: float | None = None  # when unused contents were last looked for
        self._purging = False  # whether there is more to delete of removed clusters

    async def run(self) -> None:
        """Do a round, wait, and again."""
        while True:
            try:
                with answering():
                    await self.round()
            except UnavailableError as error:
                logger.warning("maintenance waits: %s", error)
            except Exception:
                logger.exception("a round of maintenance failed; the next one tries again")
            await asyncio.sleep(PAUSE if self._purging else INTERVAL)

    async def round(self) -> bool:
        """Do what is due, unless another replica is at it. Returns whether it was done here."""
        async with self._pool.acquire() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                return False
            try:
                await event_retention.make_partitions(self._pool)
                await event_retention.drop_old(self._pool, self._retention)
                for cluster_id in await grace.due(self._pool, self._grace):
                    await grace.expire(self._pool, cluster_id, self._grace)
                await self._read_again()
                await self._drop_contents()
                await self._purge()
                if await finding_stats.due(self._pool):
                    await finding_stats.take(self._pool)
            finally:
                await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
        return True

    async def _read_again(self) -> None:
        readers = {kind.name: kind.reader for kind in content_kinds().values()}
        for content_id in await rereading.outdated(self._pool, readers, REREADS):
            try:
                await read_again(self._pool, content_id)
            except Exception:
                logger.exception("content %s could not be read again", content_id)
            await asyncio.sleep(PAUSE)

    async def _drop_contents(self) -> None:
        if self._marked_at is None or time.monotonic() - self._marked_at >= MARK_EVERY:
            self._marked_at = time.monotonic()
            await unused_contents.mark(self._pool)
        for _ in range(DELETIONS):
            if await unused_contents.drop(self._pool, self._contents_retention) is None:
                return
            await asyncio.sleep(PAUSE)

    async def _purge(self) -> None:
        until = time.monotonic() + PURGE
        self._purging = False
        async with aclosing(removal.purge(self._pool)) as batches:
            async for _ in batches:
                if time.monotonic() >= until:
                    self._purging = True
                    return
                await asyncio.sleep(PAUSE)


async def read_again(pool: Pool, content_id: int) -> None:
    """Read one stored content with the current reader, in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        stored = await rereading.lock(connection, content_id)
        if stored is None or stored["kind"] not in content_kinds():
            return
        content = Content(
            stored["digest"], stored["kind"], stored["format"], stored["bytes"], stored["body"]
        )
        try:
            new = await asyncio.to_thread(lambda: rows(content, unpack(content)))
        except RefusedContentError as error:
            # It was readable once: what it said then is better than nothing.
            logger.error("content %s cannot be read again: %s", content_id, error)  # noqa: TRY400
            await rereading.keep(connection, content_id, content_kinds()[stored["kind"]].reader)
            return
        await rereading.replace(connection, content_id, new)
