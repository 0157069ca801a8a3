"""A small fleet in the real tables, made of reports; all counts are recounted from them by SQL."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard
from msgspec import Struct

from aggregator.store import reports
from aggregator.store.pool import Connection

START = datetime(2026, 1, 1, tzinfo=UTC)

RULES: list[tuple[str, str, str, float | None]] = [
    # category, key, severity, score
    ("VULNERABILITY", "CVE-2024-0001", "CRITICAL", 9.8),
    ("VULNERABILITY", "CVE-2024-0002", "HIGH", 7.5),
    ("VULNERABILITY", "CVE-2023-0003", "MEDIUM", None),
    ("VULNERABILITY", "CVE-2023-0004", "LOW", 3.1),
    ("MISCONFIGURATION", "KSV001", "MEDIUM", None),
    ("MISCONFIGURATION", "KSV014", "LOW", None),
    ("SECRET", "aws-access-key-id", "CRITICAL", None),
    ("POLICY", "require-labels/check-team", "UNKNOWN", None),
    ("POLICY", "shared-key", "INFO", None),
    ("RBAC", "shared-key", "HIGH", None),
    ("BENCHMARK", "cis-1.6/1.1.1", "UNKNOWN", None),
]

CLUSTERS: list[tuple[str, dict[str, str], str | None]] = [
    ("prod-eu", {"env": "prod", "team": "payments"}, "AGENT"),
    ("prod-us", {"env": "prod"}, "AGENT"),
    ("staging", {"env": "staging", "team": "platform"}, "PUSH"),
    ("empty", {}, None),
]

IMAGES: list[tuple[str, str, str, str, bool]] = [
    ("docker.io", "library/nginx", "1.25", "sha256:aa", True),
    ("ghcr.io", "acme/api", "v2", "", False),
    ("ghcr.io", "acme/worker", "", "sha256:bb", False),
    ("quay.io", "acme/unscanned", "1", "", True),
    ("quay.io", "acme/orphan", "9", "", False),
]

# Contents: name -> kind, os, findings (rule, status, severity, package, installed, fixed, target,
# message, ordinal among equals)
CONTENTS: dict[str, tuple[str, str | None, list[tuple[Any, ...]]]] = {
    "nginx-old": (
        "VulnerabilityReport",
        "debian 12",
        [
            (0, "FAIL", "CRITICAL", "openssl", "3.0.1", "3.0.2", None, None, 0),
            (1, "FAIL", "HIGH", "zlib", "1.2", None, "usr/lib", "zlib is old", 0),
            (1, "FAIL", "HIGH", "zlib", "1.2", None, "usr/lib", "zlib is old", 1),
            (2, "FAIL", "MEDIUM", "curl", "8.0", "8.1", None, None, 0),
        ],
    ),
    "nginx-new": (
        "VulnerabilityReport",
        "debian 12",
        [
            (1, "FAIL", "HIGH", "zlib", "1.3", None, "usr/lib", "zlib is old", 0),
            (2, "FAIL", "MEDIUM", "curl", "8.0", "8.1", None, None, 0),
        ],
    ),
    "api": (
        "VulnerabilityReport",
        "alpine 3.19",
        [
            (0, "FAIL", "CRITICAL", "openssl", "3.0.1", "3.0.3", None, None, 0),
            (3, "FAIL", "LOW", "busybox", "1.36", None, None, 'quote " and \\ back', 0),
        ],
    ),
    "clean": ("VulnerabilityReport", "alpine 3.20", []),
    "audit": (
        "ConfigAuditReport",
        None,
        [
            (4, "FAIL", "MEDIUM", None, None, None, None, "runs as root", 0),
            (5, "PASS", "LOW", None, None, None, None, None, 0),
        ],
    ),
    "secret": (
        "ExposedSecretReport",
        None,
        [(6, "FAIL", "CRITICAL", None, None, None, "app/.env", "AWS key", 0)],
    ),
    "policy": (
        "PolicyReport",
        None,
        [
            (7, "WARN", "UNKNOWN", None, None, None, None, "label team is required", 0),
            (8, "ERROR", "INFO", None, None, None, None, "€uro ünïcode", 0),
            (8, "SKIP", "INFO", None, None, None, None, None, 1),
        ],
    ),
    "rbac": (
        "ClusterRbacAssessmentReport",
        None,
        [(9, "FAIL", "HIGH", None, None, None, None, None, 0)],
    ),
    "bench": (
        "CISKubeBenchReport",
        None,
        [
            (10, "WARN", "UNKNOWN", None, None, None, None, None, 0),
            (10, "PASS", "UNKNOWN", None, None, None, None, None, 1),
        ],
    ),
    "sbom-nginx": ("SbomReport", None, []),
    "sbom-api": ("SbomReport", None, []),
}

PACKAGES: list[tuple[str, str, str | None, str | None, list[str]]] = [
    ("openssl", "3.0.1", "deb", "pkg:deb/debian/openssl@3.0.1", ["Apache-2.0"]),
    ("zlib", "1.2", "deb", None, ["Zlib"]),
    ("left-pad", "1.3.0", "npm", "pkg:npm/left-pad@1.3.0", ["WTFPL", "MIT"]),
    ("orphan", "0", None, None, []),
]
CONTENT_PACKAGES = {"sbom-nginx": [0, 1], "sbom-api": [0, 2]}

# Subjects: cluster, api group, kind, namespace, name, labels, resolved, pods
SUBJECTS: list[tuple[int, str, str, str, str, dict[str, str], bool, int | None]] = [
    (0, "apps", "Deployment", "web", "nginx", {"app": "nginx"}, True, 3),
    (0, "apps", "Deployment", "shop", "api", {"app": "api", "tier": "back"}, True, 1),
    (0, "", "Node", "", "node-1", {}, False, None),
    (0, "rbac.authorization.k8s.io", "ClusterRole", "", "admin", {}, False, None),
    (1, "apps", "Deployment", "web", "nginx", {"app": "nginx"}, True, 2),
    (1, "apps", "StatefulSet", "shop", "db", {}, True, 2),
    (2, "apps", "Deployment", "web", "nginx", {}, False, None),
    (2, "", "Namespace", "web", "web", {}, False, None),
    (0, "apps", "Deployment", "web", "unscanned", {}, True, 1),
]

# Reports: subject, kind, source, category, container, content, image, state, name
REPORTS: list[tuple[int, str, str | None, str, str, int | None, str, str]] = [
    (0, "trivy-operator", "VULNERABILITY", "nginx", "nginx-old", 0, "LIVE", "rs-nginx-1"),
    (0, "trivy-operator", "VULNERABILITY", "nginx", "nginx-new", 0, "SUPERSEDED", "rs-nginx-0"),
    (0, "trivy-operator", "MISCONFIGURATION", "", "audit", None, "LIVE", "rs-nginx"),
    (0, "kyverno", "POLICY", "", "policy", None, "LIVE", "pol-1"),
    (0, "kyverno", "POLICY", "", "policy", None, "LIVE", "pol-2"),
    (0, "kyverno", "POLICY", "", "policy", None, "ABSENT", "pol-3"),
    (0, "trivy-operator", None, "nginx", "sbom-nginx", 0, "LIVE", "rs-nginx-1"),
    (1, "trivy-operator", "VULNERABILITY", "api", "api", 1, "LIVE", "rs-api"),
    (1, "trivy-operator", "SECRET", "api", "secret", 1, "LIVE", "rs-api"),
    (1, "trivy-operator", None, "api", "sbom-api", 1, "LIVE", "rs-api"),
    (2, "starboard", "BENCHMARK", "", "bench", None, "LIVE", "node-1"),
    (3, "trivy-operator", "RBAC", "", "rbac", None, "LIVE", "clusterrole-admin"),
    (4, "trivy-operator", "VULNERABILITY", "nginx", "nginx-old", 0, "LIVE", "rs-nginx-1"),
    # Two contents with the same keys at one placement: ordinals go on.
    (4, "trivy-operator", "VULNERABILITY", "nginx", "nginx-new", 2, "ABSENT", "rs-nginx-2"),
    (4, "kyverno", "POLICY", "", "policy", None, "LIVE", "pol-1"),
    (5, "trivy-operator", "VULNERABILITY", "db", "clean", 2, "LIVE", "sts-db"),
    (6, "trivy-operator", "VULNERABILITY", "nginx", "nginx-new", 0, "LIVE", "rs-nginx-1"),
    (6, "trivy-operator", "MISCONFIGURATION", "", "audit", None, "ABSENT", "rs-nginx"),
    (7, "kyverno", "POLICY", "", "policy", None, "SUPERSEDED", "ns-web"),
]

RUNNING: list[tuple[int, str, int, int]] = [
    # subject, container, image, pods
    (0, "nginx", 0, 3),
    (1, "api", 1, 1),
    (4, "nginx", 0, 2),
    (8, "app", 3, 1),
]

Subject = tuple[int, str, str, str, str, dict[str, str], bool, int | None]
Report = tuple[int, str, str | None, str, str, int | None, str, str]


class Fleet(Struct, frozen=True):
    """What a fleet is made of, each as the list of the same name above."""

    clusters: list[tuple[str, dict[str, str], str | None]]
    subjects: list[Subject]
    reports: list[Report]
    running: list[tuple[int, str, int, int]]


SMALL = Fleet(CLUSTERS, SUBJECTS, REPORTS, RUNNING)

# What is kept of reports; equal to what ingest keeps (aggregator/store).
RECOUNT = """
INSERT INTO placement_content (placement_id, content_id, cluster_id, live, absent, superseded, image_id,
    since, observed_at)
SELECT r.placement_id, r.content_id, r.cluster_id,
    count(*) FILTER (WHERE r.state = 'LIVE'), count(*) FILTER (WHERE r.state = 'ABSENT'),
    count(*) FILTER (WHERE r.state = 'SUPERSEDED'),
    (array_agg(r.image_id ORDER BY r.image_id DESC) FILTER (WHERE r.image_id IS NOT NULL))[1],
    min(r.observed_at), max(r.observed_at)
FROM report r GROUP BY 1, 2, 3;
UPDATE placement p SET contents =
    (SELECT count(*) FROM placement_content pc WHERE pc.placement_id = p.id);
INSERT INTO content_count
SELECT content_id, category, severity, status, count(*) FROM finding GROUP BY 1, 2, 3, 4;
INSERT INTO severity_count
SELECT p.cluster_id, p.namespace, p.source, f.category, f.severity, f.status,
    count(*), sum(pc.live + pc.absent)
FROM placement_content pc JOIN placement p ON p.id = pc.placement_id
JOIN finding f ON f.content_id = pc.content_id
WHERE pc.live + pc.absent > 0 GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO usage (content_id, cluster_id, namespace, "rows", placements, reports)
SELECT pc.content_id, pc.cluster_id, p.namespace, sum(pc.live + pc.absent + pc.superseded),
    count(*) FILTER (WHERE pc.live + pc.absent > 0), sum(pc.live + pc.absent)
FROM placement_content pc JOIN placement p ON p.id = pc.placement_id GROUP BY 1, 2, 3;
INSERT INTO image_usage (image_id, cluster_id, namespace, subject_id, reports, pods)
SELECT image_id, cluster_id, namespace, subject_id, sum(reports), sum(pods) FROM (
    SELECT r.image_id, r.cluster_id, p.namespace, p.subject_id,
        count(*) AS reports, 0 AS pods
    FROM report r JOIN placement p ON p.id = r.placement_id
    WHERE r.image_id IS NOT NULL AND r.state <> 'SUPERSEDED' GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT ri.image_id, ri.cluster_id, s.namespace, ri.subject_id, 0, sum(ri.pods)
    FROM running_image ri JOIN subject s ON s.id = ri.subject_id GROUP BY 1, 2, 3, 4
) used GROUP BY 1, 2, 3, 4;
UPDATE subject s SET
    scanned = EXISTS (SELECT FROM placement p JOIN report r ON r.placement_id = p.id
        WHERE p.subject_id = s.id AND r.state <> 'SUPERSEDED'),
    present = coalesce(s.running, false)
        OR EXISTS (SELECT FROM placement p WHERE p.subject_id = s.id);
"""

KINDS = """
INSERT INTO sync_root (cluster_id, kind, state, entries, newest_report_at, scanner)
SELECT cluster_id, api_group || '/' || kind, 'SYNCED', count(*), max(reported_at), max(scanner)
FROM report r JOIN report_kind k ON k.id = r.kind_id GROUP BY 1, 2;
INSERT INTO sync_root (cluster_id, kind, state, entries)
SELECT id, 'inventory/Workload', 'SYNCED', 1 FROM cluster WHERE mode = 'AGENT';
INSERT INTO sync_root (cluster_id, kind, state, message)
SELECT id, 'aquasecurity.github.io/SbomReport', 'FORBIDDEN', 'no right' FROM cluster
WHERE name = 'prod-us' ON CONFLICT DO NOTHING;
ANALYZE;
"""


def key_of(rule: int, package: str | None, target: str | None) -> int:
    category, key, _, _ = RULES[rule]
    text = "\0".join([category, key, package or "", target or ""])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


async def load(connection: Connection, fleet: Fleet = SMALL) -> None:
    """Fill empty tables with the fleet."""
    await _load_shared(connection)
    await _load_clusters(connection, fleet)
    await _load_reports(connection, fleet)
    await connection.execute(RECOUNT + KINDS)
    await _load_history(connection)


async def _load_shared(connection: Connection) -> None:
    await connection.executemany(
        "INSERT INTO rule (category, key, severity, score, title, links, published_at)"
        " VALUES ($1::text::finding_category, $2, $3::text::severity, $4, $5, $6, $7)",
        [
            (c, k, s, score, f"About {k}", [f"https://example.org/{k}"], START if score else None)
            for c, k, s, score in RULES
        ],
    )
    await connection.executemany(
        "INSERT INTO image (registry, repository, tag, digest, digest_trusted)"
        " VALUES ($1, $2, $3, $4, $5)",
        IMAGES,
    )
    await connection.executemany(
        "INSERT INTO package (digest, name, version, type, purl, licenses)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [(p[0].encode(), *p) for p in PACKAGES],
    )
    contents = [*CONTENTS.items()]
    for number, (name, (kind, os, findings)) in enumerate(contents, 1):
        keys = sorted(
            {key_of(f[0], f[3], f[6]) for f in findings if f[1] in {"FAIL", "WARN", "ERROR"}}
        )
        await connection.execute(
            "INSERT INTO keyset (digest, keys) VALUES ($1, $2)", name.encode(), keys
        )
        body = json.dumps({"name": name, "results": len(findings)}, separators=(",", ":"))
        await connection.execute(
            "INSERT INTO content (digest, kind, format, reader, body, bytes, keyset_id, os)"
            " VALUES ($1, $2, 1, 1, $3, $4, $5, $6)",
            name.encode(),
            kind,
            zstandard.compress(body.encode()),
            len(body),
            number,
            os,
        )
        for rule, status, severity, package, installed, fixed, target, message, ordinal in findings:
            await connection.execute(
                "INSERT INTO finding (content_id, rule_id, key, ordinal, category, status, severity,"
                " score, package, installed_version, fixed_version, package_type, purl,"
                " package_path, target, message) VALUES ($1, $2, $3, $4,"
                " $5::text::finding_category, $6::text::finding_status, $7::text::severity, $8,"
                " $9, $10, $11, $12, $13, $14, $15, $16)",
                number,
                rule + 1,
                key_of(rule, package, target),
                ordinal,
                RULES[rule][0],
                status,
                severity,
                RULES[rule][3],
                package,
                installed,
                fixed,
                "deb" if package else None,
                f"pkg:deb/{package}@{installed}" if package else None,
                None,
                target,
                message,
            )
        for package_number in CONTENT_PACKAGES.get(name, []):
            await connection.execute(
                "INSERT INTO content_package VALUES ($1, $2)", number, package_number + 1
            )


async def _load_clusters(connection: Connection, fleet: Fleet) -> None:
    for number, (name, labels, mode) in enumerate(fleet.clusters, 1):
        await connection.execute(
            "INSERT INTO cluster (ordinal, name, labels, uid, mode, kubernetes_version,"
            " agent_version)"
            " VALUES ($1, $2, $3::text::jsonb, $4, $5::text::cluster_mode, $6, $7)",
            number,
            name,
            json.dumps(labels),
            f"uid-{number}" if mode == "AGENT" else None,
            mode,
            "v1.31.0" if mode else None,
            "0.1.0" if mode == "AGENT" else None,
        )
        seen = {"prod-eu": START + timedelta(days=36500), "prod-us": START}.get(name)
        await connection.execute(
            "INSERT INTO agent_session (cluster_id, last_seen_at, last_full_sync_at, clock_skew_ms)"
            " VALUES ($1, $2, $3, $4)",
            number,
            seen,
            START if mode == "AGENT" else None,
            number * 10 if mode == "AGENT" else None,
        )
    await connection.executemany(
        "INSERT INTO subject (cluster_id, api_group, kind, namespace, name, labels, resolved,"
        " running, pods) VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9)",
        [
            (c + 1, g, k, ns, n, json.dumps(labels), resolved, True if pods else None, pods)
            for c, g, k, ns, n, labels, resolved, pods in fleet.subjects
        ],
    )
    await connection.executemany(
        "INSERT INTO running_image (cluster_id, subject_id, container, image_id, pods)"
        " VALUES ($1, $2, $3, $4, $5)",
        [(fleet.subjects[s][0] + 1, s + 1, c, i + 1, pods) for s, c, i, pods in fleet.running],
    )
    await connection.execute(
        "INSERT INTO failed_report (cluster_id, api_group, kind, namespace, name, sub_key, reason,"
        " bytes, observed_at, fingerprint, bucket) VALUES"
        " (1, 'wgpolicyk8s.io', 'PolicyReport', 'web', 'broken', '', 'results is no list', 120,"
        "  $1, 1, 1),"
        " (2, 'aquasecurity.github.io', 'VulnerabilityReport', 'shop', 'huge', '', 'too large',"
        "  NULL, $1, 2, 2)",
        START,
    )


async def _load_reports(connection: Connection, fleet: Fleet) -> None:
    numbers = {name: number for number, name in enumerate(CONTENTS, 1)}
    for number, (subject, source, category, container, content, image, state, name) in enumerate(
        fleet.reports, 1
    ):
        cluster, _, subject_kind, namespace, subject_name, _, _, _ = fleet.subjects[subject]
        placement = await connection.fetchval(
            "INSERT INTO placement (cluster_id, subject_id, namespace, category, source, container)"
            " VALUES ($1, $2, $3, $4::text::finding_category, $5, $6)"
            " ON CONFLICT (subject_id, category, source, container)"
            " DO UPDATE SET source = excluded.source RETURNING id",
            cluster + 1,
            subject + 1,
            subject_name if subject_kind == "Namespace" else namespace,
            category,
            source,
            container,
        )
        group = "wgpolicyk8s.io" if source == "kyverno" else "aquasecurity.github.io"
        kind = CONTENTS[content][0]
        await connection.execute(reports.ADD_KINDS, [group], [kind])
        await connection.execute(
            "INSERT INTO report (cluster_id, key, kind_id, namespace, name, sub_key,"
            " placement_id, content_id, image_id, state, scanner, scanner_version, reported_at,"
            " observed_at, fingerprint, bucket)"
            " SELECT $1, report_key(api_group, kind, $4, $5, ''), id, $4, $5, '', $6, $7, $8,"
            " $9::text::report_state, $10, $11, $12, $13, $14, 0"
            " FROM report_kind WHERE (api_group, kind) = ($2, $3)",
            cluster + 1,
            group,
            kind,
            namespace,
            name,
            placement,
            numbers[content],
            image + 1 if image is not None else None,
            state,
            "Trivy" if source == "trivy-operator" else None,
            "0.58" if source == "trivy-operator" else None,
            START + timedelta(hours=number) if source != "kyverno" else None,
            START + timedelta(days=number),
            number,
        )


async def _load_history(connection: Connection) -> None:
    """Each placement opens all it holds at once, nginx of prod-eu in three steps."""
    await connection.execute(
        "INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)"
        " SELECT p.id, p.cluster_id, $1::timestamptz + p.id * interval '1 hour',"
        "  $1::timestamptz + p.id * interval '1 hour', '{}',"
        "  ARRAY(SELECT DISTINCT c.keyset_id FROM placement_content pc"
        "        JOIN content c ON c.id = pc.content_id"
        "        WHERE pc.placement_id = p.id AND pc.live + pc.absent > 0 ORDER BY 1)"
        " FROM placement p WHERE p.category IS NOT NULL",
        START,
    )
    new = [*CONTENTS].index("nginx-new") + 1
    old = [*CONTENTS].index("nginx-old") + 1
    both, clean = sorted([new, old]), [*CONTENTS].index("clean") + 1
    await connection.executemany(
        "INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)"
        " VALUES (1, 1, $1, $1, $2, $3)",
        [
            (START + timedelta(days=20), [old], [clean]),
            (START + timedelta(days=30), [clean], [new]),
            (START + timedelta(days=40), [new], both),
            (START + timedelta(days=50), both, [old]),
        ],
    )
