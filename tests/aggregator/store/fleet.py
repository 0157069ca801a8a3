"""Small fleets for tests of the store: sessions' parts, made by hand."""

import hashlib
from typing import Any

from aggregator.ingest.reading import finding_key, keyset_name
from aggregator.store.contents import Key as FindingKey
from aggregator.store.contents import NewContent
from aggregator.store.pool import Pool
from protocol.fingerprint import fingerprint
from protocol.messages import Body, Container, Image, Item, Key, Object, Report, Workload
from sources.report import OPEN, Category, Finding, Rule, Severity, Status

KIND = "aquasecurity.github.io/VulnerabilityReport"
CONTENT_KIND = "vulnerabilities"


async def add_cluster(pool: Pool, name: str = "one") -> int:
    """A cluster with a session of number 1."""
    cluster_id = await pool.fetchval(
        "INSERT INTO cluster (name, ordinal, mode) "
        "VALUES ($1, (SELECT count(*) FROM cluster), 'AGENT') RETURNING id",
        name,
    )
    await pool.execute("INSERT INTO agent_session (cluster_id, number) VALUES ($1, 1)", cluster_id)
    assert isinstance(cluster_id, int)
    return cluster_id


def content(
    *rules: str, status: Status = Status.FAIL, format_version: int = 1, salt: str = ""
) -> NewContent:
    """A content with one HIGH finding a rule; equal arguments give equal contents."""
    findings = [Finding(rule=rule, severity=Severity.HIGH, status=status) for rule in rules]
    keys = [finding_key(Category.VULNERABILITY, finding) for finding in findings]
    open_keys = tuple(sorted({k for k, f in zip(keys, findings, strict=True) if f.status in OPEN}))
    ordinals: dict[int, int] = {}
    records: list[tuple[Any, ...]] = []
    for key, finding in zip(keys, findings, strict=True):
        ordinal = ordinals[key] = ordinals.get(key, -1) + 1
        values = (finding.rule, key, ordinal, "VULNERABILITY", str(status), "HIGH", *[None] * 9)
        records.append(values)
    text = f"{CONTENT_KIND}/{format_version}/{status}/{salt}/{'/'.join(rules)}"
    return NewContent(
        name=hashlib.sha256(text.encode()).digest(),
        kind=CONTENT_KIND,
        format=format_version,
        reader=1,
        body=b"zstd",
        size=4,
        os=None,
        category="VULNERABILITY",
        keyset=keyset_name(open_keys),
        open_keys=open_keys,
        keys=tuple(
            FindingKey(key, "VULNERABILITY", f.rule, None, None)
            for key, f in zip(keys, findings, strict=True)
        ),
        rules=tuple(Rule(key=rule, severity=Severity.HIGH) for rule in rules),
        packages=(),
        counts={("HIGH", str(status)): len(rules)} if rules else {},
        findings=tuple(records),
    )


def report(
    what: NewContent,
    name: str = "r",
    *,
    workload: str = "web",
    namespace: str = "default",
    container: str = "app",
    superseded: bool = False,
    observed_at: int = 1_000,
    uid: str = "",
) -> Item:
    """A report of `what` about a Deployment's container."""
    body = Report(
        content=what.name,
        source="trivy-operator",
        subject=Object("apps", "Deployment", namespace, workload),
        resolved=True,
        superseded=superseded,
        container=container,
        image=Image("docker.io", f"library/{workload}", "1", ""),
        scanner="Trivy",
        scanner_version="1",
        reported_at=None,
        uid=uid,
        labels={},
    )
    return item(KIND, Key(namespace, name), body, observed_at=observed_at)


def workload(name: str = "web", *, namespace: str = "default", pods: int = 1) -> Item:
    """A Deployment that runs one container."""
    image = Image("docker.io", f"library/{name}", "1", "sha256:" + "a" * 64, trusted=True)
    body = Workload(
        labels={"app": name},
        service_account="default",
        pods=pods,
        containers=(Container("app", image, pods),),
    )
    return item("inventory/Workload", Key(namespace, name, "apps/Deployment"), body)


def item(kind: str, key: Key, body: Body, *, observed_at: int = 1_000) -> Item:
    """An entry with its fingerprint."""
    return Item(key, fingerprint(kind, key, body), observed_at, body)
