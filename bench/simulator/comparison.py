"""What the aggregator must hold of a cluster, and what it does hold, in one form to compare.

Fingerprints cover an entry's whole context; contents are compared by their names.
"""

from msgspec import Struct

from aggregator.store.columns import signed
from aggregator.store.pool import Pool
from bench.simulator.clusters import Cluster
from bench.simulator.ledger import INVENTORY
from protocol import messages as m

HELD = """
SELECT rk.api_group || '/' || rk.kind, r.namespace, r.name, r.sub_key, r.fingerprint, r.state::text,
       c.digest
FROM report r JOIN report_kind rk ON rk.id = r.kind_id JOIN content c ON c.id = r.content_id
JOIN cluster k ON k.id = r.cluster_id
WHERE k.name = $1 AND r.state <> 'ABSENT'
UNION ALL
SELECT f.api_group || '/' || f.kind, f.namespace, f.name, f.sub_key, f.fingerprint, 'FAILED', NULL
FROM failed_report f JOIN cluster k ON k.id = f.cluster_id WHERE k.name = $1
UNION ALL
SELECT 'inventory/Workload', s.namespace, s.name, s.api_group || '/' || s.kind, w.fingerprint, '',
       NULL
FROM workload w JOIN subject s ON s.id = w.subject_id JOIN cluster k ON k.id = w.cluster_id
WHERE k.name = $1
UNION ALL
SELECT 'inventory/Namespace', '', n.name, '', n.fingerprint, '', NULL
FROM namespace n JOIN cluster k ON k.id = n.cluster_id WHERE k.name = $1
UNION ALL
SELECT 'inventory/Node', '', n.name, '', n.fingerprint, '', NULL
FROM node n JOIN cluster k ON k.id = n.cluster_id WHERE k.name = $1
"""


class Row(Struct, frozen=True):
    """An entry: its fingerprint as Postgres has it; state and content where it is a report."""

    fingerprint: int
    state: str = ""
    content: bytes | None = None


Rows = dict[tuple[str, m.Key], Row]


def expected(cluster: Cluster) -> Rows:
    """Return what must be held once the cluster's agent is consistent.

    Reports that are ABSENT are left out: how long they stay depends on the aggregator's clock.
    """
    ledger = cluster.ledger
    rows: Rows = {}
    for kind, known in ledger.state.kinds.items():
        for key, mark in known.entries():
            if kind in INVENTORY:
                rows[kind, key] = Row(signed(mark))
                continue
            report = ledger.reports[kind][key.namespace, key.name]
            state = "SUPERSEDED" if ledger.superseded(report) else "LIVE"
            rows[kind, key] = Row(signed(mark), state, ledger.content(report))
    return rows


async def held(pool: Pool, name: str) -> Rows:
    """Read what an aggregator's database holds of the cluster with this name."""
    return {
        (kind, m.Key(namespace, object_name, sub)): Row(fingerprint, state, digest)
        for kind, namespace, object_name, sub, fingerprint, state, digest in await pool.fetch(
            HELD, name
        )
    }


def differences(expected: Rows, held: Rows) -> list[str]:
    """Say what is missing, too much, or otherwise; empty if all is equal."""
    found = [f"missing: {kind} {key}" for kind, key in expected.keys() - held.keys()]
    found += [f"left over: {kind} {key}" for kind, key in held.keys() - expected.keys()]
    for entry in expected.keys() & held.keys():
        if expected[entry] != held[entry]:
            found.append(f"{entry}: expected {expected[entry]}, held {held[entry]}")
    return sorted(found)
