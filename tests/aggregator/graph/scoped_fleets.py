"""A larger random fleet, and the fleet that is left of it within a scope.

What a caller with a scope is answered must be what an unlimited one is answered where there is
nothing else: in a copy of the database in which all that lies outside was deleted, and all that is
counted was counted again. Ids are the same in both.
"""

from random import Random
from typing import Any

from aggregator.access.principal import Scope
from aggregator.store.pool import Connection
from tests.aggregator.graph import events, fleet
from tests.aggregator.graph.evaluation import passes

NAMESPACES = ("web", "shop", "api", "db")
MORE_CLUSTERS: list[tuple[str, dict[str, str], str | None]] = [
    ("prod-ap", {"env": "prod", "team": "platform"}, "AGENT"),
    ("lab", {"env": "lab", "team": ""}, "PUSH"),
]
KINDS = (("apps", "Deployment"), ("apps", "DaemonSet"), ("batch", "CronJob"), ("", "Pod"))
CATEGORIES = {
    "VulnerabilityReport": ("VULNERABILITY", "trivy-operator"),
    "ConfigAuditReport": ("MISCONFIGURATION", "trivy-operator"),
    "ExposedSecretReport": ("SECRET", "trivy-operator"),
    "PolicyReport": ("POLICY", "kyverno"),
    "ClusterRbacAssessmentReport": ("RBAC", "trivy-operator"),
    "CISKubeBenchReport": ("BENCHMARK", "starboard"),
    "SbomReport": (None, "trivy-operator"),
}
IN_CONTAINERS = {"VulnerabilityReport", "ExposedSecretReport", "SbomReport"}


def random_fleet(chance: Random) -> fleet.Fleet:
    """Return the small fleet and more of the same, so that all that is shared is shared by many."""
    clusters = [*fleet.CLUSTERS, *MORE_CLUSTERS]
    subjects = [*fleet.SUBJECTS]
    for cluster in range(len(clusters)):
        if clusters[cluster][0] == "empty":
            continue
        for namespace in (*NAMESPACES, ""):
            for number in range(chance.randrange(3)):
                group, kind = chance.choice(KINDS) if namespace else ("", "Node")
                pods = chance.choice((None, 1, 3)) if namespace else None
                labels = {"app": chance.choice(("nginx", "api"))} if chance.random() < 0.5 else {}
                name = f"{namespace or 'host'}-{number}"
                subjects.append((cluster, group, kind, namespace, name, labels, True, pods))
        name = chance.choice(NAMESPACES)
        if (cluster, name) != (2, "web"):  # which the small fleet has
            subjects.append((cluster, "", "Namespace", "", name, {}, False, None))
    first = len(fleet.SUBJECTS)
    running = [
        (number, "main", chance.randrange(len(fleet.IMAGES)), pods)
        for number, (*_, pods) in enumerate(subjects)
        if number >= first and pods
    ]
    reports = [*fleet.REPORTS]
    for number in range(first, len(subjects)):
        for _ in range(chance.randrange(4)):
            reports.append(_report(chance, number, len(reports)))
    return fleet.Fleet(clusters, subjects, reports, [*fleet.RUNNING, *running])


def _report(chance: Random, subject: int, number: int) -> fleet.Report:
    content, (kind, _, _) = chance.choice([*fleet.CONTENTS.items()])
    category, source = CATEGORIES[kind]
    contained = kind in IN_CONTAINERS
    return (
        subject,
        source,
        category,
        "main" if contained else "",
        content,
        chance.randrange(len(fleet.IMAGES)) if contained else None,
        chance.choice(("LIVE", "LIVE", "ABSENT", "SUPERSEDED")),
        f"random-{number}",
    )


async def load(connection: Connection, chance: Random) -> None:
    """Fill empty tables with a random fleet."""
    await fleet.load(connection, random_fleet(chance))
    await events.load(connection)
    await connection.execute(
        "INSERT INTO failed_report (cluster_id, api_group, kind, namespace, name, sub_key, reason,"
        " observed_at, fingerprint, bucket)"
        " SELECT c.id, 'g', 'K', n, 'f', '', 'no', now(), 9, 9"
        " FROM cluster c, unnest(ARRAY['web', 'shop', 'db', '']) n WHERE random() < 0.4"
    )
    await connection.execute(
        "INSERT INTO event_gap (cluster_id, epoch, key, reason, recorded_at)"
        " SELECT id, 'e', 'c', 'OVERFLOW', now() FROM cluster"
    )


# ---------------------------------------------------------------- what is left within a scope

SUBJECT_NAMESPACE = "CASE WHEN kind = 'Namespace' AND api_group = '' THEN name ELSE namespace END"
# A cluster tells how fresh its kinds are also to who may see none of their reports, without telling
# how many there are elsewhere.
KINDS_WITHIN = """
UPDATE sync_root k SET (entries, newest_report_at) = (
    SELECT count(*), max(r.reported_at) FROM report r JOIN report_kind rk ON rk.id = r.kind_id
    WHERE r.cluster_id = k.cluster_id AND rk.api_group || '/' || rk.kind = k.kind)
WHERE k.kind NOT LIKE 'inventory/%'
"""
COUNTED = (
    *("placement_content", "content_count", "severity_count", "cluster_severity_count", "usage"),
    *("image_usage", "runtime_event_hour", "runtime_event_fleet_hour", "runtime_event_fleet_day"),
)


async def reduce(connection: Connection, scope: Scope) -> None:
    """Delete what lies outside of a scope."""
    if scope.clusters is not None:
        for table, column in (("runtime_event", "cluster_id"), ("cluster", "id")):
            await connection.execute(
                f"DELETE FROM {table} WHERE NOT {column} = ANY($1)", [*scope.clusters]
            )
    if scope.namespaces is not None:
        for table, namespace in (
            ("placement", "namespace"),
            ("subject", SUBJECT_NAMESPACE),
            ("failed_report", "namespace"),
            ("runtime_event", "namespace"),
            ("event_gap", "NULL::text"),  # which belong to no namespace
        ):
            await connection.execute(
                f"DELETE FROM {table} WHERE ({namespace} = ANY($1)) IS NOT TRUE",
                [*scope.namespaces],
            )
    await connection.execute(
        "DELETE FROM report r WHERE NOT EXISTS (SELECT FROM placement p WHERE p.id = r.placement_id)"
    )
    await connection.execute(f"TRUNCATE {', '.join(COUNTED)}")
    for counts in (fleet.RECOUNT, events.HOURS, events.FLEET, events.FLEET_DAYS, KINDS_WITHIN):
        await connection.execute(counts)


# ---------------------------------------------------------------- scopes


def cluster_filter(chance: Random) -> dict[str, Any] | None:
    """Return a random limit on clusters, as a token may carry it."""
    names = [name for name, _, _ in (*fleet.CLUSTERS, *MORE_CLUSTERS)]
    name = chance.choice(
        (
            {"eq": chance.choice(names)},
            {"in": chance.sample(names, chance.randrange(4))},
            {"not": chance.choice(names)},
            {"startsWith": "prod-"},
            {"contains": chance.choice(("a", "eu", "%", "_"))},
        )
    )
    label = chance.choice(
        (
            {"key": "env", "in": ["prod"]},
            {"key": "team", "exists": False},
            {"key": "team", "in": ["platform", ""]},
            {"key": "env"},
        )
    )
    return chance.choice(
        (None, {"name": name}, {"labels": [label]}, {"name": name, "labels": [label]})
    )


def lets_through(wanted: dict[str, Any] | None) -> list[int]:
    """Return the ids of the clusters that a limit lets through, by hand."""
    given = wanted or {}
    return [
        number
        for number, (name, labels, _) in enumerate((*fleet.CLUSTERS, *MORE_CLUSTERS), 1)
        if passes(name, given.get("name"))
        and all(_labelled(labels, label) for label in given.get("labels", ()))
    ]


def _labelled(labels: dict[str, str], wanted: dict[str, Any]) -> bool:
    there = (wanted["key"] in labels) == wanted.get("exists", True)
    return there and ("in" not in wanted or labels.get(wanted["key"]) in wanted["in"])


def namespaces(chance: Random) -> list[str] | None:
    """Return a random limit on namespaces."""
    return chance.choice(
        (None, None, chance.sample(NAMESPACES, chance.choice((1, 1, 2, 3))), ["no"])
    )
