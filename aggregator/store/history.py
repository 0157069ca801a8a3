"""History: one row whenever the union of open keys at a placement changes.

A placement that shows nothing any more keeps its history open until grace has passed: scanners
delete and scan again. Contents that another format or parser wrote change no history, and neither
do reports of equal keys that come and go.
"""

from collections.abc import Mapping
from datetime import datetime

from aggregator.store.pool import Connection

# $1 placements, $2 the time to date each by; a placement's times rise.
FOLLOW = """
WITH now AS (
    SELECT p.id, d.at, p.cluster_id, p.keysets AS before, p.format AS format_before, p.gone_at,
           count(pc.content_id)::smallint AS contents,
           coalesce(array_agg(DISTINCT c.keyset_id ORDER BY c.keyset_id)
                    FILTER (WHERE pc.live + pc.absent > 0), '{}') AS after,
           coalesce(bool_or(pc.live + pc.absent > 0), false) AS shows,
           CASE WHEN count(DISTINCT c.format) FILTER (WHERE pc.live + pc.absent > 0) = 1
                THEN max(c.format) FILTER (WHERE pc.live + pc.absent > 0) END AS format,
           max(pc.observed_at) AS observed_at
    FROM unnest($1::bigint[], $2::timestamptz[]) AS d (id, at)
    JOIN placement p ON p.id = d.id
    LEFT JOIN placement_content pc ON pc.placement_id = p.id
    LEFT JOIN content c ON c.id = pc.content_id
    GROUP BY p.id, d.at
),
changed AS (
    SELECT *, shows AND before <> after AS differs
    FROM now
),
written AS (
    INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)
    SELECT c.id, c.cluster_id, dated.at, least(c.observed_at, dated.at), c.before, c.after
    FROM changed c
    CROSS JOIN LATERAL (
        SELECT greatest(c.at, max(t.at) + interval '1 microsecond') AS at
        FROM transition t WHERE t.placement_id = c.id) AS dated
    WHERE c.differs AND (c.format_before IS NULL OR c.format_before = c.format)
      AND ARRAY(SELECT DISTINCT unnest(k.keys) FROM keyset k WHERE k.id = ANY(c.before) ORDER BY 1)
       <> ARRAY(SELECT DISTINCT unnest(k.keys) FROM keyset k WHERE k.id = ANY(c.after) ORDER BY 1)
    ORDER BY c.id
)
UPDATE placement p SET
    contents = c.contents,
    keysets = CASE WHEN c.shows THEN c.after ELSE p.keysets END,
    format = coalesce(c.format, p.format),
    gone_at = CASE WHEN c.shows THEN NULL ELSE coalesce(p.gone_at, c.at) END
FROM changed c
WHERE p.id = c.id
  AND ((p.contents, p.gone_at IS NULL, c.differs) IS DISTINCT FROM (c.contents, c.shows, false)
       OR p.format IS DISTINCT FROM coalesce(c.format, p.format))
"""

# What nothing returned to within grace is over since it went.
CLOSE = """
WITH over AS (
    SELECT p.id, p.cluster_id, p.keysets, p.gone_at
    FROM placement p
    WHERE p.cluster_id = $1 AND p.gone_at <= $2::timestamptz - $3::interval
),
written AS (
    INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)
    SELECT o.id, o.cluster_id, dated.at, dated.at, o.keysets, '{}'
    FROM over o
    CROSS JOIN LATERAL (
        SELECT greatest(o.gone_at, max(t.at) + interval '1 microsecond') AS at
        FROM transition t WHERE t.placement_id = o.id) AS dated
    WHERE EXISTS (SELECT FROM keyset k WHERE k.id = ANY(o.keysets) AND k.keys <> '{}')
)
UPDATE placement p SET keysets = '{}', format = NULL, gone_at = NULL FROM over o WHERE p.id = o.id
"""


async def follow(connection: Connection, placements: Mapping[int, datetime]) -> None:
    """Write where what placements show differs from what history says, each dated as given."""
    if placements:
        await connection.execute(FOLLOW, list(placements), list(placements.values()))


async def close(connection: Connection, cluster_id: int, now: datetime, grace: object) -> None:
    """End the history of a cluster's placements that have been without a report for `grace`."""
    await connection.execute(CLOSE, cluster_id, now, grace)
