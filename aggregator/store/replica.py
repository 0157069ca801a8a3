"""A standby of the database that answers queries, as long as it is not too far behind.

Every `BEAT` the primary says how far its WAL is written, and a connection to the standby how far it
has replayed. So what is read there is at least as new as the last beat that it has passed: by one
clock, ours, also while nobody writes or the standby has lost the primary. Connections are asked one
by one, as several standbys may stand behind one address.

What a standby cannot answer, for whatever reason, is for the primary: `fetch` returns None then.
"""

import asyncio
import contextlib
import logging
import math
import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any, Self, cast

import asyncpg
from msgspec import Struct

from aggregator.metrics import REPLICA_LAG, REPLICA_QUERIES
from aggregator.store.pool import (
    AWAY,
    Connection,
    Pool,
    QueryConnection,
    UnavailableError,
    answering,
    open_pool,
)

log = logging.getLogger(__name__)

BEAT = (
    0.25  # seconds between beats, and until a connection is asked anew; the least lag that is told
)
REMEMBERED = 600.0  # seconds that beats are kept: a lag beyond that is told as this
LOOK = 1.0  # seconds between looks at whether the standby answers, and until one that does not is tried
PATIENCE = 2.0  # seconds in which it has to connect, or to say where it is
RETURNS = 0.5  # part of the allowed lag that one that was too far behind has to come down to

# A copy of this database has both in common with it, and nothing else has.
IDENTITY = """((SELECT system_identifier FROM pg_control_system())::text || '/' ||
    (SELECT oid FROM pg_database WHERE datname = current_database()))"""
WRITTEN = f"""SELECT clock_timestamp() AS at, (pg_current_wal_flush_lsn() - '0/0')::bigint AS written,
    {IDENTITY} AS identity"""
KNOWN = f"SELECT {IDENTITY}"
REPLAYED = """SELECT CASE WHEN pg_is_in_recovery()
    THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"""

# What a statement is itself to blame for: the primary would say the same.
OWN: tuple[type[Exception], ...] = (
    asyncpg.QueryCanceledError,
    asyncpg.DataError,
    TimeoutError,
    ValueError,
)


class UnfitError(Exception):
    """What the standby's address leads to is none of this database; the message says what it is."""


class Stand(Struct, frozen=True):
    """How new what was read is: all that was committed before `as_of` is in it."""

    as_of: datetime  # by the primary's clock
    lag: float  # seconds since then, when it was read
    began: float  # the same moment by our clock


Found = tuple[bytes, Stand]  # an answer, and how new it is


class Beat(Struct, frozen=True):
    """What the primary had written at a time."""

    written: int  # bytes of WAL
    began: float  # by our clock, before it was asked
    at: datetime  # by the primary's


class StandbyConnection(QueryConnection):
    """Remembers how far its server had replayed."""

    __slots__ = ("asked_at", "behind", "replayed")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked_at = -math.inf  # by our clock
        self.replayed = 0  # bytes of WAL
        self.behind = False  # too far, the last time that it was looked at

    def note(self, replayed: int, asked_at: float) -> None:
        """Note how far its server is."""
        self.replayed, self.asked_at = replayed, asked_at

    def judge(self, lag: float, most: float) -> bool:
        """Return whether its server is near enough, with a lag in seconds."""
        self.behind = lag > most * (RETURNS if self.behind else 1)
        return not self.behind


class Replica:
    """The standby; `async with` watches it. `most` is the lag in seconds up to which it is asked."""

    def __init__(
        self,
        primary: Pool,
        dsn: str,
        *,
        size: int,
        statement_timeout: float,
        most: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._dsn = dsn
        self._size = size
        self._statement_timeout = statement_timeout
        self._most = most
        self._clock = clock
        self._beats: list[Beat] = []
        self._identity = ""
        self._since = -math.inf  # by our clock: what is read has to be as new
        self._pool: Pool | None = None  # None while it is away
        self.ready = asyncio.Event()  # it has answered once
        self._known = asyncio.Event()  # which database the primary is
        self._doubted = asyncio.Event()
        self._told = ""  # the last failure, so that each is told once
        self._lag = math.inf
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._keep(self._listen_to_primary), name="beats of the primary"),
            asyncio.create_task(self._keep(self._watch_standby), name="replica"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def state(self) -> str:
        """Whether it answers queries, in words that anyone may read."""
        if self._pool is None:
            return "away"
        told = "serves" if self._lag <= self._most else "too far behind"
        return f"{told}, {min(self._lag, REMEMBERED):.1f} s behind"

    def outdate(self) -> None:
        """Let nothing be read from now on that lacks what is committed by now."""
        self._since = self._clock()

    async def fetch(
        self,
        sql: str,
        values: list[Any],
        *,
        timeout: float,  # noqa: ASYNC109 - asyncpg's own
        since: float = -math.inf,  # by our clock: what is read has to be as new
    ) -> Found | None:
        """Run a statement, and say how new its answer is. None: ask the primary.

        Raises what the statement itself is to blame for.
        """
        if self._pool is None:
            return _missed("away")
        asked = False
        try:
            async with self._pool.acquire() as connection:
                stand = await self._stand(connection)
                if stand is None:
                    return _missed("behind")
                if stand.began < max(since, self._since):
                    return _missed("written")
                asked = True
                answer: bytes = await connection.fetchval(sql, *values, timeout=timeout)
        except Exception as error:
            if asked and isinstance(error, OWN):
                raise
            expected = isinstance(error, (asyncpg.PostgresError, UnfitError, *AWAY))
            log.log(
                logging.INFO if expected else logging.ERROR,
                "a query goes to the primary, as the replica failed: %s",
                error,
                exc_info=None if expected else error,
            )
            self._doubted.set()
            return _missed("failed")
        REPLICA_QUERIES.labels("replica").inc()
        return answer, stand

    async def _stand(self, connection: Connection) -> Stand | None:
        """Return how new what a connection shows is; None where it is too old."""
        standby = cast("StandbyConnection", connection)
        await self._ask(standby)
        beat = self._passed(standby.replayed)
        lag = math.inf if beat is None else self._clock() - beat.began
        if not standby.judge(lag, self._most) or beat is None:
            return None
        return Stand(beat.at, lag, beat.began)

    async def _ask(self, connection: StandbyConnection) -> None:
        now = self._clock()
        if now - connection.asked_at < BEAT:
            return
        if connection.asked_at == -math.inf:
            identity = await connection.fetchval(KNOWN, timeout=PATIENCE)
            if identity != self._identity:
                raise UnfitError("it holds another database")
        replayed = await connection.fetchval(REPLAYED, timeout=PATIENCE)
        if replayed is None:
            raise UnfitError("it is no standby")
        connection.note(replayed, now)

    def _passed(self, replayed: int) -> Beat | None:
        """Return the last beat whose WAL is replayed."""
        place = bisect_right(self._beats, replayed, key=lambda beat: beat.written)
        return self._beats[place - 1] if place else None

    async def _keep(self, work: Callable[[], Any]) -> None:
        """Do a work that ends only by a failure, again and again."""
        while True:
            try:
                with answering():
                    await work()
            except (UnavailableError, UnfitError, asyncpg.PostgresError) as error:
                if str(error) != self._told:
                    log.warning("queries go to the primary, not to its replica: %s", error)
                self._told = str(error)
            except Exception:
                log.exception("the replica cannot be watched, trying again")
            await asyncio.sleep(LOOK)

    async def _listen_to_primary(self) -> None:
        async with self._primary.acquire(timeout=PATIENCE) as connection:
            while True:
                await self.beat(connection)
                await asyncio.sleep(BEAT)

    async def beat(self, connection: Connection) -> None:
        """Ask the primary how far it is."""
        began = self._clock()
        row = await connection.fetchrow(WRITTEN, timeout=PATIENCE)
        assert row is not None  # noqa: S101 - it has no FROM
        self._identity = row["identity"]
        beats = self._beats
        if beats and beats[-1].written > row["written"]:
            beats.clear()  # another primary, that does not know all of what the last one wrote
        elif beats and beats[-1].written == row["written"]:
            beats.pop()
        beats.append(Beat(row["written"], began, row["at"]))
        self._known.set()
        if beats[0].began < began - 2 * REMEMBERED:
            del beats[: bisect_right(beats, began - REMEMBERED, key=lambda beat: beat.began)]

    async def _watch_standby(self) -> None:
        await self._known.wait()
        pool = await self._open()
        try:
            # Never given back: it would be waited for where the network swallows everything.
            connection = cast("StandbyConnection", await pool.acquire(timeout=PATIENCE))
            while True:
                self._doubted.clear()
                await self._look(connection)
                if self._pool is None:
                    log.info("queries go to the replica")
                    self._pool, self._told = pool, ""
                    self.ready.set()
                await asyncio.sleep(BEAT)  # however many doubt it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK - BEAT):
                        await self._doubted.wait()
        finally:
            self._pool = None
            REPLICA_LAG.set(math.nan)
            pool.terminate()  # whoever waits for an answer goes to the primary

    async def _look(self, connection: StandbyConnection) -> None:
        """See that the standby answers, and how far it is behind."""
        await self._ask(connection)
        beat = self._passed(connection.replayed)
        oldest = self._beats[0].began if self._beats else -math.inf
        self._lag = min(self._clock() - (beat.began if beat else oldest), REMEMBERED)
        REPLICA_LAG.set(self._lag)

    async def _open(self) -> Pool:
        return await open_pool(
            self._dsn,
            size=self._size + 1,  # one watches
            statement_timeout=self._statement_timeout,
            application="fleetwatch replica",
            stateless=True,
            connect_timeout=PATIENCE,
            connection_class=StandbyConnection,
        )


def _missed(why: str) -> Found | None:
    REPLICA_QUERIES.labels(why).inc()
    return None
