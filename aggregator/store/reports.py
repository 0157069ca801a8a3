"""Reports: context rows that point at contents, and the objects that could not be read.

Every statement takes the entries of any number of clusters at once. The caller holds the locks of
those clusters' sessions, so no row of theirs changes under it.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from aggregator.store.columns import Columns, columns
from aggregator.store.pool import Connection

REPORT_COLUMNS = 26
KEY_COLUMNS = 6  # cluster_id, api_group, kind, namespace, name, sub_key

KEYS = "unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])"
KEY = "report_key(k.api_group, k.kind, k.namespace, k.name, k.sub_key)"  # of a row of KEYS

# A catalogue that all clusters share, so by its key.
ADD_KINDS = """
INSERT INTO report_kind (api_group, kind)
SELECT DISTINCT n.api_group, n.kind FROM unnest($1::text[], $2::text[]) AS n (api_group, kind)
WHERE NOT EXISTS (
    SELECT FROM report_kind k WHERE (k.api_group, k.kind) = (n.api_group, n.kind))
ORDER BY 1, 2
ON CONFLICT (api_group, kind) DO NOTHING
"""

# The columns of an incoming report, in the order of `ReportRow`.
INCOMING = """
incoming AS (
    SELECT * FROM unnest(
        $1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bool[], $14::text[],
        $15::text[], $16::text[], $17::text[], $18::text[], $19::bytea[], $20::text[], $21::text[],
        $22::text[], $23::bigint[], $24::bigint[], $25::bigint[], $26::smallint[])
    AS i (cluster_id, api_group, kind, namespace, name, sub_key, uid,
        source, subject_group, subject_kind, subject_namespace, subject_name, superseded, container,
        registry, repository, tag, image_digest, content, scanner, scanner_version,
        labels, reported_at, observed_at, fingerprint, bucket)
)
"""

ADD_IMAGES = """
INSERT INTO image (registry, repository, tag, digest, digest_trusted)
SELECT n.registry, n.repository, n.tag, n.digest, bool_or(n.trusted)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[])
     AS n (registry, repository, tag, digest, trusted)
LEFT JOIN image i USING (registry, repository, tag, digest)
WHERE i.id IS NULL OR (n.trusted AND NOT i.digest_trusted)
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
ON CONFLICT (registry, repository, tag, digest)
DO UPDATE SET digest_trusted = image.digest_trusted OR excluded.digest_trusted
"""

ADD_SUBJECTS = """
INSERT INTO subject (cluster_id, api_group, kind, namespace, name, resolved)
SELECT n.cluster_id, n.api_group, n.kind, n.namespace, n.name, bool_or(n.resolved)
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[])
     AS n (cluster_id, api_group, kind, namespace, name, resolved)
LEFT JOIN subject s USING (cluster_id, api_group, kind, namespace, name)
WHERE s.id IS NULL OR (n.resolved AND NOT s.resolved)
GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (cluster_id, namespace, kind, name, api_group)
DO UPDATE SET resolved = subject.resolved OR excluded.resolved
"""

ADD_PLACEMENTS = f"""
WITH {INCOMING}
INSERT INTO placement (cluster_id, subject_id, namespace, category, source, container)
SELECT DISTINCT s.cluster_id, s.id,
       CASE WHEN s.kind = 'Namespace' AND s.api_group = '' THEN s.name ELSE s.namespace END, cat.category::finding_category, i.source,
       i.container
FROM incoming i
JOIN subject s ON (s.cluster_id, s.namespace, s.kind, s.name, s.api_group)
    = (i.cluster_id, i.subject_namespace, i.subject_kind, i.subject_name, i.subject_group)
JOIN content c ON c.digest = i.content
LEFT JOIN unnest($27::text[], $28::text[]) AS cat (kind, category) ON cat.kind = c.kind
WHERE NOT EXISTS (  -- what conflicts takes an id all the same, and these are of 32 bits
    SELECT FROM placement p
    WHERE p.subject_id = s.id AND p.source = i.source AND p.container = i.container
      AND p.category IS NOT DISTINCT FROM cat.category::finding_category)
ON CONFLICT (subject_id, category, source, container) DO NOTHING
"""

# What stands at these keys: placements to count again, and the roots without them.
STANDING = f"""
SELECT k.cluster_id, k.api_group || '/' || k.kind AS kind,
       count(*) FILTER (WHERE r.state <> 'ABSENT')::int AS entries,
       coalesce(bit_xor(r.fingerprint) FILTER (WHERE r.state <> 'ABSENT'), 0) AS root,
       array_agg(DISTINCT r.placement_id) AS placements
FROM {KEYS} AS k (cluster_id, api_group, kind, namespace, name, sub_key)
JOIN report r ON (r.cluster_id, r.key) = (k.cluster_id, {KEY})
GROUP BY 1, 2
"""

UPSERT = f"""
WITH {INCOMING},
resolved AS (
    SELECT i.*, p.id AS placement_id, c.id AS content_id, im.id AS image_id, rk.id AS kind_id
    FROM incoming i
    JOIN report_kind rk ON (rk.api_group, rk.kind) = (i.api_group, i.kind)
    JOIN subject s ON (s.cluster_id, s.namespace, s.kind, s.name, s.api_group)
        = (i.cluster_id, i.subject_namespace, i.subject_kind, i.subject_name, i.subject_group)
    JOIN content c ON c.digest = i.content
    LEFT JOIN unnest($27::text[], $28::text[]) AS cat (kind, category) ON cat.kind = c.kind
    JOIN placement p ON p.subject_id = s.id AND p.source = i.source AND p.container = i.container
        AND p.category IS NOT DISTINCT FROM cat.category::finding_category
    LEFT JOIN image im ON (im.registry, im.repository, im.tag, im.digest)
        = (i.registry, i.repository, i.tag, i.image_digest)
),
written AS (
    INSERT INTO report (cluster_id, key, kind_id, namespace, name, sub_key, uid, placement_id,
        content_id, image_id, state, scanner, scanner_version, labels, reported_at, observed_at,
        fingerprint, bucket)
    SELECT cluster_id, report_key(api_group, kind, namespace, name, sub_key), kind_id, namespace, name,
        sub_key, uid, placement_id, content_id, image_id,
        CASE WHEN superseded THEN 'SUPERSEDED' ELSE 'LIVE' END::report_state,
        scanner, scanner_version, labels::jsonb, to_timestamp(reported_at / 1000.0),
        to_timestamp(observed_at / 1000.0), fingerprint, bucket
    FROM resolved
    ON CONFLICT (cluster_id, key) DO UPDATE SET
        uid = excluded.uid, placement_id = excluded.placement_id,
        content_id = excluded.content_id, image_id = excluded.image_id, state = excluded.state,
        scanner = excluded.scanner, scanner_version = excluded.scanner_version,
        labels = excluded.labels, reported_at = excluded.reported_at,
        observed_at = excluded.observed_at, absent_since = NULL,
        fingerprint = excluded.fingerprint, bucket = excluded.bucket
    RETURNING cluster_id, kind_id, fingerprint, placement_id
)
SELECT w.cluster_id, rk.api_group || '/' || rk.kind AS kind, count(*)::int AS entries,
       bit_xor(w.fingerprint) AS root, array_agg(DISTINCT w.placement_id) AS placements
FROM written w JOIN report_kind rk ON rk.id = w.kind_id GROUP BY 1, 2
"""

# Scanners delete and scan again on a TTL: while its subject runs, what a place showed last stays,
# marked ABSENT, until it returns or grace passes.
REMOVE = f"""
WITH target AS (
    SELECT r.key, r.placement_id, r.cluster_id, k.api_group, k.kind, r.state, r.fingerprint,
           to_timestamp(k.observed_at / 1000.0) AS observed_at
    FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::bigint[])
         AS k (cluster_id, api_group, kind, namespace, name, sub_key, observed_at)
    JOIN report r ON (r.cluster_id, r.key) = (k.cluster_id, {KEY})
    WHERE r.state <> 'ABSENT'
),
gone AS (
    SELECT t.*, t.state = 'LIVE' AND coalesce(s.running, false) AND NOT EXISTS (
               SELECT FROM report other
               WHERE other.placement_id = t.placement_id AND other.state = 'LIVE'
                 AND (other.cluster_id, other.key) NOT IN (SELECT cluster_id, key FROM target)) AS stays
    FROM target t
    JOIN placement p ON p.id = t.placement_id
    JOIN subject s ON s.id = p.subject_id
),
marked AS (
    UPDATE report r SET state = 'ABSENT', absent_since = $8, observed_at = gone.observed_at
    FROM gone WHERE (r.cluster_id, r.key) = (gone.cluster_id, gone.key) AND gone.stays
),
removed AS (
    DELETE FROM report r USING gone
    WHERE (r.cluster_id, r.key) = (gone.cluster_id, gone.key) AND NOT gone.stays
)
SELECT cluster_id, api_group || '/' || kind AS kind, count(*)::int AS entries,
       bit_xor(fingerprint) AS root, array_agg(DISTINCT placement_id) AS placements
FROM gone GROUP BY 1, 2
"""

# Absent reports that wait no longer: their place has a live one again, or their subject is gone.
DROP_ABSENT = """
DELETE FROM report r USING placement p, subject s
WHERE r.placement_id = ANY($1::bigint[]) AND r.state = 'ABSENT'
  AND p.id = r.placement_id AND s.id = p.subject_id
  AND (NOT coalesce(s.running, false)
       OR EXISTS (SELECT FROM report other
                  WHERE other.placement_id = r.placement_id AND other.state = 'LIVE'))
"""

DROP_KIND = """
DELETE FROM report r
USING unnest($1::int[], $2::text[], $3::text[]) AS k (cluster_id, api_group, kind)
JOIN report_kind rk USING (api_group, kind)
WHERE r.cluster_id = k.cluster_id AND r.kind_id = rk.id
RETURNING r.placement_id
"""

DROP_FAILED_KIND = """
DELETE FROM failed_report r
USING unnest($1::int[], $2::text[], $3::text[]) AS k (cluster_id, api_group, kind)
WHERE (r.cluster_id, r.api_group, r.kind) = (k.cluster_id, k.api_group, k.kind)
"""

FAILED_STANDING = f"""
DELETE FROM failed_report f
USING {KEYS} AS k (cluster_id, api_group, kind, namespace, name, sub_key)
WHERE (f.cluster_id, f.api_group, f.kind, f.namespace, f.name, f.sub_key)
    = (k.cluster_id, k.api_group, k.kind, k.namespace, k.name, k.sub_key)
RETURNING f.cluster_id, f.api_group || '/' || f.kind AS kind, f.fingerprint
"""

ADD_FAILED = """
INSERT INTO failed_report (cluster_id, api_group, kind, namespace, name, sub_key, reason, bytes,
    observed_at, fingerprint, bucket)
SELECT n.cluster_id, n.api_group, n.kind, n.namespace, n.name, n.sub_key, n.reason, n.bytes,
    to_timestamp(n.observed_at / 1000.0), n.fingerprint, n.bucket
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::smallint[])
     AS n (cluster_id, api_group, kind, namespace, name, sub_key, reason, bytes, observed_at,
           fingerprint, bucket)
"""


class EntryKey(Struct, frozen=True, array_like=True):
    """A report's key within the fleet."""

    cluster_id: int
    api_group: str
    kind: str
    namespace: str
    name: str
    sub_key: str

    def row(self) -> tuple[Any, ...]:
        """The key as columns."""
        return (
            self.cluster_id,
            self.api_group,
            self.kind,
            self.namespace,
            self.name,
            self.sub_key,
        )


def key_columns(keys: Sequence[EntryKey]) -> Columns:
    """Keys as the arrays that KEYS unnests."""
    return columns((key.row() for key in keys), KEY_COLUMNS)


async def drop_kinds(connection: Connection, kinds: Sequence[tuple[int, str, str]]) -> list[int]:
    """Delete all reports of (cluster, group, kind). Returns the placements they were at."""
    rows = await connection.fetch(DROP_KIND, *columns(kinds, 3))
    return [row[0] for row in rows]
