"""Clusters: the row, its fence, and how one leaves the fleet.

A removal is over for everybody as soon as it commits: the cluster's name, UID and tokens are free, its
session is fenced off, and no query shows what is left of it (`Scope.hidden`). Its rows, which may be
millions, go afterwards in batches (`removal.py`).

Adding, renaming, labelling and removing change what scoped tokens may see, so each of them notifies
every replica in its own transaction (`credentials.CHANNEL`).
"""

import json

import asyncpg

from aggregator.store.credentials import notify
from aggregator.store.pool import Connection, Pool

ORDINAL_LOCK = 0x666C_6F72_6469  # "flordi", the advisory lock under which ordinals are given out
REMOVE_TIMEOUT = 60.0  # seconds of one statement; a cluster may have a million counts by the hour

TAKE_ORDINAL_LOCK = "SELECT pg_advisory_xact_lock($1)"
INSERT = """
    WITH free AS (
        SELECT min(ordinal) AS ordinal
        FROM (SELECT 0 AS ordinal UNION ALL SELECT ordinal + 1 FROM cluster) candidate
        WHERE NOT EXISTS (SELECT FROM cluster WHERE cluster.ordinal = candidate.ordinal)
    ), added AS (
        INSERT INTO cluster (ordinal, name, labels)
        SELECT free.ordinal, $1, $2::jsonb FROM free
        ON CONFLICT (name) DO NOTHING
        RETURNING id
    )
    INSERT INTO agent_session (cluster_id) SELECT id FROM added RETURNING cluster_id
"""
UPDATE = """
    UPDATE cluster SET name = coalesce($2, name), labels = coalesce($3::jsonb, labels)
    WHERE name = $1 AND removed_at IS NULL RETURNING id
"""
FIND = "SELECT id FROM cluster WHERE name = $1 AND removed_at IS NULL"
# Waits for the ingest transaction that holds the fence; the next one finds another number and drops
# its frames.
LOCK_FENCE = """
    SELECT cluster_id FROM agent_session
    WHERE cluster_id = (SELECT id FROM cluster WHERE name = $1 AND removed_at IS NULL) FOR UPDATE
"""
# No cluster can be given such a name.
LEAVE = """
    UPDATE cluster SET removed_at = now(), name = '#' || id, uid = NULL
    WHERE id = $1 AND removed_at IS NULL RETURNING id
"""
# Rows in the order of ingest. One that is too old for the fleet to have comes back below zero, and goes
# with the next look at old ones.
LEAVE_FLEET_HOURS = """
    INSERT INTO runtime_event_fleet_hour AS f (hour, rule, priority, source, events)
    SELECT hour, rule, priority, source, -sum(events) FROM runtime_event_hour WHERE cluster_id = $1
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (hour, rule, priority, source) DO UPDATE SET events = f.events + excluded.events
"""
LEAVE_FLEET_DAYS = """
    INSERT INTO runtime_event_fleet_day AS f (day, rule, priority, source, events)
    SELECT date_trunc('day', hour, 'UTC'), rule, priority, source, -sum(events)
    FROM runtime_event_hour WHERE cluster_id = $1
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (day, rule, priority, source) DO UPDATE SET events = f.events + excluded.events
"""
DROP_TOKENS = "DELETE FROM credential WHERE cluster_id = $1"
UNBIND = "UPDATE cluster SET uid = NULL, mode = NULL WHERE id = $1"
FENCE_OFF = """
    UPDATE agent_session SET number = number + 1, instance = '', last_seen_at = NULL
    WHERE cluster_id = $1
"""


class NameTakenError(Exception):
    """A cluster of this name exists."""


async def add(connection: Connection, *, name: str, labels: dict[str, str]) -> int:
    """Insert a cluster with its fence; it gets the smallest free ordinal.

    To be called in a transaction, which also holds the lock on ordinals until it ends.
    """
    await connection.execute(TAKE_ORDINAL_LOCK, ORDINAL_LOCK)
    cluster_id: int | None = await connection.fetchval(INSERT, name, json.dumps(labels))
    if cluster_id is None:
        raise NameTakenError(name)
    await notify(connection)
    return cluster_id


async def find(executor: Connection | Pool, *, name: str) -> int | None:
    """Return a cluster's id by its name."""
    cluster_id: int | None = await executor.fetchval(FIND, name)
    return cluster_id


async def update(
    connection: Connection,
    *,
    name: str,
    labels: dict[str, str] | None,  # None leaves them; otherwise they are replaced
    rename: str | None,  # None leaves the name
) -> int | None:
    """Change a cluster's name or labels. Returns its id, or None if there is none of the name."""
    encoded = None if labels is None else json.dumps(labels)
    try:
        cluster_id: int | None = await connection.fetchval(UPDATE, name, rename, encoded)
    except asyncpg.UniqueViolationError as error:
        raise NameTakenError(rename) from error
    if cluster_id is not None:
        await notify(connection)
    return cluster_id


async def remove(connection: Connection, *, name: str) -> bool:
    """Take a cluster out of the fleet, with its tokens. Returns whether there was one."""
    await connection.execute(f"SET LOCAL statement_timeout = {int(REMOVE_TIMEOUT * 1000)}")
    cluster_id = await connection.fetchval(LOCK_FENCE, name)
    if cluster_id is None or await connection.fetchval(LEAVE, cluster_id) is None:
        return False
    for statement in (FENCE_OFF, DROP_TOKENS, LEAVE_FLEET_HOURS, LEAVE_FLEET_DAYS):
        await connection.execute(statement, cluster_id, timeout=REMOVE_TIMEOUT)
    await notify(connection)
    return True


async def rebind(connection: Connection, *, name: str) -> int | None:
    """Forget which Kubernetes cluster, and which kind of session, a cluster was bound to.

    The next session binds anew; a session that runs now is fenced off.
    """
    cluster_id: int | None = await connection.fetchval(LOCK_FENCE, name)
    if cluster_id is not None:
        await connection.execute(FENCE_OFF, cluster_id)
        await connection.execute(UNBIND, cluster_id)
    return cluster_id
