"""Replacing what a stored content says, after its reader has changed.

One content a transaction. Its row is locked, and ingest takes a share lock on the contents that it
counts, so no count moves under either. History is not touched: the placements that show the
content take over the new keyset as if it had always been theirs.
"""

from typing import Any

import asyncpg

from aggregator.store import contents
from aggregator.store.columns import columns
from aggregator.store.contents import NewContent
from aggregator.store.pool import Connection, Pool

OUTDATED = """
SELECT c.id FROM content c
JOIN unnest($1::text[], $2::int[]) AS k (kind, reader) ON k.kind = c.kind AND c.reader < k.reader
ORDER BY c.id LIMIT $3
"""

LOCK = """
SELECT id, digest, kind, format, reader, body, bytes, keyset_id FROM content WHERE id = $1 FOR UPDATE
"""

# What the counts of every placement that shows the content gain or lose.
MOVE_COUNTS = """
WITH delta AS (
    SELECT coalesce(n.category::finding_category, o.category) AS category,
           coalesce(n.severity::severity, o.severity) AS severity,
           coalesce(n.status::finding_status, o.status) AS status,
           coalesce(n.findings, 0) - coalesce(o.findings, 0) AS findings
    FROM unnest($2::text[], $3::text[], $4::text[], $5::int[])
         AS n (category, severity, status, findings)
    FULL JOIN (SELECT * FROM content_count WHERE content_id = $1) o
        ON (o.severity, o.status) = (n.severity::severity, n.status::finding_status)
)
INSERT INTO severity_count (cluster_id, namespace, source, category, severity, status, findings,
    occurrences)
SELECT p.cluster_id, p.namespace, p.source, d.category, d.severity, d.status,
    sum(d.findings), sum(d.findings * (pc.live + pc.absent))
FROM placement_content pc
JOIN placement p ON p.id = pc.placement_id
CROSS JOIN delta d
WHERE pc.content_id = $1 AND pc.live + pc.absent > 0 AND d.findings <> 0
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
ON CONFLICT (cluster_id, namespace, source, category, severity, status) DO UPDATE SET
    findings = severity_count.findings + excluded.findings,
    occurrences = severity_count.occurrences + excluded.occurrences
"""

DROP_EMPTY_COUNTS = """
DELETE FROM severity_count WHERE findings = 0 AND occurrences = 0 AND cluster_id IN (
    SELECT cluster_id FROM placement_content WHERE content_id = $1)
"""

CLEAR = """
WITH counts AS (DELETE FROM content_count WHERE content_id = $1),
packages AS (DELETE FROM content_package WHERE content_id = $1)
DELETE FROM finding WHERE content_id = $1
"""

UPDATE = """
UPDATE content SET reader = $2, os = $3, keyset_id = (SELECT id FROM keyset WHERE digest = $4)
WHERE id = $1
"""

KEEP = "UPDATE content SET reader = $2 WHERE id = $1"

TAKE_OVER_KEYSET = """
UPDATE placement p SET keysets = n.keysets
FROM (
    SELECT pc.placement_id, array_agg(DISTINCT c.keyset_id ORDER BY c.keyset_id) AS keysets
    FROM placement_content pc JOIN content c ON c.id = pc.content_id
    WHERE pc.live + pc.absent > 0 AND pc.placement_id IN (
        SELECT placement_id FROM placement_content WHERE content_id = $1)
    GROUP BY 1
) AS n
WHERE p.id = n.placement_id AND p.keysets <> n.keysets
"""


async def outdated(pool: Pool, readers: dict[str, int], limit: int) -> list[int]:
    """Contents that an older reader has read. `readers` is content kind → current version."""
    rows = await pool.fetch(OUTDATED, *columns(readers.items(), 2), limit)
    return [row[0] for row in rows]


async def lock(connection: Connection, content_id: int) -> asyncpg.Record | None:
    """Lock a content against being counted. Returns its row, None if it is gone."""
    return await connection.fetchrow(LOCK, content_id)


async def keep(connection: Connection, content_id: int, reader: int) -> None:
    """Leave what an older reader said, so that the content is not tried for ever."""
    await connection.execute(KEEP, content_id, reader)


async def replace(connection: Connection, content_id: int, new: NewContent) -> None:
    """Replace a locked content's findings, and what follows from them."""
    await contents.write_keysets(connection, [new])
    rule_ids = await contents.write_rules(connection, [new])
    await contents.write_keys(connection, [new])
    await contents.write_packages(connection, [new])
    counts: list[tuple[Any, ...]] = [
        (new.category, severity, status, findings)
        for (severity, status), findings in new.counts.items()
    ]
    await connection.execute(MOVE_COUNTS, content_id, *columns(counts, 4))
    await connection.execute(DROP_EMPTY_COUNTS, content_id)
    await connection.execute(CLEAR, content_id)
    await connection.execute(UPDATE, content_id, new.reader, new.os, new.keyset)
    await contents.write_readings(connection, [new], {new.name: content_id}, rule_ids)
    await connection.execute(TAKE_OVER_KEYSET, content_id)
