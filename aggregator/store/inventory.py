"""Workloads, namespaces and nodes as the agents see them run.

As with reports, a statement takes the entries of any number of clusters, whose sessions the caller
has locked. Each function returns what the roots lose and gain.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from aggregator.store.columns import columns, signed
from aggregator.store.pool import Connection
from protocol.fingerprint import bucket
from protocol.messages import Item, Key, Namespace, Node, Workload

# What is there is updated, not inserted over: that takes an id each time, and these are of 32 bits.
UPSERT_SUBJECTS = """
WITH n AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[])
        AS n (cluster_id, api_group, kind, namespace, name, labels, pods)
),
known AS (
    UPDATE subject s SET labels = n.labels::jsonb, resolved = true, running = true, pods = n.pods
    FROM n
    WHERE (s.cluster_id, s.namespace, s.kind, s.name, s.api_group)
        = (n.cluster_id, n.namespace, n.kind, n.name, n.api_group)
    RETURNING s.cluster_id, s.api_group, s.kind, s.namespace, s.name, s.id
),
added AS (
    INSERT INTO subject (cluster_id, api_group, kind, namespace, name, labels, resolved, running, pods)
    SELECT n.cluster_id, n.api_group, n.kind, n.namespace, n.name, n.labels::jsonb, true, true, n.pods
    FROM n WHERE NOT EXISTS (
        SELECT FROM subject s WHERE (s.cluster_id, s.namespace, s.kind, s.name, s.api_group)
            = (n.cluster_id, n.namespace, n.kind, n.name, n.api_group))
    RETURNING cluster_id, api_group, kind, namespace, name, id
)
SELECT * FROM known UNION ALL SELECT * FROM added
"""

UPSERT_WORKLOADS = """
WITH n AS (
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[], $5::smallint[])
        AS n (cluster_id, subject_id, service_account, fingerprint, bucket)
),
before AS (SELECT w.cluster_id, w.fingerprint FROM workload w JOIN n USING (subject_id)),
written AS (
    INSERT INTO workload (cluster_id, subject_id, service_account, fingerprint, bucket)
    SELECT * FROM n
    ON CONFLICT (subject_id) DO UPDATE SET
        service_account = excluded.service_account, fingerprint = excluded.fingerprint
)
SELECT cluster_id, fingerprint FROM before
"""

DROP_RUNNING = "DELETE FROM running_image WHERE subject_id = ANY($1::bigint[])"

ADD_RUNNING = """
INSERT INTO running_image (cluster_id, subject_id, container, image_id, pods)
SELECT n.cluster_id, n.subject_id, n.container, i.id, sum(n.pods)
FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::int[])
     AS n (cluster_id, subject_id, container, registry, repository, tag, digest, pods)
JOIN image i USING (registry, repository, tag, digest)
GROUP BY 1, 2, 3, 4
"""

UPSERT_NAMESPACES = """
WITH n AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::bigint[],
                         $6::smallint[])
        AS n (cluster_id, name, subject_id, labels, fingerprint, bucket)
),
before AS (SELECT o.cluster_id, o.fingerprint FROM namespace o JOIN n USING (cluster_id, name)),
written AS (
    INSERT INTO namespace (cluster_id, name, subject_id, labels, fingerprint, bucket)
    SELECT cluster_id, name, subject_id, labels::jsonb, fingerprint, bucket FROM n
    ON CONFLICT (cluster_id, name) DO UPDATE SET
        labels = excluded.labels, fingerprint = excluded.fingerprint
)
SELECT cluster_id, fingerprint FROM before
"""

UPSERT_NODES = """
WITH n AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                         $7::text[], $8::text[], $9::bigint[], $10::smallint[])
        AS n (cluster_id, name, subject_id, labels, kubelet_version, os_image, architecture,
              container_runtime, fingerprint, bucket)
),
before AS (SELECT o.cluster_id, o.fingerprint FROM node o JOIN n USING (cluster_id, name)),
written AS (
    INSERT INTO node (cluster_id, name, subject_id, labels, kubelet_version, os_image,
        architecture, container_runtime, fingerprint, bucket)
    SELECT cluster_id, name, subject_id, labels::jsonb, kubelet_version, os_image, architecture,
        container_runtime, fingerprint, bucket
    FROM n
    ON CONFLICT (cluster_id, name) DO UPDATE SET
        labels = excluded.labels, kubelet_version = excluded.kubelet_version,
        os_image = excluded.os_image, architecture = excluded.architecture,
        container_runtime = excluded.container_runtime, fingerprint = excluded.fingerprint
)
SELECT cluster_id, fingerprint FROM before
"""

_GONE = """
UPDATE subject s SET running = false, pods = NULL
FROM gone WHERE s.id = gone.subject_id
RETURNING gone.cluster_id, gone.fingerprint, s.id
"""

REMOVE_WORKLOADS = f"""
WITH gone AS (
    DELETE FROM workload w USING subject s,
        unnest($1::int[], $2::text[], $3::text[], $4::text[])
            AS k (cluster_id, namespace, name, sub)
    WHERE s.cluster_id = k.cluster_id AND s.namespace = k.namespace AND s.name = k.name
      AND s.api_group || '/' || s.kind = k.sub
      AND w.subject_id = s.id
    RETURNING w.cluster_id, w.subject_id, w.fingerprint
)
{_GONE}
"""

REMOVE_NAMESPACES = f"""
WITH gone AS (
    DELETE FROM namespace n USING unnest($1::int[], $2::text[], $3::text[], $4::text[])
        AS k (cluster_id, namespace, name, sub)
    WHERE n.cluster_id = k.cluster_id AND n.name = k.name
    RETURNING n.cluster_id, n.subject_id, n.fingerprint
)
{_GONE}
"""

REMOVE_NODES = REMOVE_NAMESPACES.replace("DELETE FROM namespace n", "DELETE FROM node n")

PLACEMENTS_OF = "SELECT id FROM placement WHERE subject_id = ANY($1::bigint[])"

Entry = tuple[int, Item]  # cluster id and item
Fingerprints = list[tuple[int, int]]  # cluster id and signed fingerprint


async def upsert_workloads(
    connection: Connection, entries: Sequence[Entry]
) -> tuple[Fingerprints, list[int]]:
    """Write workloads; their images are in table image. Returns old fingerprints, subjects."""
    rows, bodies = [], {}
    for cluster_id, item in entries:
        body = item.body
        if isinstance(body, Workload):
            group, _, kind = item.key.sub.partition("/")
            place = (cluster_id, group, kind, item.key.namespace, item.key.name)
            bodies[place] = (item, body)
            rows.append((*place, _labels(body.labels), body.pods))
    ids = await _subjects(connection, rows)
    before = await connection.fetch(
        UPSERT_WORKLOADS,
        *columns(
            (
                (
                    place[0],
                    ids[place],
                    body.service_account,
                    signed(item.fingerprint),
                    bucket(item.key),
                )
                for place, (item, body) in bodies.items()
            ),
            5,
        ),
    )
    subjects = sorted(ids.values())
    await connection.execute(DROP_RUNNING, subjects)
    running = [
        (place[0], ids[place], c.name, *msgspec.structs.astuple(c.image)[:4], c.pods)
        for place, (_, body) in bodies.items()
        for c in body.containers
    ]
    await connection.execute(ADD_RUNNING, *columns(running, 8))
    return [(row[0], row[1]) for row in before], subjects


async def upsert_namespaces(
    connection: Connection, entries: Sequence[Entry]
) -> tuple[Fingerprints, list[int]]:
    """Write namespaces. Returns old fingerprints and the subjects they are."""
    items = {
        (cluster_id, "", "Namespace", "", item.key.name): (item, item.body)
        for cluster_id, item in entries
        if isinstance(item.body, Namespace)
    }
    rows = [(*place, _labels(body.labels), None) for place, (_, body) in items.items()]
    ids = await _subjects(connection, rows)
    before = await connection.fetch(
        UPSERT_NAMESPACES,
        *columns(
            (
                (
                    place[0],
                    place[4],
                    ids[place],
                    _labels(body.labels),
                    signed(item.fingerprint),
                    bucket(item.key),
                )
                for place, (item, body) in items.items()
            ),
            6,
        ),
    )
    return [(row[0], row[1]) for row in before], sorted(ids.values())


async def upsert_nodes(
    connection: Connection, entries: Sequence[Entry]
) -> tuple[Fingerprints, list[int]]:
    """Write nodes. Returns old fingerprints and the subjects they are."""
    items = {
        (cluster_id, "", "Node", "", item.key.name): (item, item.body)
        for cluster_id, item in entries
        if isinstance(item.body, Node)
    }
    rows = [(*place, _labels(body.labels), None) for place, (_, body) in items.items()]
    ids = await _subjects(connection, rows)
    before = await connection.fetch(
        UPSERT_NODES,
        *columns(
            (
                (
                    place[0],
                    place[4],
                    ids[place],
                    _labels(body.labels),
                    body.kubelet_version,
                    body.os_image,
                    body.architecture,
                    body.container_runtime,
                    signed(item.fingerprint),
                    bucket(item.key),
                )
                for place, (item, body) in items.items()
            ),
            10,
        ),
    )
    return [(row[0], row[1]) for row in before], sorted(ids.values())


async def remove(
    connection: Connection, statement: str, keys: Sequence[tuple[int, Key]]
) -> tuple[Fingerprints, list[int]]:
    """Remove by one of the REMOVE statements. Returns old fingerprints and the subjects."""
    rows = ((cluster_id, key.namespace, key.name, key.sub) for cluster_id, key in keys)
    gone = await connection.fetch(statement, *columns(rows, 4))
    subjects = [row[2] for row in gone]
    await connection.execute(DROP_RUNNING, subjects)
    return [(row[0], row[1]) for row in gone], subjects


async def placements_of(connection: Connection, subjects: Sequence[int]) -> list[int]:
    """Every placement of some subjects."""
    return [row[0] for row in await connection.fetch(PLACEMENTS_OF, subjects)]


def _labels(labels: dict[str, str]) -> str:
    return msgspec.json.encode(labels).decode()


async def _subjects(
    connection: Connection, rows: Sequence[tuple[Any, ...]]
) -> dict[tuple[Any, ...], int]:
    found = await connection.fetch(UPSERT_SUBJECTS, *columns(rows, 7))
    return {tuple(row)[:5]: row["id"] for row in found}
