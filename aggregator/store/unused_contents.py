"""Contents that nothing has shown for some time go, with their findings.

`mark` notes since when a content is without a place, `drop` deletes what has been so for long enough.
Neither costs ingest anything: marks have a table of their own, and an Offer that names a content takes
its mark away.

A deletion never races an upsert. Ingest takes a share lock on a content before it writes a report that
points at it, and holds it until it commits. `drop` skips contents that are locked, and looks again for
places once it holds its own locks: what committed before is seen, and what comes later waits for the
deletion, finds no content, and is asked for with Missing. While it holds locks it waits for nobody, so
it takes part in no deadlock.
"""

from datetime import timedelta

from aggregator.store.pool import Pool

MARKED = 10_000  # contents that one statement looks at
CANDIDATES = 1_000  # contents of one deletion
DROPPED = 20_000  # findings and packages of one deletion; a content of more goes alone

# Two looks at the index for each content, whatever the planner thinks of joining them all.
MARK = """
WITH looked AS (
    SELECT c.id, u.content_id IS NOT NULL AS marked,
           (SELECT true FROM placement_content pc WHERE pc.content_id = c.id LIMIT 1)
               IS NOT NULL AS used
    FROM (SELECT id FROM content WHERE id > $1 ORDER BY id LIMIT $2) c
    LEFT JOIN unused_content u ON u.content_id = c.id
),
added AS (
    INSERT INTO unused_content (content_id, since)
    SELECT id, now() FROM looked WHERE NOT used AND NOT marked
    ON CONFLICT (content_id) DO NOTHING
),
removed AS (
    DELETE FROM unused_content WHERE content_id IN (SELECT id FROM looked WHERE used AND marked)
)
SELECT max(id) FROM looked
"""

# The oldest that are due, as many as stay within the limit of what goes with them.
LOCK = """
WITH due AS (
    SELECT content_id, since FROM unused_content
    WHERE since <= now() - $1::interval ORDER BY since, content_id LIMIT $2
),
weighed AS (
    SELECT content_id, sum(
        coalesce((SELECT sum(findings) FROM content_count cc WHERE cc.content_id = due.content_id), 0)
        + (SELECT count(*) FROM content_package cp WHERE cp.content_id = due.content_id)
        ) OVER (ORDER BY since, content_id ROWS UNBOUNDED PRECEDING) AS weight,
        row_number() OVER (ORDER BY since, content_id) AS number
    FROM due
)
SELECT id FROM content
WHERE id IN (SELECT content_id FROM weighed WHERE weight <= $3 OR number = 1)
ORDER BY digest FOR UPDATE SKIP LOCKED
"""

# A statement of its own, after the locks: it sees every report whose transaction held a lock before.
DROP = """
WITH unused AS (
    SELECT id FROM unnest($1::bigint[]) AS n (id)
    WHERE (SELECT true FROM placement_content pc WHERE pc.content_id = n.id LIMIT 1) IS NULL
),
marks AS (DELETE FROM unused_content WHERE content_id = ANY($1::bigint[])),
findings AS (DELETE FROM finding f USING unused u WHERE f.content_id = u.id),
counts AS (DELETE FROM content_count c USING unused u WHERE c.content_id = u.id),
packages AS (DELETE FROM content_package c USING unused u WHERE c.content_id = u.id),
dropped AS (DELETE FROM content c USING unused u WHERE c.id = u.id RETURNING c.id)
SELECT count(*) FROM dropped
"""


async def mark(pool: Pool, *, batch: int = MARKED) -> None:
    """Look through all contents, and note which are without a place from now on."""
    last: int | None = 0
    while last is not None:
        last = await pool.fetchval(MARK, last, batch)


async def drop(pool: Pool, retention: timedelta) -> int | None:
    """Delete some contents that have been unused for `retention`. Returns how many.

    None where no content is due that nobody holds just now.
    """
    async with pool.acquire() as connection, connection.transaction():
        locked = await connection.fetch(LOCK, retention, CANDIDATES, DROPPED)
        if not locked:
            return None
        dropped: int = await connection.fetchval(DROP, [row["id"] for row in locked])
        return dropped
