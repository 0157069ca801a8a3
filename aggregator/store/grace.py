"""What happens once grace has passed: absent reports go, and history says since when."""

from datetime import timedelta

from aggregator.store import history, placements, sync
from aggregator.store.pool import Pool

DUE = """
SELECT cluster_id FROM (
    SELECT DISTINCT cluster_id FROM report
    WHERE state = 'ABSENT' AND absent_since <= now() - $1::interval
    UNION
    SELECT DISTINCT cluster_id FROM placement WHERE gone_at <= now() - $1::interval) due
JOIN cluster c ON c.id = cluster_id AND c.removed_at IS NULL
ORDER BY 1
"""

DROP_EXPIRED = """
WITH dropped AS (
    DELETE FROM report
    WHERE cluster_id = $1 AND state = 'ABSENT' AND absent_since <= $2::timestamptz - $3::interval
    RETURNING placement_id, absent_since
)
SELECT placement_id, max(absent_since) AS since FROM dropped GROUP BY 1
"""


async def due(pool: Pool, grace: timedelta) -> list[int]:
    """Clusters that have something whose grace has passed."""
    return [row[0] for row in await pool.fetch(DUE, grace)]


async def expire(pool: Pool, cluster_id: int, grace: timedelta) -> None:
    """Drop a cluster's absent reports after grace; their transitions are dated to the removal."""
    async with pool.acquire() as connection, connection.transaction():
        sessions = await sync.lock_sessions(connection, [cluster_id])
        if cluster_id not in sessions:
            return  # removed meanwhile
        now = sessions[cluster_id].at
        rows = await connection.fetch(DROP_EXPIRED, cluster_id, now, grace)
        since = {row["placement_id"]: row["since"] for row in rows}
        await placements.recount(connection, list(since), now)
        await history.follow(connection, since)
        await placements.recount_subjects(connection, list(since), [])
        await history.close(connection, cluster_id, now, grace)
        await sync.leave_sessions(connection, sessions.values())
