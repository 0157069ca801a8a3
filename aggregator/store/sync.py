"""What the aggregator holds of a cluster, as fingerprints, and who may write it.

The root of a kind is the XOR of its entries' fingerprints. It is kept in the ingest transaction;
buckets and entries are derived when a comparison asks for them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from aggregator.store.columns import columns, signed, unsigned
from aggregator.store.pool import Connection
from protocol.messages import BUCKETS, NAMESPACES, NODES, WORKLOADS, Key, KindSummary

# A cluster that is being removed must not keep the others waiting.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"

LOCK_SESSIONS = """
SELECT cluster_id, number,
       greatest(clock_timestamp(), last_change_at + interval '1 microsecond') AS at,
       CASE WHEN quota_day = current_date THEN quota_rules ELSE 0 END AS rules,
       CASE WHEN quota_day = current_date THEN quota_bytes ELSE 0 END AS bytes,
       CASE WHEN events_day = current_date THEN events_today ELSE 0 END AS events
FROM agent_session WHERE cluster_id = ANY($1::int[]) ORDER BY cluster_id FOR UPDATE
"""

LEAVE_SESSIONS = """
UPDATE agent_session s SET last_change_at = n.at, quota_day = current_date,
    quota_rules = n.rules, quota_bytes = n.bytes, events_day = current_date, events_today = n.events,
    last_full_sync_at = CASE WHEN n.full_sync THEN now() ELSE s.last_full_sync_at END
FROM unnest($1::int[], $2::timestamptz[], $3::int[], $4::bigint[], $5::bigint[], $6::bool[])
     AS n (cluster_id, at, rules, bytes, events, full_sync)
WHERE s.cluster_id = n.cluster_id
"""

ROOTS = "SELECT kind, entries, root FROM sync_root WHERE cluster_id = $1 AND kind = ANY($2::text[])"

MOVE_ROOTS = """
INSERT INTO sync_root AS s (cluster_id, kind, entries, root)
SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[])
ON CONFLICT (cluster_id, kind) DO UPDATE SET
    entries = s.entries + excluded.entries, root = s.root # excluded.root
"""

SET_STATES = """
INSERT INTO sync_root AS s (cluster_id, kind, state, message)
SELECT n.cluster_id, n.kind, n.state::kind_state, nullif(n.message, '')
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS n (cluster_id, kind, state, message)
ON CONFLICT (cluster_id, kind) DO UPDATE SET state = excluded.state, message = excluded.message
WHERE (s.state, s.message) IS DISTINCT FROM (excluded.state, excluded.message)
"""

CLEAR_ROOTS = """
UPDATE sync_root s SET entries = 0, root = 0
FROM unnest($1::int[], $2::text[]) AS n (cluster_id, kind)
WHERE s.cluster_id = n.cluster_id AND s.kind = n.kind
"""

SET_NEWS = """
UPDATE sync_root s SET newest_report_at = to_timestamp(n.newest / 1000.0),
    scanner = nullif(n.scanner, '')
FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[]) AS n (cluster_id, kind, newest, scanner)
WHERE s.cluster_id = n.cluster_id AND s.kind = n.kind
  AND (s.newest_report_at, s.scanner)
      IS DISTINCT FROM (to_timestamp(n.newest / 1000.0), nullif(n.scanner, ''))
"""

# Entries of a kind, wherever they are stored: $1 cluster, $2 group, $3 kind.
_REPORT_ENTRIES = """
SELECT r.namespace, r.name, r.sub_key AS sub, r.fingerprint, r.bucket
FROM report r JOIN report_kind k ON k.id = r.kind_id
WHERE r.cluster_id = $1 AND k.api_group = $2 AND k.kind = $3 AND r.state <> 'ABSENT'
UNION ALL
SELECT namespace, name, sub_key, fingerprint, bucket FROM failed_report
WHERE cluster_id = $1 AND api_group = $2 AND kind = $3
"""
_WORKLOAD_ENTRIES = """
SELECT s.namespace, s.name, s.api_group || '/' || s.kind AS sub, w.fingerprint, w.bucket
FROM workload w JOIN subject s ON s.id = w.subject_id
WHERE w.cluster_id = $1 AND $2::text IS NOT NULL AND $3::text IS NOT NULL
"""
_NAMESPACE_ENTRIES = """
SELECT '' AS namespace, name, '' AS sub, fingerprint, bucket FROM namespace
WHERE cluster_id = $1 AND $2::text IS NOT NULL AND $3::text IS NOT NULL
"""
_NODE_ENTRIES = _NAMESPACE_ENTRIES.replace("FROM namespace", "FROM node")
_ENTRIES = {
    WORKLOADS: _WORKLOAD_ENTRIES,
    NAMESPACES: _NAMESPACE_ENTRIES,
    NODES: _NODE_ENTRIES,
}


class Locked(Struct):
    """A session that nobody else writes for meanwhile.

    `at` rises from one transaction to the next. `rules` and `bytes` are what the cluster has added
    today to what all clusters share, `events` the runtime events that it has brought. `full_sync` says
    that the cluster and what is held of it are found equal now.
    """

    cluster_id: int
    number: int
    at: datetime
    rules: int
    bytes: int
    events: int
    full_sync: bool = False


async def lock_sessions(connection: Connection, clusters: Iterable[int]) -> dict[int, Locked]:
    """Lock the sessions of clusters, in the order of their ids."""
    await connection.execute(LOCK_TIMEOUT)
    rows = await connection.fetch(LOCK_SESSIONS, sorted(clusters))
    return {row["cluster_id"]: Locked(**row) for row in rows}


async def leave_sessions(connection: Connection, sessions: Iterable[Locked]) -> None:
    """Write back what the transaction has changed of sessions."""
    rows = [(s.cluster_id, s.at, s.rules, s.bytes, s.events, s.full_sync) for s in sessions]
    await connection.execute(LEAVE_SESSIONS, *columns(rows, 6))


async def roots(
    connection: Connection, cluster_id: int, kinds: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Count of entries and root of some kinds; a kind that is not held is left out."""
    rows = await connection.fetch(ROOTS, cluster_id, kinds)
    return {row["kind"]: (row["entries"], unsigned(row["root"])) for row in rows}


async def bucket_fingerprints(connection: Connection, cluster_id: int, kind: str) -> list[int]:
    """XOR of the fingerprints in each of a kind's 256 buckets."""
    statement = (
        "SELECT bucket, bit_xor(fingerprint) AS root FROM ("
        f"{_ENTRIES.get(kind, _REPORT_ENTRIES)}) AS e GROUP BY bucket"
    )
    fingerprints = [0] * BUCKETS
    for row in await connection.fetch(statement, cluster_id, *split_kind(kind)):
        fingerprints[row["bucket"]] = unsigned(row["root"])
    return fingerprints


async def entries(
    connection: Connection, cluster_id: int, kind: str, buckets: Sequence[int]
) -> dict[Key, int]:
    """Key → fingerprint of the entries in some buckets."""
    statement = (
        "SELECT namespace, name, sub, fingerprint FROM ("
        f"{_ENTRIES.get(kind, _REPORT_ENTRIES)}) AS e WHERE bucket = ANY($4::smallint[])"
    )
    rows = await connection.fetch(statement, cluster_id, *split_kind(kind), list(buckets))
    return {
        Key(row["namespace"], row["name"], row["sub"]): unsigned(row["fingerprint"]) for row in rows
    }


async def move_roots(connection: Connection, moves: dict[tuple[int, str], tuple[int, int]]) -> None:
    """Apply (cluster, kind) → (entries more or fewer, XOR, signed)."""
    rows = [(*place, *move) for place, move in sorted(moves.items()) if move != (0, 0)]
    if rows:
        await connection.execute(MOVE_ROOTS, *columns(rows, 4))


async def set_states(connection: Connection, states: Sequence[tuple[int, KindSummary]]) -> None:
    """Write how well each kind is known."""
    latest = {(cluster_id, kind.kind): kind for cluster_id, kind in states}
    rows = [(*place, str(kind.state), kind.message) for place, kind in sorted(latest.items())]
    await connection.execute(SET_STATES, *columns(rows, 4))


def split_kind(kind: str) -> tuple[str, str]:
    """Split "group/Kind" into group and kind."""
    group, _, name = kind.rpartition("/")
    return group, name


def xor(fingerprints: Iterable[int]) -> int:
    """XOR of unsigned fingerprints, signed as Postgres holds it."""
    total = 0
    for fingerprint in fingerprints:
        total ^= fingerprint
    return signed(total)
