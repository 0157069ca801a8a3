"""Counting everything again from the reports, to compare with what ingest kept."""

import asyncpg

PLACEMENT_CONTENT = """
SELECT placement_id, content_id, cluster_id, count(*) FILTER (WHERE state = 'LIVE') AS live,
       count(*) FILTER (WHERE state = 'ABSENT') AS absent,
       count(*) FILTER (WHERE state = 'SUPERSEDED') AS superseded, max(image_id) AS image_id
FROM report GROUP BY 1, 2, 3
"""

RECOUNTS = {
    "placement_content": (
        PLACEMENT_CONTENT,
        """
        SELECT placement_id, content_id, cluster_id, live, absent, superseded, image_id
        FROM placement_content""",
    ),
    "severity_count": (
        f"""
        SELECT p.cluster_id, p.namespace, p.source, f.category, f.severity, f.status,
               count(*) AS findings, sum(pc.live + pc.absent) AS occurrences
        FROM ({PLACEMENT_CONTENT}) pc
        JOIN placement p ON p.id = pc.placement_id
        JOIN finding f ON f.content_id = pc.content_id
        WHERE pc.live + pc.absent > 0 GROUP BY 1, 2, 3, 4, 5, 6""",
        "SELECT * FROM severity_count",
    ),
    "cluster_severity_count": (
        """
        SELECT cluster_id, source, category, severity, status, sum(findings), sum(occurrences)
        FROM severity_count GROUP BY 1, 2, 3, 4, 5""",
        "SELECT * FROM cluster_severity_count",
    ),
    "usage": (
        f"""
        SELECT pc.content_id, p.cluster_id, p.namespace, count(*),
               count(*) FILTER (WHERE pc.live + pc.absent > 0), sum(pc.live + pc.absent)
        FROM ({PLACEMENT_CONTENT}) pc JOIN placement p ON p.id = pc.placement_id
        GROUP BY 1, 2, 3""",
        "SELECT * FROM usage",
    ),
    "image_usage": (
        """
        SELECT image_id, cluster_id, namespace, subject_id, sum(reports), sum(pods) FROM (
            SELECT r.image_id, p.cluster_id, p.namespace, p.subject_id, 1 AS reports, 0 AS pods
            FROM report r JOIN placement p ON p.id = r.placement_id
            WHERE r.state <> 'SUPERSEDED' AND r.image_id IS NOT NULL
            UNION ALL
            SELECT ri.image_id, ri.cluster_id, s.namespace, ri.subject_id, 0, ri.pods
            FROM running_image ri JOIN subject s ON s.id = ri.subject_id) x
        GROUP BY 1, 2, 3, 4""",
        "SELECT image_id, cluster_id, namespace, subject_id, reports, pods FROM image_usage",
    ),
    "sync_root": (
        """
        SELECT cluster_id, kind, count(*), bit_xor(fingerprint) FROM (
            SELECT cluster_id, api_group || '/' || kind AS kind, fingerprint FROM report
            WHERE state <> 'ABSENT'
            UNION ALL
            SELECT cluster_id, api_group || '/' || kind, fingerprint FROM failed_report
            UNION ALL SELECT cluster_id, 'inventory/Workload', fingerprint FROM workload
            UNION ALL SELECT cluster_id, 'inventory/Namespace', fingerprint FROM namespace
            UNION ALL SELECT cluster_id, 'inventory/Node', fingerprint FROM node) x
        GROUP BY 1, 2""",
        "SELECT cluster_id, kind, entries, root FROM sync_root WHERE entries <> 0 OR root <> 0",
    ),
    "content_count": (
        "SELECT content_id, category, severity, status, count(*) FROM finding GROUP BY 1, 2, 3, 4",
        "SELECT * FROM content_count",
    ),
    "subject": (
        """
        SELECT id, EXISTS (SELECT FROM placement p JOIN report r ON r.placement_id = p.id
                           WHERE p.subject_id = s.id AND r.state <> 'SUPERSEDED')
        FROM subject s""",
        "SELECT id, scanned FROM subject",
    ),
}


async def assert_counts_equal_a_recount(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Every stored count equals one made from scratch."""
    for table, (recount, stored) in RECOUNTS.items():
        expected = sorted(tuple(row) for row in await pool.fetch(recount))
        assert sorted(tuple(row) for row in await pool.fetch(stored)) == expected, table
