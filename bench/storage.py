"""What a finding costs in storage, by table and index, against a row a finding.

python -m bench.storage [--size 0.1] [--keep FOLDER]

The fleet is `bench/fleet.py`'s with one report and one transition a placement, loaded into tables whose
indexes are there, as ingest would. The peer holds the same findings of a tenth of the clusters, a row
each, loaded in the same way. Goals: at most 16 bytes a logical finding, all tables and indexes counted,
and 25 times less than the peer. What a REINDEX leaves is printed beside: indexes that were filled in
random order are about two thirds full.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from bench.fleet import load

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "16GB", "fsync": "off", "work_mem": "64MB"}
GOAL = 16.0  # bytes a logical finding
TIMES = 25.0  # less than a row each
TENTH = 10  # the peer holds one cluster of as many
LEAST = 0.05  # bytes a finding that a table or index is printed from

# Tables that hold nothing cost the same whatever the fleet: they are left out. TOAST counts as heap.
SIZES = """
SELECT c.relname AS table, pg_table_size(c.oid) AS heap, pg_indexes_size(c.oid) AS indexes,
    ARRAY(SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
          WHERE x.indrelid = c.oid ORDER BY pg_relation_size(i.oid) DESC, 1) AS names,
    ARRAY(SELECT pg_relation_size(i.oid) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
          WHERE x.indrelid = c.oid ORDER BY pg_relation_size(i.oid) DESC, i.relname) AS each
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = $1::regnamespace AND c.reltuples > 0
ORDER BY pg_total_relation_size(c.oid) DESC
"""

# What products that keep a row a finding have of it; what is long and shared is behind ids there, too.
PEER = """
CREATE SCHEMA peer;
CREATE TABLE peer.finding (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id int NOT NULL,
    subject_id bigint NOT NULL,
    image_id bigint,
    first_seen timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    score real,
    namespace text NOT NULL,
    container text NOT NULL,
    source text NOT NULL,
    rule text NOT NULL,
    package text,
    installed_version text,
    fixed_version text,
    package_type text,
    message text
);
CREATE INDEX finding_cluster ON peer.finding (cluster_id, severity, id);
CREATE INDEX finding_rule ON peer.finding (rule, id);
CREATE INDEX finding_severity ON peer.finding (severity, id);
CREATE INDEX finding_package ON peer.finding (package, id);
CREATE INDEX finding_image ON peer.finding (image_id, id)
"""
FILL_PEER = f"""
INSERT INTO peer.finding (cluster_id, subject_id, image_id, first_seen, observed_at, category, severity,
    status, score, namespace, container, source, rule, package, installed_version, fixed_version,
    package_type, message)
SELECT p.cluster_id, p.subject_id, pc.image_id, t.at, pc.observed_at, f.category, f.severity, f.status,
    f.score, p.namespace, p.container, p.source, r.key, f.package, f.installed_version, f.fixed_version,
    f.package_type, f.message
FROM placement p
JOIN placement_content pc ON pc.placement_id = p.id
JOIN transition t ON t.placement_id = p.id
JOIN finding f ON f.content_id = pc.content_id
JOIN rule r ON r.id = f.rule_id
WHERE p.cluster_id % {TENTH} = 0 AND pc.live + pc.absent > 0
ORDER BY p.id
"""


async def weigh(connection: asyncpg.Connection, schema: str, findings: int, *, show: bool) -> float:
    """Return the bytes a finding of a schema; print them by table and index."""
    rows = await connection.fetch(SIZES, schema)
    for row in rows if show else ():
        heap, indexes = row["heap"] / findings, row["indexes"] / findings
        if heap + indexes < LEAST:
            continue
        each = ", ".join(
            f"{name} {size / findings:.2f}"
            for name, size in zip(row["names"], row["each"], strict=True)
            if size / findings >= LEAST
        )
        print(f"  {row['table']:20} {heap + indexes:6.2f}  {heap:6.2f}  {each}")
    return float(sum(row["heap"] + row["indexes"] for row in rows)) / findings


async def measure(dsn: str, size: float) -> int:
    """Load both and compare. Returns 1 where a goal is missed."""
    await migrate(dsn)
    started = time.perf_counter()
    findings = await load(dsn, size=size, plain=True)
    connection = await asyncpg.connect(dsn)
    try:
        database = await connection.fetchval("SELECT current_database()")
        placements = await connection.fetchval("SELECT count(*) FROM placement")
        print(
            f"{findings:,} logical findings at {placements:,} placements, loaded in"
            f" {time.perf_counter() - started:.0f} s; bytes a finding:"
        )
        print(f"  {'table':20} {'total':>6}  {'heap':>6}  indexes")
        ours = await weigh(connection, "public", findings, show=True)
        await connection.execute(PEER)
        await connection.execute(FILL_PEER, timeout=3600)
        await connection.execute("VACUUM ANALYZE peer.finding", timeout=3600)
        rows = await connection.fetchval("SELECT count(*) FROM peer.finding")
        print(f"a row a finding, {rows:,} of them:")
        peer = await weigh(connection, "peer", rows, show=True)
        await connection.execute(f'REINDEX DATABASE "{database}"', timeout=3600)
        packed = await weigh(connection, "public", findings, show=False)
        packed_peer = await weigh(connection, "peer", rows, show=False)
    finally:
        await connection.close()
    print(f"{'':28} {'ours':>8} {'a row each':>11} {'times less':>11}")
    print(f"  {'as loaded':26} {ours:8.2f} {peer:11.1f} {peer / ours:11.1f}")
    print(f"  {'after REINDEX':26} {packed:8.2f} {packed_peer:11.1f} {packed_peer / packed:11.1f}")
    print(f"  goals: at most {GOAL:g} bytes as loaded, at least {TIMES:g} times less")
    return int(ours > GOAL or peer / ours < TIMES)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=float, default=0.1)
    parser.add_argument("--keep", type=Path, help="keep the data in this empty folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "data", settings=SETTINGS) as server:
            return asyncio.run(measure(server.dsn(), given.size))


if __name__ == "__main__":
    sys.exit(main())
