"""The fence: one session at a time writes for a cluster."""

import time
from collections.abc import Sequence

from msgspec import Struct

from aggregator.store import event_gaps, runtime_events, sync
from aggregator.store.columns import columns
from aggregator.store.pool import Pool
from protocol.messages import Held, Hello, KindNews, Mode, Reason

LOCK = """
SELECT c.mode::text AS mode, c.uid, s.number, s.instance, s.last_seen_at,
       extract(epoch FROM s.last_seen_at + $2::float8 * interval '1 second' - now())::float8 AS left
FROM agent_session s JOIN cluster c ON c.id = s.cluster_id
WHERE s.cluster_id = $1 AND c.removed_at IS NULL FOR NO KEY UPDATE
"""

UID_TAKEN = "SELECT name FROM cluster WHERE uid = $1 AND id <> $2"

DESCRIBE = """
UPDATE cluster SET mode = $2::text::cluster_mode, uid = coalesce($3, uid),
    kubernetes_version = coalesce($4, kubernetes_version), agent_version = $5
WHERE id = $1 AND (mode, uid, kubernetes_version, agent_version)
    IS DISTINCT FROM ($2::text::cluster_mode, coalesce($3, uid),
                      coalesce($4, kubernetes_version), $5)
"""

OPEN = """
UPDATE agent_session SET number = number + 1, instance = $2, last_seen_at = now(),
    clock_skew_ms = $3
WHERE cluster_id = $1 RETURNING number
"""

NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

END = """
UPDATE agent_session SET instance = '', last_seen_at = now() WHERE cluster_id = $1 AND number = $2
"""

# In the order of ingest, or the two would deadlock.
TOUCH = """
WITH locked AS MATERIALIZED (
    SELECT s.cluster_id FROM agent_session s
    JOIN unnest($1::int[], $2::bigint[]) AS n (cluster_id, number)
        ON s.cluster_id = n.cluster_id AND s.number = n.number
    ORDER BY s.cluster_id FOR UPDATE OF s
)
UPDATE agent_session s SET last_seen_at = now(), spool_events = n.waiting,
    clock_skew_ms = coalesce(n.skew, s.clock_skew_ms),
    spool_oldest_at = least(
        now(), to_timestamp((n.oldest - coalesce(n.skew, s.clock_skew_ms, 0)) / 1000.0))
FROM locked
JOIN (
    SELECT cluster_id, waiting, oldest,
           CASE WHEN clock IS NOT NULL THEN greatest(-$6::bigint, least($6::bigint,
               clock - (extract(epoch FROM statement_timestamp()) * 1000)::bigint)) END::int AS skew
    FROM unnest($1::int[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS u (cluster_id, waiting, oldest, clock)) n
    ON n.cluster_id = locked.cluster_id
WHERE s.cluster_id = locked.cluster_id
RETURNING s.cluster_id, s.clock_skew_ms
"""

MAX_SKEW = 2**31 - 1  # ms, what the column holds
LATEST = 253_402_300_799_000  # ms since 1970, the end of the year 9999


class Sign(Struct, frozen=True):
    """A sign of life of a session."""

    cluster_id: int
    number: int
    waiting: int = 0  # events in the agent's spool
    oldest: int | None = None  # when the first of those was received, ms by the agent's clock
    ahead: int | None = None  # ms that its clock is ahead of this process's monotonic clock


class Opened(Struct, frozen=True):
    """A session that may write."""

    number: int
    skew: int  # ms that the agent's clock is ahead
    clock: int  # ms since 1970
    held: tuple[Held, ...]
    resume: int | None = None  # the offset of the spool to go on from; None where it is new here


class RefusedError(Exception):
    """A session that may not be opened; the message says why and what to do."""

    def __init__(self, reason: Reason, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after  # seconds


async def open_session(pool: Pool, cluster_id: int, hello: Hello, silence: float) -> Opened:
    """Take the cluster for this session, unless another instance was heard within `silence` s."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(LOCK, cluster_id, silence)
        if row is None:
            raise RefusedError(Reason.REFUSED, "this cluster was removed; add it again")
        if row["mode"] not in (None, hello.mode):
            raise RefusedError(Reason.REFUSED, _wrong_mode(hello.mode))
        if row["instance"] not in ("", hello.instance) and (row["left"] or 0) > 0:
            message = (
                "another agent or push of this cluster is connected, or was until "
                f"{silence - row['left']:.0f} s ago"
            )
            raise RefusedError(Reason.FENCED, message, row["left"])
        uid = hello.cluster_uid if hello.mode is Mode.AGENT else None
        if uid is not None:
            if row["uid"] not in (None, uid):
                message = (
                    "this token belongs to another cluster: it was first used in one whose "
                    f"kube-system has UID {row['uid']}, this one's has {uid}; if the cluster was "
                    "rebuilt, run `fleetwatch cluster rebind`"
                )
                raise RefusedError(Reason.REFUSED, message)
            name = await connection.fetchval(UID_TAKEN, uid, cluster_id)
            if name is not None:
                message = f"this Kubernetes cluster already reports as {name!r}"
                raise RefusedError(Reason.REFUSED, message)
        await connection.execute(
            DESCRIBE, cluster_id, hello.mode, uid, hello.kubernetes_version, hello.agent_version
        )
        clock = await connection.fetchval(NOW)
        skew = max(-MAX_SKEW, min(MAX_SKEW, hello.clock - clock))
        number = await connection.fetchval(OPEN, cluster_id, hello.instance, skew)
        held = await sync.held(connection, cluster_id)
        resume = None
        if hello.spool is not None:
            resume = await runtime_events.resume(connection, cluster_id, hello.spool.epoch)
            if resume is None and hello.mode is Mode.AGENT:
                await event_gaps.note_new_spool(connection, cluster_id, hello.spool.epoch)
    return Opened(number, skew, clock, held, resume)


async def end_session(pool: Pool, cluster_id: int, number: int) -> None:
    """Free the cluster for the next session at once, after an orderly end."""
    await pool.execute(END, cluster_id, number)


async def touch(
    pool: Pool, signs: Sequence[Sign], news: Sequence[tuple[int, KindNews]]
) -> dict[int, int]:
    """Note that sessions are alive, and what their clocks say.

    Returns the clusters whose number holds, with how many ms their agent's clock is ahead.
    """
    async with pool.acquire() as connection, connection.transaction():
        now = int(time.monotonic() * 1000)
        said = [
            (
                sign.cluster_id,
                sign.number,
                min(max(sign.waiting, 0), LATEST),
                None if sign.oldest is None else min(max(sign.oldest, 0), LATEST),
                None if sign.ahead is None else min(max(now + sign.ahead, 0), LATEST),
            )
            for sign in signs
        ]
        rows = await connection.fetch(TOUCH, *columns(said, 5), MAX_SKEW)
        current = {row["cluster_id"]: row["clock_skew_ms"] or 0 for row in rows}
        fresh = sorted(
            (cluster_id, n.kind, n.newest_report_at, n.scanner)
            for cluster_id, n in news
            if cluster_id in current
        )
        if fresh:  # under the locks of their sessions, as ingest writes them
            await connection.execute(sync.SET_NEWS, *columns(fresh, 4))
    return current


def _wrong_mode(mode: Mode) -> str:
    if mode is Mode.PUSH:
        return "an agent reports for this cluster; a push would fight with it, push to another name"
    return "this cluster is fed by pushes; add another cluster for the agent"
