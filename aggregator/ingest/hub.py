"""Group commit: what all sessions have pending goes into one transaction after another.

While a transaction runs, frames gather; the next takes them all, a share a session, so one noisy
cluster does not keep the others waiting. Nothing is acknowledged before its commit. Where Postgres
refuses a value, the culprit is found by halving and becomes a failed report; its neighbours go
through. Where Postgres is away, everything waits, and agents' credits hold back what follows.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from aggregator.ingest.aside import Aside
from aggregator.ingest.claims import CLAIM, Claims
from aggregator.ingest.clock import AgentClock
from aggregator.ingest.effects import Close, Effect, Send
from aggregator.ingest.halves import halves, without
from aggregator.ingest.pending_events import Rate
from aggregator.ingest.reader import Reader, weight
from aggregator.ingest.session import Session
from aggregator.metrics import (
    INGEST_COMMITS,
    INGEST_CONTENTS,
    INGEST_ENTRIES,
    INGEST_HELD,
    INGEST_SESSIONS,
)
from aggregator.store import sessions as session_store
from aggregator.store.ingest import ConflictError, DataFaultError, Write, Written, write
from aggregator.store.pool import Pool, UnavailableError, answering
from aggregator.store.runtime_events import EVENTS_A_DAY
from protocol import messages as m

logger = logging.getLogger(__name__)

WRITERS = 2  # transactions at once, of different sessions: one is made while Postgres has the other
COMMIT_ITEMS = 5_000  # entries of one transaction
SESSION_ITEMS = 1_000  # entries of one session in one transaction
COMMIT_FINDINGS = 20_000  # findings and packages of one transaction's contents
SESSION_FINDINGS = 10_000  # of one session's contents in one transaction
COMMIT_EVENTS = 10_000  # runtime events of one transaction
SESSION_EVENTS = 2_000  # of one session in one transaction
EVENTS_A_SECOND = 5_000.0  # that one cluster may bring; above it, its spool fills
HELD_BYTES = 16 * 2**20  # of frames of all sessions; beyond it, none is read until some are written
RATE_POLL = 0.05  # seconds until clusters over their rate are looked at again
CONFLICT_RETRIES = 5  # times that a transaction is tried again after a deadlock
RETRY_DELAY = (0.1, 5.0)  # seconds, shortest and longest, while Postgres is away
HEARTBEAT = 15.0  # seconds between signs of life, and between writes of last-seen
SILENCE = 3 * HEARTBEAT  # seconds after which a session counts as gone
DRAIN = (1.0, 10.0)  # seconds, least and most, after which drained agents come back


def shutdown() -> m.Goodbye:
    """Return what sends an agent to another replica."""
    return m.Goodbye(
        reason=m.Reason.SHUTDOWN,
        message="this aggregator shuts down",
        retry_after=random.uniform(*DRAIN),  # noqa: S311 - spreads load
    )


class Connected:
    """A session with its way out. `send` must not wait; it is called in the loop's thread."""

    def __init__(
        self,
        session: Session,
        send: Callable[[m.FromAggregator], None],
        *,
        rate: float | None = EVENTS_A_SECOND,
    ) -> None:
        """`rate` is in events a second; None is without end."""
        self.session = session
        self.rate = Rate(rate)
        self.send = send
        self.closed = asyncio.Event()
        self.heard_at = time.monotonic()
        self.alive = False
        self.busy = False  # a frame is being worked on, and none is read meanwhile
        self.clock = AgentClock()
        self.news: dict[str, m.KindNews] = {}
        self.waiting = 0  # events in the agent's spool, by its last word
        self.oldest: int | None = None  # when the first of those was received, ms by its clock
        self.writing: Write | None = None
        self._settled = asyncio.Event()

    def perform(self, effects: list[Effect]) -> None:
        """Carry out effects that need no answer."""
        for effect in effects:
            if isinstance(effect, Send):
                self.send(effect.frame)
            elif isinstance(effect, Close):
                self.close(effect.goodbye)

    def close(self, goodbye: m.Goodbye | None = None) -> None:
        """End the session; what is pending of it is dropped, as it was never acknowledged."""
        if goodbye is not None and not self.closed.is_set():
            self.send(goodbye)
        self.closed.set()
        self._settled.set()

    @property
    def due(self) -> bool:
        """Whether there is anything to write now."""
        if self.closed.is_set() or self.writing is not None:
            return False
        events = self.session.events
        return bool(self.session.ready or events.gaps or (events and self.rate.allowance > 0))

    def note_written(self) -> None:
        """Wake who waits for everything to be written."""
        self.writing = None
        if not self.session.pending:
            self._settled.set()

    async def settle(self) -> None:
        """Wait until everything pending is committed, or the session ended."""
        while (self.session.pending or self.writing) and not self.closed.is_set():
            self._settled.clear()
            await self._settled.wait()


class Hub:
    """All sessions of this process, and the task that writes for them."""

    def __init__(
        self,
        pool: Pool,
        *,
        events_a_second: float | None = EVENTS_A_SECOND,
        events_a_day: int = EVENTS_A_DAY,
        aside: Aside | None = None,
    ) -> None:
        """Bound what one cluster may bring of runtime events; transactions go `aside`, if anywhere.

        Above its rate it waits; what is above a day's sum is lost, which a gap records.
        """
        self._pool = pool
        self._aside = aside
        self.events_a_second = events_a_second
        self._events_a_day = events_a_day
        self.claims = Claims()
        self._connected: dict[int, Connected] = {}
        self._reader = Reader(lambda: [c.session for c in self._connected.values()], self.notify)
        self._room = asyncio.Event()  # set whenever something was written
        self._work = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        INGEST_SESSIONS.set_function(lambda: len(self._connected))
        INGEST_HELD.set_function(lambda: self.held)
        self._tasks: list[asyncio.Task[None]] = []
        self.draining = False  # no session is taken any more

    @property
    def pool(self) -> Pool:
        """Where sessions ask their questions."""
        return self._pool

    @property
    def sessions(self) -> int:
        """How many agents are connected here."""
        return len(self._connected)

    async def start(self) -> None:
        """Begin to write and to watch for silence."""
        if self._aside is not None:
            await self._aside.open()
        works = (*(self._commit() for _ in range(WRITERS)), self._reader.run(), self._watch())
        self._tasks = [asyncio.create_task(work) for work in works]

    async def stop(self) -> None:
        """Say goodbye to every agent, write what is pending, and end."""
        self.draining = True
        for connected in list(self._connected.values()):
            connected.send(shutdown())
        try:
            async with asyncio.timeout(SILENCE):
                for connected in list(self._connected.values()):
                    await connected.settle()
        except TimeoutError:
            logger.warning("Postgres is away: agents will send again what was not committed")
        for connected in list(self._connected.values()):
            connected.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._aside is not None:
            await self._aside.close()

    def add(self, connected: Connected) -> None:
        """Take a session in; an older one of the same cluster ends."""
        if self.draining:
            connected.close(shutdown())
        cluster_id = connected.session.cluster_id
        before = self._connected.get(cluster_id)
        if before is not None:
            before.close(m.Goodbye(reason=m.Reason.FENCED, message="the agent connected again"))
        self._connected[cluster_id] = connected

    async def leave(self, connected: Connected) -> None:
        """Free the cluster of a session that ends in order, after its last word is written."""
        await self._note_alive([connected])
        session = connected.session
        await session_store.end_session(self._pool, session.cluster_id, session.number)

    def remove(self, connected: Connected) -> None:
        """Forget a session that ended; others may go on with what it was to bring."""
        connected.close()
        connected.session.leave()
        self._room.set()
        self.notify()
        cluster_id = connected.session.cluster_id
        if self._connected.get(cluster_id) is connected:
            del self._connected[cluster_id]

    def notify(self) -> None:
        """Tell that a session has something pending."""
        self._work.set()
        self._reader.wake()

    async def room(self, connected: Connected) -> None:
        """Wait while all sessions together hold too much; who others wait for goes on."""
        while self.held > HELD_BYTES and not connected.session.owes:
            if connected.closed.is_set():
                return
            self._room.clear()
            await self._room.wait()

    @property
    def held(self) -> int:
        """Bytes of frames of all sessions that are not acknowledged."""
        return sum(connected.session.held for connected in self._connected.values())

    async def _commit(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while group := self._take():
                self._work.set()  # what is left is for another
                try:
                    with INGEST_COMMITS.time():
                        results = await self._write([taken for _, taken in group])
                except Exception:
                    # Whatever it is, it ends these sessions and not the hub: they start anew.
                    logger.exception("could not write what %d sessions sent", len(group))
                    results = [Written(stale=True) for _ in group]
                else:
                    _count([taken for _, taken in group])
                for (connected, taken), written in zip(group, results, strict=True):
                    connected.perform(connected.session.committed(taken, written))
                    connected.note_written()
                self._room.set()
                self._reader.wake()
                await asyncio.sleep(0)  # frames may come in between
            if any(connected.session.events for connected in self._connected.values()):
                self._look_again(RATE_POLL)
            elif any(connected.session.pending for connected in self._connected.values()):
                self._look_again(CLAIM)

    def _look_again(self, delay: float) -> None:
        """Look after so many seconds, whatever comes: time alone lets sessions go on."""
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() > loop.time():
            if self._timer.when() <= loop.time() + delay:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay, self.notify)

    def _take(self) -> list[tuple[Connected, Write]]:
        """A share of each session's pending entries; who was served last comes last."""
        group: list[tuple[Connected, Write]] = []
        left, findings, events = COMMIT_ITEMS, COMMIT_FINDINGS, COMMIT_EVENTS
        for cluster_id, connected in list(self._connected.items()):
            if left <= 0 or findings <= 0 or events <= 0:
                break
            if connected.due:
                share = min(findings, SESSION_FINDINGS)
                allowed = min(events, SESSION_EVENTS, connected.rate.allowance)
                taken = connected.session.take(min(left, SESSION_ITEMS), share, allowed)
                connected.writing = taken
                group.append((connected, taken))
                left -= len(taken.upserts) + len(taken.deletes)
                findings -= sum(map(weight, taken.contents))
                brought = sum(len(batch.offsets) for batch in taken.events)
                connected.rate.spend(brought)
                events -= brought
                self._connected[cluster_id] = self._connected.pop(cluster_id)
        return group

    async def _write(self, writes: list[Write]) -> list[Written]:
        """Write until it is written; values that Postgres refuses are left out."""
        delay = RETRY_DELAY[0]
        conflicts = 0
        while True:
            try:
                return await self._written(writes)
            except UnavailableError as error:
                logger.warning("cannot write what agents sent, trying again: %s", error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
                delay = min(delay * 2, RETRY_DELAY[1])
            except ConflictError as error:
                conflicts += 1
                logger.info("a conflict, trying again: %s", error)
                if conflicts <= CONFLICT_RETRIES:
                    continue
                if len(writes) > 1:  # one session may be what is in the way
                    return [result for one in writes for result in await self._write([one])]
                logger.warning("cluster %s is in the way of its writes", writes[0].cluster_id)
                return [Written(stale=True)]
            except DataFaultError as error:
                return await self._write_apart(writes, str(error))

    async def _written(self, writes: list[Write]) -> list[Written]:
        day = self._events_a_day
        if self._aside is None:
            return await write(self._pool, writes, events_a_day=day)
        return await self._aside.run(lambda pool: write(pool, writes, events_a_day=day))

    async def _write_apart(self, writes: list[Write], reason: str) -> list[Written]:
        """Halve until the value that Postgres refuses stands alone."""
        if len(writes) > 1:
            return [result for one in writes for result in await self._write([one])]
        [whole] = writes
        parts = halves(whole)
        if parts is None:
            self._refuse(whole, reason)
            return await self._write([without(whole)])
        first, second = [(await self._write([part]))[0] for part in parts]
        return [
            Written(
                stale=first.stale or second.stale,
                missing=first.missing + second.missing,
                refused=first.refused + second.refused,
            )
        ]

    def _refuse(self, single: Write, reason: str) -> None:
        connected = self._connected.get(single.cluster_id)
        if connected is None or connected.session.number != single.session:
            return
        pending = connected.session.pending
        for (kind, key), item in single.upserts.items():
            if isinstance(item.body, m.Failure):
                logger.error("dropped an entry that cannot even be stored as failed: %s", reason)
            elif (kind, key) not in pending.upserts and (kind, key) not in pending.deletes:
                connected.session.reject(kind, item, f"Postgres refused it: {reason}")
        for content in single.contents:
            connected.session.refuse_content(content.name, f"Postgres refused it: {reason}")

    async def _watch(self) -> None:
        """Write last-seen, and end the sessions that are silent or that lost their cluster."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            now = time.monotonic()
            for connected in list(self._connected.values()):
                connected.send(m.Heartbeat(clock=time.time_ns() // 1_000_000))
                if now - connected.heard_at > SILENCE and not connected.busy:
                    connected.close(
                        m.Goodbye(reason=m.Reason.IDLE, message=f"silent for {SILENCE:.0f} s")
                    )
            try:
                with answering():
                    await self._touch()
            except UnavailableError as error:
                logger.warning("cannot write last-seen: %s", error)
            except Exception:
                logger.exception("cannot write last-seen, trying again")

    async def _touch(self) -> None:
        await self._note_alive([c for c in self._connected.values() if c.alive])

    async def _note_alive(self, alive: list[Connected]) -> None:
        """Write what agents that were heard said of themselves, and end those who lost their cluster."""
        news: list[tuple[int, Any]] = []
        for connected in alive:
            connected.alive = False
            news += [(connected.session.cluster_id, n) for n in connected.news.values()]
            connected.news = {}
        signs = [
            session_store.Sign(
                c.session.cluster_id, c.session.number, c.waiting, c.oldest, c.clock.ahead
            )
            for c in alive
        ]
        current = await session_store.touch(self._pool, signs, news)
        for connected in alive:
            skew = current.get(connected.session.cluster_id)
            if skew is not None:
                connected.session.skew = skew
            else:
                connected.close(
                    m.Goodbye(reason=m.Reason.FENCED, message="another session took over")
                )


def _count(writes: list[Write]) -> None:
    INGEST_ENTRIES.inc(sum(len(one.upserts) + len(one.deletes) for one in writes))
    INGEST_CONTENTS.inc(sum(len(one.contents) for one in writes))
