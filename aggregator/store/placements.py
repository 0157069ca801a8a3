"""What is found where, counted: placement_content and every count that follows from it.

Touched placements are counted again from their reports, so the rows equal a recount by
construction; severity_count and usage take the differences in the same statement. A placement
belongs to one cluster whose session the caller has locked, so nobody else counts it meanwhile.
"""

from collections.abc import Sequence

from aggregator.store.pool import Connection

# Reading a content again changes its counts; whoever counts it holds it still. Those that reports came
# with are held already (contents.HOLD).
HOLD_CONTENTS = """
SELECT FROM content
WHERE id IN (SELECT content_id FROM report WHERE placement_id = ANY($1::bigint[])
             UNION SELECT content_id FROM placement_content WHERE placement_id = ANY($1::bigint[]))
ORDER BY digest FOR SHARE
"""

RECOUNT = """
WITH now AS (
    SELECT placement_id, content_id, cluster_id,
           count(*) FILTER (WHERE state = 'LIVE')::int AS live,
           count(*) FILTER (WHERE state = 'ABSENT')::int AS absent,
           count(*) FILTER (WHERE state = 'SUPERSEDED')::int AS superseded,
           max(image_id) AS image_id, max(observed_at) AS observed_at
    FROM report WHERE placement_id = ANY($1::bigint[])
    GROUP BY 1, 2, 3
),
before AS (
    SELECT * FROM placement_content WHERE placement_id = ANY($1::bigint[])
),
changed AS (
    SELECT coalesce(n.placement_id, b.placement_id) AS placement_id,
           coalesce(n.content_id, b.content_id) AS content_id,
           coalesce(n.cluster_id, b.cluster_id) AS cluster_id,
           n.live, n.absent, n.superseded, n.image_id, n.observed_at,
           n.placement_id IS NULL AS gone,
           (n.placement_id IS NOT NULL)::int - (b.placement_id IS NOT NULL)::int AS rows,
           coalesce(n.live + n.absent, 0) - coalesce(b.live + b.absent, 0) AS reports,
           (coalesce(n.live + n.absent, 0) > 0)::int
               - (coalesce(b.live + b.absent, 0) > 0)::int AS placements
    FROM now n
    FULL JOIN before b ON b.placement_id = n.placement_id AND b.content_id = n.content_id
    WHERE (n.live, n.absent, n.superseded, n.image_id, n.observed_at)
        IS DISTINCT FROM (b.live, b.absent, b.superseded, b.image_id, b.observed_at)
),
removed AS (
    DELETE FROM placement_content pc USING changed c
    WHERE c.gone AND pc.placement_id = c.placement_id AND pc.content_id = c.content_id
),
written AS (
    INSERT INTO placement_content (placement_id, content_id, cluster_id, live, absent, superseded,
        image_id, since, observed_at)
    SELECT placement_id, content_id, cluster_id, live, absent, superseded, image_id, $2,
        observed_at
    FROM changed WHERE NOT gone
    ON CONFLICT (placement_id, content_id) DO UPDATE SET
        live = excluded.live, absent = excluded.absent, superseded = excluded.superseded,
        image_id = excluded.image_id, observed_at = excluded.observed_at
),
counted AS (
    INSERT INTO severity_count (cluster_id, namespace, source, category, severity, status,
        findings, occurrences)
    SELECT p.cluster_id, p.namespace, p.source, cc.category, cc.severity, cc.status,
        sum(cc.findings * c.placements), sum(cc.findings * c.reports)
    FROM changed c
    JOIN placement p ON p.id = c.placement_id
    JOIN content_count cc ON cc.content_id = c.content_id
    WHERE c.reports <> 0
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (cluster_id, namespace, source, category, severity, status) DO UPDATE SET
        findings = severity_count.findings + excluded.findings,
        occurrences = severity_count.occurrences + excluded.occurrences
),
used AS (
    INSERT INTO usage (content_id, cluster_id, namespace, "rows", placements, reports)
    SELECT c.content_id, p.cluster_id, p.namespace, sum(c.rows), sum(c.placements), sum(c.reports)
    FROM changed c
    JOIN placement p ON p.id = c.placement_id
    WHERE c.rows <> 0 OR c.reports <> 0
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
    ON CONFLICT (content_id, cluster_id, namespace) DO UPDATE SET
        "rows" = usage."rows" + excluded."rows",
        placements = usage.placements + excluded.placements,
        reports = usage.reports + excluded.reports
)
SELECT array_agg(DISTINCT cluster_id) FILTER (WHERE reports < 0 OR rows < 0) AS clusters,
       array_agg(DISTINCT content_id) FILTER (WHERE rows < 0) AS contents
FROM changed
"""

DROP_EMPTY_COUNTS = """
DELETE FROM severity_count
WHERE cluster_id = ANY($1::int[]) AND findings = 0 AND occurrences = 0
"""

DROP_EMPTY_USAGE = """
DELETE FROM usage
WHERE content_id = ANY($2::bigint[]) AND cluster_id = ANY($1::int[]) AND "rows" = 0
"""

# Which images a subject shows, by report or by running pod; and what is left of the subject.
RECOUNT_IMAGES = """
WITH now AS (
    SELECT image_id, cluster_id, namespace, subject_id, sum(reports)::int AS reports,
           sum(pods)::int AS pods
    FROM (
        SELECT r.image_id, p.cluster_id, p.namespace, p.subject_id, 1 AS reports, 0 AS pods
        FROM placement p JOIN report r ON r.placement_id = p.id
        WHERE p.subject_id = ANY($1::bigint[]) AND r.image_id IS NOT NULL
          AND r.state <> 'SUPERSEDED'
        UNION ALL
        SELECT ri.image_id, ri.cluster_id, s.namespace, ri.subject_id, 0, ri.pods
        FROM running_image ri JOIN subject s ON s.id = ri.subject_id
        WHERE ri.subject_id = ANY($1::bigint[])
    ) AS shown
    GROUP BY 1, 2, 3, 4
),
removed AS (
    DELETE FROM image_usage u
    WHERE u.subject_id = ANY($1::bigint[]) AND NOT EXISTS (
        SELECT FROM now n WHERE n.subject_id = u.subject_id AND n.image_id = u.image_id)
)
INSERT INTO image_usage AS u (image_id, cluster_id, namespace, subject_id, reports, pods)
SELECT * FROM now ORDER BY image_id, cluster_id, subject_id
ON CONFLICT (image_id, cluster_id, subject_id)
DO UPDATE SET reports = excluded.reports, pods = excluded.pods
WHERE (u.reports, u.pods) <> (excluded.reports, excluded.pods)
"""

RECOUNT_SUBJECTS = """
UPDATE subject s SET present = n.present, scanned = n.scanned
FROM (
    SELECT s.id,
        EXISTS (SELECT FROM placement p JOIN report r ON r.placement_id = p.id
                WHERE p.subject_id = s.id AND r.state <> 'SUPERSEDED') AS scanned,
        coalesce(s.running, false)
        OR EXISTS (SELECT FROM placement p JOIN report r ON r.placement_id = p.id
                   WHERE p.subject_id = s.id)
        OR EXISTS (SELECT FROM namespace n WHERE n.subject_id = s.id)
        OR EXISTS (SELECT FROM node n WHERE n.subject_id = s.id) AS present
    FROM subject s WHERE s.id = ANY($1::bigint[])
) AS n
WHERE n.id = s.id AND (s.present, s.scanned) <> (n.present, n.scanned)
"""

SUBJECTS_OF = "SELECT DISTINCT subject_id FROM placement WHERE id = ANY($1::bigint[])"


async def recount(connection: Connection, placements: Sequence[int], at: object) -> None:
    """Count placements again; `at` dates what is new at one of them."""
    if not placements:
        return
    await connection.execute(HOLD_CONTENTS, placements)
    decreased = await connection.fetchrow(RECOUNT, placements, at)
    if decreased and decreased["clusters"]:
        await connection.execute(DROP_EMPTY_COUNTS, decreased["clusters"])
        await connection.execute(
            DROP_EMPTY_USAGE, decreased["clusters"], decreased["contents"] or []
        )


async def recount_subjects(
    connection: Connection, placements: Sequence[int], subjects: Sequence[int]
) -> None:
    """Count what the subjects of placements, and further subjects, show."""
    touched = {row[0] for row in await connection.fetch(SUBJECTS_OF, placements)} | set(subjects)
    if touched:
        ids = sorted(touched)
        await connection.execute(RECOUNT_IMAGES, ids)
        await connection.execute(RECOUNT_SUBJECTS, ids)
