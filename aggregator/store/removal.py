"""What is left of clusters that were removed goes in batches, each a transaction of its own.

Nobody sees these rows any more, and nobody writes them: the session is fenced off. So a batch waits for
nobody, and nobody for a batch.
"""

from collections.abc import AsyncGenerator

from aggregator.store.credentials import notify
from aggregator.store.pool import Pool

ROWS = 5_000  # of one batch
BY_HOUR = ("runtime_event", "runtime_event_hour")

# In this order no foreign key looks for rows that are still there.
CLUSTER_TABLES = (
    *BY_HOUR,
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

LEFT = "SELECT id FROM cluster WHERE removed_at IS NOT NULL ORDER BY removed_at, id"

# Dead rows that earlier batches left are skipped in an index, and read again in a table.
BY_INDEX = "SET LOCAL enable_seqscan = off"
_DROP = """
WITH gone AS (
    DELETE FROM {table} WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM {table} WHERE cluster_id = $1 LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone
"""
DELETE = "DELETE FROM cluster WHERE id = $1 AND removed_at IS NOT NULL"


# Events go by the hour, and by cluster, however they are partitioned or distributed.
TIMEOUT = 600.0  # seconds for the events of one hour
OLDEST_HOUR = "SELECT min(hour) FROM runtime_event_hour WHERE cluster_id = $1"
DROP_EVENTS = """
DELETE FROM runtime_event WHERE cluster_id = $1 AND at >= $2::timestamptz AND at < $2 + interval '1 hour'
"""
DROP_HOUR = "DELETE FROM runtime_event_hour WHERE cluster_id = $1 AND hour = $2"
DROP_OTHER_EVENTS = "DELETE FROM runtime_event WHERE cluster_id = $1"


async def purge(pool: Pool) -> AsyncGenerator[int, None]:
    """Delete what is left of removed clusters, the first removed first. Yields the rows of each batch."""
    for row in await pool.fetch(LEFT):
        cluster_id: int = row["id"]
        while (hour := await pool.fetchval(OLDEST_HOUR, cluster_id)) is not None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(f"SET LOCAL statement_timeout = {int(TIMEOUT * 1000)}")
                dropped = await connection.execute(DROP_EVENTS, cluster_id, hour, timeout=TIMEOUT)
                await connection.execute(DROP_HOUR, cluster_id, hour)
            yield int(dropped.split()[-1])
        await pool.execute(DROP_OTHER_EVENTS, cluster_id)
        for table in CLUSTER_TABLES:
            gone = 0 if table in BY_HOUR else ROWS
            while gone == ROWS:
                gone = await _drop(pool, table, cluster_id)
                yield gone
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(DELETE, cluster_id)
            await notify(connection)


async def _drop(pool: Pool, table: str, cluster_id: int) -> int:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(BY_INDEX)
        gone: int = await connection.fetchval(_DROP.format(table=table), cluster_id, ROWS)
        return gone
