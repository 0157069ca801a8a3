"""Counting everything that is stored as a count again, from the rows that it was counted from.

Ingest keeps counts in the transaction that changes what they count, so any difference is a fault: of
this program, or of somebody who changed rows by hand. Each cluster is compared within one snapshot of
its own, so ingest may go on meanwhile and a large fleet holds no snapshot for long; contents and what
belongs to the whole fleet come last. Postgres compares, and hands out differences only: memory is
bounded by `EXAMPLES`.

Counts that are taken by the clock (`finding_stats`) are not compared: they say when they were taken.
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from aggregator.store.pool import Connection, Pool

EXAMPLES = 3  # differing rows shown of a table and cluster
CONTENTS = 5_000  # contents that are counted again by one statement
TIMEOUT = 3600.0  # seconds for one statement: a cluster's events may be millions


class Check(Struct, frozen=True):
    """How a table is compared: both queries give the columns of `keys` and `values`.

    A query's parameters are $1 the cluster; or $1 and $2 the contents after and up to which it counts;
    or none.
    """

    table: str
    keys: str
    values: str
    counted: str
    stored: str


class Drift(Struct, frozen=True):
    """A table whose rows differ from a recount; an example has the row stored and the row counted."""

    table: str
    cluster: str | None  # None where it is of the whole fleet
    rows: int
    examples: tuple[dict[str, Any], ...]


# Events and their counts go by the day, either of them first: what is older than one is on its way out.
_KEPT = """(SELECT greatest(
    (SELECT to_date(min(right(c.relname, 8)), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC'
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'runtime_event'::regclass),
    (SELECT date_trunc('day', min(hour), 'UTC') FROM runtime_event_hour)))"""

_PLACES = """
SELECT placement_id, content_id, cluster_id, count(*) FILTER (WHERE state = 'LIVE')::int AS live,
       count(*) FILTER (WHERE state = 'ABSENT')::int AS absent,
       count(*) FILTER (WHERE state = 'SUPERSEDED')::int AS superseded, max(image_id) AS image_id,
       max(observed_at) AS observed_at
FROM report WHERE cluster_id = $1 GROUP BY 1, 2, 3
"""

OF_CLUSTER = (
    Check(
        "placement_content",
        "placement_id, content_id",
        "cluster_id, live, absent, superseded, image_id, observed_at",
        _PLACES,
        """
        SELECT placement_id, content_id, cluster_id, live, absent, superseded, image_id, observed_at
        FROM placement_content WHERE cluster_id = $1""",
    ),
    Check(
        "severity_count",
        "namespace, source, category, severity, status",
        "findings, occurrences",
        f"""
        SELECT p.namespace, p.source, f.category, f.severity, f.status, count(*) AS findings,
               sum(pc.live + pc.absent)::bigint AS occurrences
        FROM ({_PLACES}) pc
        JOIN placement p ON p.id = pc.placement_id
        JOIN finding f ON f.content_id = pc.content_id
        WHERE pc.live + pc.absent > 0 GROUP BY 1, 2, 3, 4, 5""",
        """
        SELECT namespace, source, category, severity, status, findings, occurrences
        FROM severity_count WHERE cluster_id = $1""",
    ),
    Check(
        "cluster_severity_count",
        "source, category, severity, status",
        "findings, occurrences",
        """
        SELECT source, category, severity, status, sum(findings)::bigint AS findings,
               sum(occurrences)::bigint AS occurrences
        FROM severity_count WHERE cluster_id = $1 GROUP BY 1, 2, 3, 4""",
        """
        SELECT source, category, severity, status, findings, occurrences
        FROM cluster_severity_count WHERE cluster_id = $1""",
    ),
    Check(
        "usage",
        "content_id, namespace",
        "rows, placements, reports",
        f"""
        SELECT pc.content_id, p.namespace, count(*)::int AS rows,
               count(*) FILTER (WHERE pc.live + pc.absent > 0)::int AS placements,
               sum(pc.live + pc.absent)::int AS reports
        FROM ({_PLACES}) pc JOIN placement p ON p.id = pc.placement_id GROUP BY 1, 2""",
        """
        SELECT content_id, namespace, "rows", placements, reports FROM usage WHERE cluster_id = $1""",
    ),
    Check(
        "image_usage",
        "image_id, namespace, subject_id",
        "reports, pods",
        """
        SELECT image_id, namespace, subject_id, sum(reports)::int AS reports, sum(pods)::int AS pods
        FROM (
            SELECT r.image_id, p.namespace, p.subject_id, 1 AS reports, 0 AS pods
            FROM report r JOIN placement p ON p.id = r.placement_id
            WHERE r.cluster_id = $1 AND r.state <> 'SUPERSEDED' AND r.image_id IS NOT NULL
            UNION ALL
            SELECT ri.image_id, s.namespace, ri.subject_id, 0, ri.pods
            FROM running_image ri JOIN subject s ON s.id = ri.subject_id
            WHERE ri.cluster_id = $1) x
        GROUP BY 1, 2, 3""",
        """
        SELECT image_id, namespace, subject_id, reports, pods FROM image_usage
        WHERE cluster_id = $1""",
    ),
    Check(
        "subject",
        "id",
        "present, scanned",
        """
        SELECT s.id,
               coalesce(s.running, false) OR bool_or(r.key IS NOT NULL)
               OR EXISTS (SELECT FROM namespace n WHERE n.subject_id = s.id)
               OR EXISTS (SELECT FROM node n WHERE n.subject_id = s.id) AS present,
               coalesce(bool_or(r.state <> 'SUPERSEDED'), false) AS scanned
        FROM subject s
        LEFT JOIN placement p ON p.subject_id = s.id
        LEFT JOIN report r ON r.placement_id = p.id
        WHERE s.cluster_id = $1 GROUP BY s.id""",
        "SELECT id, present, scanned FROM subject WHERE cluster_id = $1",
    ),
    Check(
        "placement",
        "id",
        "contents, keysets",
        """
        SELECT p.id, count(pc.content_id)::int AS contents,
               CASE WHEN bool_or(pc.live + pc.absent > 0)
                    THEN array_agg(DISTINCT c.keyset_id ORDER BY c.keyset_id)
                         FILTER (WHERE pc.live + pc.absent > 0)
                    ELSE p.keysets END AS keysets
        FROM placement p
        LEFT JOIN placement_content pc ON pc.placement_id = p.id
        LEFT JOIN content c ON c.id = pc.content_id
        WHERE p.cluster_id = $1 GROUP BY p.id""",
        "SELECT id, contents, keysets FROM placement WHERE cluster_id = $1",
    ),
    Check(
        "sync_root",
        "kind",
        "entries, root",
        """
        SELECT kind, count(*)::int AS entries, bit_xor(fingerprint) AS root FROM (
            SELECT k.api_group || '/' || k.kind AS kind, r.fingerprint
            FROM report r JOIN report_kind k ON k.id = r.kind_id
            WHERE r.cluster_id = $1 AND r.state <> 'ABSENT'
            UNION ALL
            SELECT api_group || '/' || kind, fingerprint FROM failed_report WHERE cluster_id = $1
            UNION ALL
            SELECT 'inventory/Workload', fingerprint FROM workload WHERE cluster_id = $1
            UNION ALL
            SELECT 'inventory/Namespace', fingerprint FROM namespace WHERE cluster_id = $1
            UNION ALL
            SELECT 'inventory/Node', fingerprint FROM node WHERE cluster_id = $1) x
        GROUP BY 1""",
        """
        SELECT kind, entries, root FROM sync_root
        WHERE cluster_id = $1 AND (entries <> 0 OR root <> 0)""",
    ),
    Check(
        "runtime_event_hour",
        "hour, namespace, rule, priority, source",
        "events",
        f"""
        SELECT date_trunc('hour', at, 'UTC') AS hour, namespace, rule, priority, source,
               count(*) AS events
        FROM runtime_event WHERE cluster_id = $1 AND at >= {_KEPT} GROUP BY 1, 2, 3, 4, 5""",
        f"""
        SELECT hour, namespace, rule, priority, source, events FROM runtime_event_hour
        WHERE cluster_id = $1 AND hour >= {_KEPT}""",
    ),
)

OF_CONTENTS = (
    Check(
        "content_count",
        "content_id, category, severity, status",
        "findings",
        """
        SELECT content_id, category, severity, status, count(*)::int AS findings FROM finding
        WHERE content_id > $1 AND content_id <= $2 GROUP BY 1, 2, 3, 4""",
        """
        SELECT content_id, category, severity, status, findings FROM content_count
        WHERE content_id > $1 AND content_id <= $2""",
    ),
)

_FLEET_HOURS = f"""
SELECT {{column}}, h.rule, h.priority, h.source, sum(h.events)::bigint AS events
FROM runtime_event_hour h JOIN cluster c ON c.id = h.cluster_id AND c.removed_at IS NULL
WHERE hour >= {_KEPT} GROUP BY 1, 2, 3, 4
"""
OF_FLEET = (
    Check(
        "runtime_event_fleet_hour",
        "hour, rule, priority, source",
        "events",
        _FLEET_HOURS.format(column="h.hour"),
        f"""
        SELECT hour, rule, priority, source, events FROM runtime_event_fleet_hour
        WHERE events <> 0 AND hour >= {_KEPT}""",
    ),
    Check(
        "runtime_event_fleet_day",
        "day, rule, priority, source",
        "events",
        _FLEET_HOURS.format(column="date_trunc('day', h.hour, 'UTC') AS day"),
        f"""
        SELECT day, rule, priority, source, events FROM runtime_event_fleet_day
        WHERE events <> 0 AND day >= {_KEPT}""",
    ),
)

_COMPARE = """
WITH counted AS ({counted}), stored AS ({stored}),
differing AS (
    SELECT jsonb_build_object('stored', to_jsonb(s), 'counted', to_jsonb(c)) AS example
    FROM stored s FULL JOIN counted c USING ({keys})
    WHERE (s IS NULL) <> (c IS NULL) OR ({of_stored}) IS DISTINCT FROM ({of_counted})
)
SELECT count(*) AS rows,
       ARRAY(SELECT example::text FROM differing LIMIT {examples}) AS examples
FROM differing
"""

CLUSTERS = """
SELECT id, name FROM cluster
WHERE removed_at IS NULL AND ($1::text IS NULL OR name = $1) ORDER BY name
"""
LAST_CONTENT = "SELECT coalesce(max(id), 0) FROM content"


class UnknownClusterError(Exception):
    """No cluster of this name exists."""


async def drifts(pool: Pool, *, cluster: str | None = None) -> AsyncIterator[Drift | str]:
    """Compare all clusters, contents and the fleet, or one cluster alone.

    Yields the name of each cluster before it is counted, and what differs. Raises `UnknownClusterError`.
    """
    rows = await pool.fetch(CLUSTERS, cluster)
    if cluster is not None and not rows:
        raise UnknownClusterError(cluster)
    for row in rows:
        yield row["name"]
        for drift in await _compare_all(pool, OF_CLUSTER, row["id"], cluster=row["name"]):
            yield drift
    if cluster is not None:
        return
    last = await pool.fetchval(LAST_CONTENT)
    for start in range(0, last, CONTENTS):
        for drift in await _compare_all(pool, OF_CONTENTS, start, start + CONTENTS):
            yield drift
    for drift in await _compare_all(pool, OF_FLEET):
        yield drift


async def _compare_all(
    pool: Pool, checks: tuple[Check, ...], *arguments: int, cluster: str | None = None
) -> list[Drift]:
    """Compare some tables within one snapshot."""
    found = []
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        for check in checks:
            drift = await _compare(connection, check, arguments, cluster)
            if drift is not None:
                found.append(drift)
    return found


async def _compare(
    connection: Connection, check: Check, arguments: tuple[int, ...], cluster: str | None
) -> Drift | None:
    statement = _COMPARE.format(
        counted=check.counted,
        stored=check.stored,
        keys=check.keys,
        of_stored=_of("s", check.values),
        of_counted=_of("c", check.values),
        examples=EXAMPLES,
    )
    row = await connection.fetchrow(statement, *arguments, timeout=TIMEOUT)
    if row is None or row["rows"] == 0:
        return None
    examples = tuple(msgspec.json.decode(example) for example in row["examples"])
    return Drift(check.table, cluster, row["rows"], examples)


def _of(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns.split(", "))
