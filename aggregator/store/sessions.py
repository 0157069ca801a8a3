"""The fence: one session at a time writes for a cluster."""

import time
from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from aggregator.store import event_gaps, sync
from aggregator.store.columns import columns, unsigned
from aggregator.store.pool import Pool
from protocol.messages import Held, Hello, KindNews, Mode, Reason

# With the name of another cluster that has this UID.
LOCK = """
SELECT c.mode::text AS mode, c.uid, s.instance,
       extract(epoch FROM s.last_seen_at + $2::float8 * interval '1 second' - now())::float8 AS left,
       (SELECT o.name FROM cluster o WHERE o.uid = $3 AND o.id <> $1) AS taken
FROM agent_session s JOIN cluster c ON c.id = s.cluster_id
WHERE s.cluster_id = $1 AND c.removed_at IS NULL FOR NO KEY UPDATE OF s, c
"""

# Begins once the fence is locked, so it sees all that earlier sessions have written.
OPEN = """
WITH described AS (
    UPDATE cluster SET mode = $2::text::cluster_mode, uid = coalesce($3, uid),
        kubernetes_version = coalesce($4, kubernetes_version), agent_version = $5
    WHERE id = $1 AND (mode, uid, kubernetes_version, agent_version)
        IS DISTINCT FROM ($2::text::cluster_mode, coalesce($3, uid),
                          coalesce($4, kubernetes_version), $5)
),
opened AS (
    UPDATE agent_session SET number = number + 1, instance = $6, last_seen_at = now(),
        clock_skew_ms = greatest(-$9::bigint, least($9::bigint, $7::bigint - n.clock))::int
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock) AS n
    WHERE cluster_id = $1 RETURNING number, clock_skew_ms AS skew, n.clock
)
SELECT o.number, o.skew, o.clock, h.kinds, h.entries, h.roots,
       (SELECT next FROM event_spool WHERE cluster_id = $1 AND epoch = $8) AS resume
FROM opened o
CROSS JOIN (
    SELECT array_agg(kind) AS kinds, array_agg(entries) AS entries, array_agg(root) AS roots
    FROM sync_root WHERE cluster_id = $1 AND entries > 0) AS h
"""

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
    uid = hello.cluster_uid if hello.mode is Mode.AGENT else None
    epoch = None if hello.spool is None else hello.spool.epoch
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(LOCK, cluster_id, silence, uid)
        _admit(row, hello, uid, silence)
        [opened] = await connection.fetch(
            OPEN,
            cluster_id,
            hello.mode,
            uid,
            hello.kubernetes_version,
            hello.agent_version,
            hello.instance,
            min(max(hello.clock, 0), LATEST),
            epoch,
            MAX_SKEW,
        )
        if epoch is not None and opened["resume"] is None and hello.mode is Mode.AGENT:
            await event_gaps.note_new_spool(connection, cluster_id, epoch)
    rows = zip(opened["kinds"] or (), opened["entries"] or (), opened["roots"] or (), strict=True)
    held = tuple(Held(kind, entries, unsigned(root)) for kind, entries, root in rows)
    return Opened(opened["number"], opened["skew"], opened["clock"], held, opened["resume"])


def _admit(row: asyncpg.Record | None, hello: Hello, uid: str | None, silence: float) -> None:
    """Raise `RefusedError` where the cluster is not this session's to take."""
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
    if uid is not None and row["uid"] not in (None, uid):
        message = (
            "this token belongs to another cluster: it was first used in one whose "
            f"kube-system has UID {row['uid']}, this one's has {uid}; if the cluster was "
            "rebuilt, run `fleetwatch cluster rebind`"
        )
        raise RefusedError(Reason.REFUSED, message)
    if row["taken"] is not None:
        message = f"this Kubernetes cluster already reports as {row['taken']!r}"
        raise RefusedError(Reason.REFUSED, message)


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
