"""Gaps: what is known to be missing of a cluster's runtime events.

An agent's gap is written as it stands, so a resend changes nothing. What is lost here (a budget is
used up, Postgres refuses a value) is added up in one gap a reason, spool and day, in the transaction
that passes the offsets of the lost events.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from aggregator.store.columns import columns
from aggregator.store.pool import Connection
from protocol.messages import GapRecord, Priority

WRITE = """
INSERT INTO event_gap (cluster_id, epoch, key, reason, started_at, ended_at, events, priorities)
SELECT n.cluster_id, n.epoch, n.key, n.reason, to_timestamp(n.started_at / 1000.0),
       to_timestamp(n.ended_at / 1000.0), n.events, nullif(n.priorities, '{}')::jsonb
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::text[])
     AS n (cluster_id, epoch, key, reason, started_at, ended_at, events, priorities)
ON CONFLICT (cluster_id, epoch, key) DO UPDATE SET
    reason = excluded.reason, started_at = excluded.started_at, ended_at = excluded.ended_at,
    events = excluded.events, priorities = excluded.priorities, recorded_at = now()
"""
HELD = """
SELECT g.cluster_id, g.epoch, g.key, g.started_at, g.ended_at, g.events, g.priorities::text AS priorities
FROM event_gap g JOIN unnest($1::int[], $2::text[], $3::text[]) AS n (cluster_id, epoch, key)
    ON g.cluster_id = n.cluster_id AND g.epoch = n.epoch AND g.key = n.key
"""
SPOOL_REPLACED = """
INSERT INTO event_gap (cluster_id, epoch, key, reason, started_at, ended_at)
SELECT $1, $2, 'spool-replaced', 'SPOOL_REPLACED', max(stored_at), now()
FROM event_spool WHERE cluster_id = $1 HAVING bool_and(epoch <> $2)
ON CONFLICT (cluster_id, epoch, key) DO NOTHING
"""

Place = tuple[int, str]  # cluster and epoch


class _Sum(Struct):
    events: int
    started_at: datetime
    ended_at: datetime
    priorities: dict[str, int]


class Losses:
    """What one transaction loses, by place and gap."""

    def __init__(self) -> None:
        self.sums: dict[tuple[Place, str, str], _Sum] = {}

    def add(
        self,
        place: Place,
        reason: str,
        at: datetime,
        events: int,
        *,
        priority: Priority | None = None,
    ) -> None:
        """Count events as lost at a time."""
        if not events:
            return
        key = (place, f"{reason.lower()}-{at:%Y-%m-%d}", reason)
        known = self.sums.setdefault(key, _Sum(0, at, at, {}))
        known.events += events
        if priority is not None:
            name = Priority(priority).name
            known.priorities[name] = known.priorities.get(name, 0) + events


async def add(connection: Connection, losses: Losses) -> None:
    """Add what is lost to the gaps that stand for it."""
    if not losses.sums:
        return
    keys = [(*place, key) for place, key, _ in losses.sums]
    held = {
        (row["cluster_id"], row["epoch"], row["key"]): row
        for row in await connection.fetch(HELD, *columns(keys, 3))
    }
    rows = []
    for (place, key, reason), lost in sorted(losses.sums.items()):
        before = held.get((*place, key))
        events, started_at, priorities = lost.events, lost.started_at, dict(lost.priorities)
        if before is not None:
            events += before["events"]
            started_at = min(started_at, before["started_at"])
            for name, count in json.loads(before["priorities"] or "{}").items():
                priorities[name] = priorities.get(name, 0) + count
        times = (_milliseconds(started_at), _milliseconds(lost.ended_at))
        rows.append((*place, key, reason, *times, events, json.dumps(priorities)))
    await connection.execute(WRITE, *columns(rows, 8))


async def write(connection: Connection, gaps: Sequence[tuple[int, int, str, GapRecord]]) -> None:
    """Write agents' gaps as (cluster, clock skew in ms, epoch, gap)."""
    latest = {(cluster, epoch, gap.key): (skew, gap) for cluster, skew, epoch, gap in gaps}
    rows = [
        (
            *place,
            gap.reason,
            _corrected(gap.started_at, skew),
            _corrected(gap.ended_at, skew),
            gap.events,
            json.dumps(gap.priorities),
        )
        for place, (skew, gap) in sorted(latest.items(), key=lambda each: each[0])
    ]
    if rows:
        await connection.execute(WRITE, *columns(rows, 8))


async def note_new_spool(connection: Connection, cluster_id: int, epoch: str) -> None:
    """Record that a cluster's spool is another one than before: what waited in that one is lost.

    The agent itself may know better; nothing is recorded for a cluster's first spool.
    """
    await connection.execute(SPOOL_REPLACED, cluster_id, epoch)


def _corrected(time: int | None, skew: int) -> int | None:
    return None if time is None else time - skew


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
