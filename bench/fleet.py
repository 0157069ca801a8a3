"""A synthetic fleet to measure on, loaded by SQL alone into the real tables. Deterministic.

`size` 1 is 1,000 clusters with 1,000 placements each and 20,000 contents of 100 findings on
average: 100 million logical findings. A hundredth of it loads in seconds. Contents are shared as in
real fleets: few are everywhere, most at a few places. Every count equals a recount (test), and what
the sources would not write is not there: vulnerabilities fail, checks of configuration pass or fail.
"""

import asyncpg

CLUSTERS = 1_000
PLACEMENTS = 1_000  # a cluster, two a workload
CONTENTS = 20_000
VULNERABILITIES = 20_000  # rules
CHECKS = 200  # rules
POLICIES = 300  # rules
NAMESPACES = 20  # a cluster
NODES = 10  # a cluster
TEAMS = 25

# Chance in [0, 1) of a number, one for each purpose.
CHANCE = "((hashint8extended({of}, {seed}) & 1048575) / 1048576.0)"


def chance(of: str, seed: int) -> str:
    """Return the SQL for a number in [0, 1) that depends on an expression and a purpose."""
    return CHANCE.format(of=f"({of})::bigint", seed=seed)


RULES = f"""
INSERT INTO rule (category, key, severity, score, title, published_at)
SELECT 'VULNERABILITY', 'CVE-' || 2015 + n % 11 || '-' || 1000 + n,
    (CASE WHEN c < .03 THEN 'CRITICAL' WHEN c < .2 THEN 'HIGH' WHEN c < .65 THEN 'MEDIUM'
          WHEN c < .95 THEN 'LOW' ELSE 'UNKNOWN' END)::severity,
    CASE WHEN c < .95 THEN round((10 - 9 * c)::numeric, 1) END, 'A flaw of number ' || n,
    timestamptz '2015-01-01 00:00+00' + n % 4000 * interval '1 day'
FROM (SELECT n, {chance("n", 1)} AS c FROM generate_series(1, {{vulnerabilities}}) n) r;
INSERT INTO rule (category, key, severity, title)
SELECT 'MISCONFIGURATION', 'KSV' || lpad(n::text, 4, '0'),
    (ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'LOW'])[1 + n % 5]::severity, 'A check of number ' || n
FROM generate_series(1, {CHECKS}) n;
INSERT INTO rule (category, key, severity, title)
SELECT 'POLICY', 'policy-' || n / 3 || '/rule-' || n % 3,
    (ARRAY['HIGH', 'MEDIUM', 'MEDIUM', 'INFO'])[1 + n % 4]::severity, 'A policy of number ' || n
FROM generate_series(1, {POLICIES}) n
"""

# Contents by number: the first six tenths hold vulnerabilities, three tenths checks, the rest policies.
FINDINGS = f"""
CREATE TEMP TABLE made AS
SELECT n AS id, CASE WHEN n <= .6 * {{contents}} THEN 'VULNERABILITY'
                     WHEN n <= .9 * {{contents}} THEN 'MISCONFIGURATION' ELSE 'POLICY' END AS category,
    60 + (n * 7919) % 81 AS findings
FROM generate_series(1, {{contents}}) n;
CREATE TEMP TABLE known AS
SELECT category::text, id, severity, score, key AS name,
    row_number() OVER (PARTITION BY category ORDER BY id) AS number
FROM rule;
CREATE INDEX ON known (category, number);
ANALYZE made, known;
INSERT INTO finding (content_id, rule_id, key, ordinal, category, status, severity, score, package,
    installed_version, fixed_version, package_type, target, message)
SELECT x.content, x.rule, x.rule, row_number() OVER (PARTITION BY x.content, x.rule ORDER BY x.f) - 1,
    x.category::finding_category,
    (CASE x.category WHEN 'VULNERABILITY' THEN 'FAIL'
        WHEN 'MISCONFIGURATION' THEN CASE WHEN x.c < .3 THEN 'FAIL' ELSE 'PASS' END
        ELSE CASE WHEN x.c < .2 THEN 'FAIL' WHEN x.c < .25 THEN 'WARN' WHEN x.c < .95 THEN 'PASS'
                  ELSE 'SKIP' END END)::finding_status,
    x.severity, x.score,
    CASE x.category WHEN 'VULNERABILITY' THEN 'package-' || x.rule % 997 END,
    CASE x.category WHEN 'VULNERABILITY' THEN '1.' || x.rule % 20 || '.0' END,
    CASE WHEN x.category = 'VULNERABILITY' AND x.rule % 3 <> 0 THEN '1.' || x.rule % 20 || '.1' END,
    CASE x.category WHEN 'VULNERABILITY' THEN (ARRAY['deb', 'apk', 'gomod', 'npm'])[1 + x.rule % 4] END,
    NULL,
    CASE x.category WHEN 'VULNERABILITY' THEN 'a flaw in package-' || x.rule % 997
        ELSE 'what rule ' || x.name || ' says' END
FROM (
    SELECT m.id AS content, f, category, k.id AS rule, k.severity, k.score, k.name,
        {chance("k.id * 7 + m.id", 3)} AS c
    FROM (
        SELECT m.*, f, 1 + floor(power({chance("m.id * 1000 + f", 2)}, 2) * o.of)::bigint AS number
        FROM made m CROSS JOIN LATERAL generate_series(1, m.findings) f
        JOIN (SELECT category, count(*) AS of FROM known GROUP BY 1) o USING (category)
    ) m JOIN known k USING (category, number)
) x ORDER BY x.content, x.f;
INSERT INTO finding_key (key, category, rule, package)
SELECT id, category, key, CASE category WHEN 'VULNERABILITY' THEN 'package-' || id % 997 END FROM rule;
CREATE TEMP TABLE open AS
SELECT m.id AS content, coalesce(array_agg(DISTINCT f.key ORDER BY f.key)
    FILTER (WHERE f.status IN ('FAIL', 'WARN', 'ERROR')), '{{{{}}}}') AS keys
FROM made m JOIN finding f ON f.content_id = m.id GROUP BY 1;
INSERT INTO keyset (digest, keys)
SELECT sha256(keys::text::bytea), keys FROM open GROUP BY keys ORDER BY min(content);
INSERT INTO content (digest, kind, format, reader, body, bytes, keyset_id, os)
SELECT sha256(int4send(m.id)), CASE m.category WHEN 'VULNERABILITY' THEN 'VulnerabilityReport'
        WHEN 'MISCONFIGURATION' THEN 'ConfigAuditReport' ELSE 'PolicyReport' END,
    1, 32767, '', 0, k.id, CASE m.category WHEN 'VULNERABILITY' THEN 'debian 12' END
FROM made m JOIN open o ON o.content = m.id JOIN keyset k ON k.digest = sha256(o.keys::text::bytea)
ORDER BY m.id;
INSERT INTO content_count
SELECT content_id, category, severity, status, count(*) FROM finding GROUP BY 1, 2, 3, 4;
INSERT INTO image (registry, repository, tag, digest, digest_trusted)
SELECT 'docker.io', 'acme/app-' || id / 4, 'v' || id % 4, 'sha256:' || encode(sha256(int4send(id)), 'hex'), true
FROM made WHERE category = 'VULNERABILITY' ORDER BY id
"""

# Two placements a workload: its image's vulnerabilities, and its configuration or its policies.
PLACES = f"""
INSERT INTO cluster (ordinal, name, labels, mode, uid)
SELECT n - 1, 'cluster-' || n, jsonb_build_object('env', (ARRAY['prod', 'prod', 'test', 'dev'])[1 + n % 4],
    'region', 'region-' || n % 8), 'AGENT', 'uid-' || n
FROM generate_series(1, {{clusters}}) n;
INSERT INTO agent_session (cluster_id, number, last_seen_at, last_full_sync_at)
SELECT id, 1, now(), now() FROM cluster ORDER BY id;
INSERT INTO subject (cluster_id, api_group, kind, namespace, name, labels, resolved, running, pods, scanned)
SELECT c.id, 'apps', (ARRAY['Deployment', 'Deployment', 'StatefulSet', 'DaemonSet'])[1 + n % 4],
    'ns-' || n % {NAMESPACES}, 'app-' || n,
    jsonb_build_object('app', 'app-' || n, 'team', 'team-' || (n + c.id) % {TEAMS}), true, true, 1 + n % 3, true
FROM cluster c CROSS JOIN generate_series(1, {{placements}} / 2) n ORDER BY c.id, n;
INSERT INTO workload (cluster_id, subject_id, service_account, fingerprint, bucket)
SELECT cluster_id, id, 'default', hashint8extended(id, 11), id % 256 FROM subject;
INSERT INTO subject (cluster_id, api_group, kind, namespace, name, resolved, running)
SELECT c.id, '', 'Namespace', 'ns-' || n, 'ns-' || n, true, true
FROM cluster c CROSS JOIN generate_series(0, {NAMESPACES} - 1) n ORDER BY c.id, n;
INSERT INTO namespace SELECT cluster_id, name, id, '{{{{}}}}', hashint8extended(id, 12), id % 256
FROM subject WHERE kind = 'Namespace';
INSERT INTO subject (cluster_id, api_group, kind, namespace, name, resolved, running)
SELECT c.id, '', 'Node', '', 'node-' || n, true, true
FROM cluster c CROSS JOIN generate_series(1, {NODES}) n ORDER BY c.id, n;
INSERT INTO node (cluster_id, name, subject_id, labels, kubelet_version, fingerprint, bucket)
SELECT cluster_id, name, id, '{{{{}}}}', 'v1.31.2', hashint8extended(id, 13), id % 256
FROM subject WHERE kind = 'Node';
CREATE TEMP TABLE place AS
SELECT id * 2 + i AS number, id AS subject, cluster_id, namespace, name, pods,
    CASE WHEN i = 0 THEN 'VULNERABILITY' WHEN id % 4 < 3 THEN 'MISCONFIGURATION' ELSE 'POLICY' END AS category
FROM subject CROSS JOIN generate_series(0, 1) i WHERE kind NOT IN ('Namespace', 'Node');
CREATE TEMP TABLE held AS
SELECT p.*, row_number() OVER (ORDER BY number) AS id,
    m.least + floor(m.many * power({chance("number", 4)}, 3))::bigint AS content,
    m.least + floor(m.many * power({chance("number", 5)}, 3))::bigint AS former,
    {chance("number", 6)} AS c,
    now() - {chance("number", 7)} * interval '90 days' AS appeared,
    now() - {chance("number", 8)} * interval '7 days' AS changed
FROM place p JOIN (SELECT category, min(id) AS least, count(*) AS many FROM made GROUP BY 1) m USING (category);
INSERT INTO placement (cluster_id, subject_id, namespace, category, source, container, contents, keysets, format)
SELECT h.cluster_id, h.subject, h.namespace, h.category::finding_category,
    CASE h.category WHEN 'POLICY' THEN 'kyverno' ELSE 'trivy-operator' END,
    CASE h.category WHEN 'VULNERABILITY' THEN 'app' ELSE '' END,
    CASE WHEN h.c < {{left}} AND h.former <> h.content THEN 2 ELSE 1 END,
    CASE k.keys WHEN '{{{{}}}}' THEN '{{{{}}}}' ELSE ARRAY[k.id] END, 1
FROM held h JOIN content c ON c.id = h.content JOIN keyset k ON k.id = c.keyset_id ORDER BY h.id
"""

# One report of a placement, three of a policy's; one in twenty leaves a superseded one behind, one in
# a hundred is absent. One placement in five has changed since it appeared.
REPORTS = """
CREATE TEMP TABLE written AS
SELECT h.id AS placement, h.cluster_id, h.namespace, h.category, h.subject,
    h.name || '-' || right(md5(h.id::text || r), 10) AS name, CASE WHEN r = 0 THEN h.former ELSE h.content END AS content,
    (CASE WHEN r = 0 THEN 'SUPERSEDED' WHEN h.c > .99 THEN 'ABSENT' ELSE 'LIVE' END)::report_state AS state,
    greatest(h.appeared, h.changed) AS at
FROM held h CROSS JOIN LATERAL generate_series(
    CASE WHEN h.c < {left} AND h.former <> h.content THEN 0 ELSE 1 END,
    CASE h.category WHEN 'POLICY' THEN {policies} ELSE 1 END) r;
INSERT INTO report_kind (api_group, kind) VALUES ('aquasecurity.github.io', 'VulnerabilityReport'),
    ('aquasecurity.github.io', 'ConfigAuditReport'), ('wgpolicyk8s.io', 'PolicyReport');
INSERT INTO report (cluster_id, key, kind_id, namespace, name, sub_key, placement_id, content_id, image_id,
    state, scanner, scanner_version, reported_at, observed_at, absent_since, fingerprint, bucket)
SELECT cluster_id, report_key(k.api_group, k.kind, namespace, name, ''), k.id, namespace, name, '',
    placement, content, CASE category WHEN 'VULNERABILITY' THEN content END,
    state, CASE category WHEN 'POLICY' THEN 'kyverno' ELSE 'Trivy' END, '0.58.1', at, at,
    CASE state WHEN 'ABSENT' THEN now() END, hashint8extended(placement, hashtext(name)), hashtext(name) & 255
FROM written JOIN report_kind k ON k.kind = CASE category WHEN 'VULNERABILITY' THEN 'VulnerabilityReport'
    WHEN 'MISCONFIGURATION' THEN 'ConfigAuditReport' ELSE 'PolicyReport' END
ORDER BY placement;
INSERT INTO placement_content (placement_id, content_id, cluster_id, live, absent, superseded, image_id, since,
    observed_at)
SELECT placement_id, content_id, cluster_id, count(*) FILTER (WHERE state = 'LIVE'),
    count(*) FILTER (WHERE state = 'ABSENT'), count(*) FILTER (WHERE state = 'SUPERSEDED'), max(image_id),
    min(observed_at), max(observed_at)
FROM report GROUP BY 1, 2, 3 ORDER BY 1;
INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)
SELECT id, cluster_id, at, at, before, after FROM (
    SELECT h.id, h.cluster_id, h.appeared AS at, '{{}}'::int[] AS before,
        CASE WHEN h.c < {changed} AND h.changed > h.appeared THEN ARRAY[b.keyset_id] ELSE ARRAY[a.keyset_id] END AS after
    FROM held h JOIN content a ON a.id = h.content JOIN content b ON b.id = h.former
    UNION ALL
    SELECT h.id, h.cluster_id, h.changed, ARRAY[b.keyset_id], ARRAY[a.keyset_id]
    FROM held h JOIN content a ON a.id = h.content JOIN content b ON b.id = h.former
    WHERE h.c < {changed} AND h.changed > h.appeared AND a.keyset_id <> b.keyset_id) t ORDER BY at;
INSERT INTO running_image (cluster_id, subject_id, container, image_id, pods)
SELECT cluster_id, subject, 'app', content, pods FROM held WHERE category = 'VULNERABILITY' ORDER BY id
"""

COUNTS = """
INSERT INTO usage (content_id, cluster_id, namespace, "rows", placements, reports)
SELECT pc.content_id, pc.cluster_id, p.namespace, count(*), count(*) FILTER (WHERE pc.live + pc.absent > 0),
    sum(pc.live + pc.absent)
FROM placement_content pc JOIN placement p ON p.id = pc.placement_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
INSERT INTO severity_count
SELECT x.cluster_id, x.namespace, x.source, cc.category, cc.severity, cc.status,
    sum(cc.findings * x.placements), sum(cc.findings * x.reports)
FROM (SELECT p.cluster_id, p.namespace, p.source, pc.content_id, count(*) AS placements,
          sum(pc.live + pc.absent) AS reports
      FROM placement_content pc JOIN placement p ON p.id = pc.placement_id
      WHERE pc.live + pc.absent > 0 GROUP BY 1, 2, 3, 4) x
JOIN content_count cc USING (content_id) GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6;
INSERT INTO image_usage (image_id, cluster_id, namespace, subject_id, reports, pods)
SELECT image_id, cluster_id, namespace, subject_id, sum(reports), sum(pods) FROM (
    SELECT r.image_id, p.cluster_id, p.namespace, p.subject_id, 1 AS reports, 0 AS pods
    FROM report r JOIN placement p ON p.id = r.placement_id
    WHERE r.state <> 'SUPERSEDED' AND r.image_id IS NOT NULL
    UNION ALL
    SELECT ri.image_id, ri.cluster_id, s.namespace, ri.subject_id, 0, ri.pods
    FROM running_image ri JOIN subject s ON s.id = ri.subject_id) x
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
INSERT INTO sync_root (cluster_id, kind, state, entries, root, newest_report_at, scanner)
SELECT cluster_id, kind, 'SYNCED', count(*), bit_xor(fingerprint), max(at), max(scanner) FROM (
    SELECT cluster_id, api_group || '/' || kind AS kind, fingerprint, reported_at AS at, scanner
    FROM report r JOIN report_kind k ON k.id = r.kind_id WHERE state <> 'ABSENT'
    UNION ALL SELECT cluster_id, 'inventory/Workload', fingerprint, NULL, NULL FROM workload
    UNION ALL SELECT cluster_id, 'inventory/Namespace', fingerprint, NULL, NULL FROM namespace
    UNION ALL SELECT cluster_id, 'inventory/Node', fingerprint, NULL, NULL FROM node) x
GROUP BY 1, 2;
DROP TABLE made, known, open, place, held, written
"""


async def load(dsn: str, *, size: float, plain: bool = False) -> int:
    """Fill an empty, migrated database; return how many logical findings it holds.

    A plain fleet has exactly one report and one transition a placement.
    """
    numbers = {
        "left": 0 if plain else 0.05,
        "policies": 1 if plain else 3,
        "changed": 0 if plain else 0.2,
        "contents": max(100, int(CONTENTS * size)),
        "vulnerabilities": max(200, int(VULNERABILITIES * min(1.0, 4 * size))),
        "clusters": max(10, int(CLUSTERS * size)),
        "placements": PLACEMENTS if size >= 0.01 else 100,
    }
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET synchronous_commit = off; SET work_mem = '256MB'")
        for part in (RULES, FINDINGS, PLACES, REPORTS, COUNTS):
            for statement in part.format(**numbers).split(";\n"):
                await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        return int(await connection.fetchval("SELECT sum(findings) FROM severity_count"))
    finally:
        await connection.close()
