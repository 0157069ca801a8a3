"""Clusters: the row, its fence, and all that goes when a cluster goes.

Adding, renaming, labelling and removing change what scoped tokens may see, so each of them notifies
every replica in its own transaction (`credentials.CHANNEL`).
"""

import json

import asyncpg

from aggregator.store.credentials import notify
from aggregator.store.pool import Connection, Pool

ORDINAL_LOCK = 0x666C_6F72_6469  # "flordi", the advisory lock under which ordinals are given out
REMOVE_TIMEOUT = 600.0  # seconds; a large cluster has millions of rows

# In this order no foreign key looks for rows that are still there.
CLUSTER_TABLES = (
    "runtime_event",
    "runtime_event_hour",
    "event_spool",
    "event_gap",
    "image_usage",
    "usage",
    "severity_count",
    "cluster_severity_count",
    "placement_content",
    "failed_report",
    "report",
    "transition",
    "placement",
    "running_image",
    "workload",
    "namespace",
    "node",
    "subject",
    "sync_root",
    "credential",
)

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
    WHERE name = $1 RETURNING id
"""
FIND = "SELECT id FROM cluster WHERE name = $1"
# Waits for the ingest transaction that holds the fence; the next one finds no row and drops its frames.
LOCK_FENCE = """
    SELECT cluster_id FROM agent_session
    WHERE cluster_id = (SELECT id FROM cluster WHERE name = $1) FOR UPDATE
"""
LEAVE_FLEET = """
    UPDATE runtime_event_fleet_hour f SET events = f.events - h.events
    FROM (SELECT hour, rule, priority, source, sum(events)::bigint AS events
          FROM runtime_event_hour WHERE cluster_id = $1 GROUP BY 1, 2, 3, 4) h
    WHERE (f.hour, f.rule, f.priority, f.source) = (h.hour, h.rule, h.priority, h.source)
"""
LEAVE_FLEET_DAYS = """
    UPDATE runtime_event_fleet_day f SET events = f.events - h.events
    FROM (SELECT date_trunc('day', hour, 'UTC') AS day, rule, priority, source,
                 sum(events)::bigint AS events
          FROM runtime_event_hour WHERE cluster_id = $1 GROUP BY 1, 2, 3, 4) h
    WHERE (f.day, f.rule, f.priority, f.source) = (h.day, h.rule, h.priority, h.source)
"""
DELETE = "DELETE FROM cluster WHERE id = $1"
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
    """Delete a cluster with everything that was reported for it. Returns whether there was one."""
    cluster_id = await connection.fetchval(LOCK_FENCE, name)
    if cluster_id is None:
        return False
    await connection.execute(f"SET LOCAL statement_timeout = {int(REMOVE_TIMEOUT * 1000)}")
    for statement in (LEAVE_FLEET, LEAVE_FLEET_DAYS):
        await connection.execute(statement, cluster_id, timeout=REMOVE_TIMEOUT)
    for table in CLUSTER_TABLES:
        await connection.execute(
            f"DELETE FROM {table} WHERE cluster_id = $1", cluster_id, timeout=REMOVE_TIMEOUT
        )
    await connection.execute(DELETE, cluster_id, timeout=REMOVE_TIMEOUT)
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
