"""Counts by rule, package and image over the whole fleet, for groups and orders by these.

Kept in the ingest transaction, each report would touch a hundred rows that all clusters share. So
they are taken anew, as often as costs a twentieth of one connection's time, and answers made of
them say when that was. Equal to a recount at that moment.
"""

from datetime import timedelta

from aggregator.store.pool import Pool

EVERY = timedelta(seconds=60)  # at least, between two times
SHARE = 20  # times as long as it took, at least
TIMEOUT = 900  # seconds for one statement of it
WORK_MEM = "64MB"

DUE = """
SELECT NOT EXISTS (SELECT FROM finding_stats_taken
                   WHERE at > clock_timestamp() - greatest($1::interval, $2::int * seconds * interval '1 second'))
"""
SETTINGS = f"""
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SET LOCAL statement_timeout = '{TIMEOUT}s';
SET LOCAL work_mem = '{WORK_MEM}'
"""
BIT = "bit_or(set_bit((SELECT repeat('0', max(ordinal) + 1)::bit varying FROM cluster), c.ordinal, 1))"
USED = f"""
CREATE TEMP TABLE used ON COMMIT DROP AS
SELECT u.content_id, sum(u.placements) AS placements, sum(u.reports) AS reports, {BIT} AS clusters
FROM usage u JOIN cluster c ON c.id = u.cluster_id AND c.removed_at IS NULL WHERE u.placements > 0 GROUP BY 1;
CREATE TEMP TABLE imaged ON COMMIT DROP AS
SELECT coalesce(pc.image_id, 0) AS image_id, pc.content_id, count(*) AS placements, sum(pc.live + pc.absent) AS reports,
    {BIT} AS clusters
FROM placement_content pc JOIN cluster c ON c.id = pc.cluster_id AND c.removed_at IS NULL
WHERE pc.live + pc.absent > 0 GROUP BY 1, 2;
ANALYZE used, imaged
"""
KIND = "category, severity, status, fixable"
ENTRIES = """
SELECT content_id, rule_id, coalesce(package, '') AS package, category, severity, status,
    fixed_version IS NOT NULL AS fixable, 1 AS entries FROM finding
"""
OF_CONTENT = f"""
SELECT content_id, {KIND}, sum(entries) AS entries FROM ({ENTRIES}) e GROUP BY content_id, {KIND}
"""
SUMS = """
sum(f.entries * u.placements)::bigint AS findings, sum(f.entries * u.reports)::bigint AS occurrences,
bit_or(u.clusters) AS clusters
"""
# What is counted by what: the table, its key, and where that comes from.
COUNTED = {
    "rule_stat": ("rule_id", f"({ENTRIES}) f JOIN used u USING (content_id)"),
    "package_stat": ("package", f"({ENTRIES}) f JOIN used u USING (content_id)"),
    "image_stat": ("image_id", f"({OF_CONTENT}) f JOIN imaged u USING (content_id)"),
}
TAKE = """
CREATE TEMP TABLE new_{table} ON COMMIT DROP AS
SELECT {key}, {kind}, {sums} FROM {source} GROUP BY {key}, {kind};
ALTER TABLE new_{table} ADD PRIMARY KEY ({key}, {kind});
DELETE FROM {table} o WHERE NOT EXISTS (
    SELECT FROM new_{table} n WHERE (n.{key}, n.category, n.severity, n.status, n.fixable)
                                  = (o.{key}, o.category, o.severity, o.status, o.fixable));
INSERT INTO {table} AS o ({key}, {kind}, findings, occurrences, clusters)
SELECT {key}, {kind}, findings, occurrences, clusters FROM new_{table}
ON CONFLICT ({key}, {kind}) DO UPDATE
SET findings = excluded.findings, occurrences = excluded.occurrences, clusters = excluded.clusters
WHERE (o.findings, o.occurrences, o.clusters) <> (excluded.findings, excluded.occurrences, excluded.clusters)
"""
SPREAD = """
CREATE TEMP TABLE new_spread ON COMMIT DROP AS
SELECT image_id, count(DISTINCT cluster_id)::int AS clusters FROM image_usage
WHERE cluster_id NOT IN (SELECT id FROM cluster WHERE removed_at IS NOT NULL) GROUP BY 1;
DELETE FROM image_spread o WHERE NOT EXISTS (SELECT FROM new_spread n WHERE n.image_id = o.image_id);
INSERT INTO image_spread AS o SELECT * FROM new_spread
ON CONFLICT (image_id) DO UPDATE SET clusters = excluded.clusters WHERE o.clusters <> excluded.clusters
"""
TAKEN = """
INSERT INTO finding_stats_taken (at, seconds)
VALUES (now(), extract(epoch FROM clock_timestamp() - now()))
ON CONFLICT (one) DO UPDATE SET at = excluded.at, seconds = excluded.seconds
"""


async def due(pool: Pool) -> bool:
    """Tell whether it is time to take the counts anew."""
    answer: bool = await pool.fetchval(DUE, EVERY, SHARE)
    return answer


async def take(pool: Pool) -> None:
    """Take the counts anew, of one moment, in one transaction; one caller at a time."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SETTINGS)
        await connection.execute(USED, timeout=TIMEOUT)
        for table, (key, source) in COUNTED.items():
            statements = TAKE.format(table=table, key=key, kind=KIND, sums=SUMS, source=source)
            await connection.execute(statements, timeout=TIMEOUT)
        await connection.execute(SPREAD, timeout=TIMEOUT)
        await connection.execute(TAKEN)
