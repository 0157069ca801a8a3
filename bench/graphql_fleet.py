"""A synthetic fleet loaded by SQL alone: contents shared by many placements, Zipf-like.

`size` 1 is 20,000 contents of 50 findings at 1,000,000 placements (about 50 million logical
findings); 0.05 loads in a few seconds.
"""

import asyncpg

CONTENTS = 20_000
FINDINGS = 50  # a content
PLACEMENTS = 1_000_000
CLUSTERS = 500
NAMESPACES = 20  # a cluster
RULES = 20_000

LOAD = """
INSERT INTO keyset (digest, keys) VALUES ('none', '{{}}');
INSERT INTO rule (category, key, severity, score, title)
SELECT 'VULNERABILITY', 'CVE-' || 2015 + n % 11 || '-' || n,
    (ARRAY['LOW', 'MEDIUM', 'MEDIUM', 'HIGH', 'CRITICAL'])[1 + n % 5]::severity,
    (n % 100) / 10.0, 'A flaw of number ' || n
FROM generate_series(1, {rules}) n;
INSERT INTO cluster (ordinal, name, labels, mode)
SELECT n, 'cluster-' || n, jsonb_build_object('team', 'team-' || n % 10), 'PUSH'
FROM generate_series(1, {clusters}) n;
INSERT INTO agent_session (cluster_id, last_seen_at) SELECT id, now() FROM cluster;
INSERT INTO image (registry, repository, tag)
SELECT 'docker.io', 'acme/app-' || n, 'v1' FROM generate_series(1, {contents}) n;
INSERT INTO content (digest, kind, format, reader, body, bytes, keyset_id, os)
SELECT int4send(n), 'VulnerabilityReport', 1, 1, '', 0, 1, 'debian 12'
FROM generate_series(1, {contents}) n;
INSERT INTO finding (content_id, rule_id, key, ordinal, category, status, severity, score, package,
    installed_version, fixed_version, package_type, message)
SELECT c, r.id, r.id, 0, 'VULNERABILITY', 'FAIL', r.severity, r.score, 'package-' || r.id % 997,
    '1.0', CASE WHEN r.id % 3 = 0 THEN '1.1' END, 'deb', 'package is at 1.0, which has a flaw'
FROM generate_series(1, {contents}) c CROSS JOIN generate_series(1, {findings}) f
CROSS JOIN LATERAL (SELECT * FROM rule WHERE id = 1 + (c * 7919 + f * 104729) % {rules}) r;
INSERT INTO content_count
SELECT content_id, category, severity, status, count(*) FROM finding GROUP BY 1, 2, 3, 4;
INSERT INTO subject (cluster_id, api_group, kind, namespace, name, pods, scanned)
SELECT 1 + n % {clusters}, 'apps', 'Deployment', 'ns-' || (n / {clusters}) % {namespaces},
    'app-' || n, 1, true
FROM generate_series(0, {placements} - 1) n;
INSERT INTO placement (cluster_id, subject_id, namespace, category, source, container, contents)
SELECT cluster_id, id, namespace, 'VULNERABILITY', 'trivy-operator', 'app', 1 FROM subject;
INSERT INTO placement_content
SELECT id, content, cluster_id, 1, 0, 0, content, now() - interval '30 days', now()
FROM (SELECT id, cluster_id,
    1 + floor({contents} * power((id * 2654435761 % 1000003) / 1000003.0, 3))::bigint AS content
    FROM placement) p;
INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)
SELECT id, cluster_id, now() - interval '30 days', now() - interval '30 days', '{{}}', '{{1}}'
FROM placement;
INSERT INTO usage
SELECT pc.content_id, pc.cluster_id, p.namespace, count(*), count(*), count(*)
FROM placement_content pc JOIN placement p ON p.id = pc.placement_id GROUP BY 1, 2, 3;
INSERT INTO severity_count
SELECT u.cluster_id, u.namespace, 'trivy-operator', cc.category, cc.severity, cc.status,
    sum(cc.findings * u.placements), sum(cc.findings * u.reports)
FROM usage u JOIN content_count cc ON cc.content_id = u.content_id GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO image_usage
SELECT pc.image_id, pc.cluster_id, p.namespace, p.subject_id, 1, 1
FROM placement_content pc JOIN placement p ON p.id = pc.placement_id
"""


async def load(dsn: str, *, size: float) -> int:
    """Fill an empty, migrated database; return how many logical findings it holds."""
    filled = LOAD.format(
        contents=max(100, int(CONTENTS * size)),
        findings=FINDINGS,
        placements=max(1_000, int(PLACEMENTS * size)),
        clusters=max(10, int(CLUSTERS * size)),
        namespaces=NAMESPACES,
        rules=max(100, int(RULES * size)),
    )
    connection = await asyncpg.connect(dsn)
    try:
        for statement in filled.split(";\n"):
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        return int(await connection.fetchval("SELECT sum(findings) FROM severity_count"))
    finally:
        await connection.close()
