"""The agent beside a Kubernetes API, the aggregator on a Postgres: what changes there shows here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.run import run
from aggregator.access import administration
from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.e2e.conftest import OWNER, Aggregator, serve
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.resources import report_kinds

WITHIN = 20.0  # seconds that a busy machine may take
VULNERABILITY_REPORTS = next(
    r
    for r in report_kinds()
    if r.kind == "VulnerabilityReport" and r.group == "aquasecurity.github.io"
)


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", **more}


def owner(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": True}]


def deployment(name: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "app", "image": f"{name}:1"}]}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, labels={"team": "shop"}),
        "spec": spec,
    }


def replica_set(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(f"{name}-1", ownerReferences=owner("Deployment", name)),
        "spec": {"replicas": 1, "template": {"spec": {"containers": []}}},
        "status": {"replicas": 1},
    }


def pod(name: str) -> dict[str, Any]:
    digest = "sha256:" + "ab" * 32
    status = {
        "name": "app",
        "image": f"{name}:1",
        "imageID": f"docker.io/library/{name}@{digest}",
        "state": {"running": {}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(f"{name}-1-x", ownerReferences=owner("ReplicaSet", f"{name}-1")),
        "spec": {"containers": [{"name": "app", "image": f"{name}:1"}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def report(name: str, *cves: str) -> dict[str, Any]:
    return {
        "apiVersion": "aquasecurity.github.io/v1alpha1",
        "kind": "VulnerabilityReport",
        "metadata": metadata(
            f"replicaset-{name}-1-app",
            labels={
                "trivy-operator.resource.kind": "ReplicaSet",
                "trivy-operator.resource.name": f"{name}-1",
                "trivy-operator.resource.namespace": "shop",
                "trivy-operator.container.name": "app",
            },
        ),
        "report": {
            "updateTimestamp": "2026-01-01T00:00:00Z",
            "artifact": {"repository": f"library/{name}", "tag": "1"},
            "registry": {"server": "index.docker.io"},
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.60.0"},
            "summary": {},
            "vulnerabilities": [
                {
                    "vulnerabilityID": cve,
                    "resource": "openssl",
                    "installedVersion": "1",
                    "fixedVersion": "2",
                    "severity": "HIGH",
                    "title": cve,
                    "primaryLink": "",
                    "links": [],
                }
                for cve in cves
            ],
        },
    }


@pytest.fixture
async def kubernetes() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes() as fake:
        fake.serve(VULNERABILITY_REPORTS)
        for name in ("web", "api"):
            for make in (deployment, replica_set, pod):
                fake.put(make(name))
        yield fake


Start = Callable[[], Awaitable[contextlib.AbstractAsyncContextManager[None]]]


@contextlib.asynccontextmanager
async def running(
    aggregator: Aggregator, kubernetes: FakeKubernetes, folder: Path, token: str
) -> AsyncIterator[None]:
    """Run the agent as its command does, and stop it as SIGTERM would."""
    file = kubernetes.write_kubeconfig(folder / "kubeconfig")
    task = asyncio.create_task(
        run(aggregator.agent(token=token, kubeconfig=file, home=folder / "agent"))
    )
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(aggregator: Aggregator, query: str, expected: Any) -> None:
    """Wait until a statement answers as expected."""
    found = None
    try:
        async with asyncio.timeout(WITHIN):
            while (found := await aggregator.pool.fetchval(query)) != expected:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{query}: {found!r} instead of {expected!r}") from None


REPORTS = "SELECT string_agg(name || ' ' || state, ', ' ORDER BY name) FROM report"
RULES = """
SELECT string_agg(r.key, ' ' ORDER BY r.key) FROM finding f
JOIN placement_content pc USING (content_id) JOIN rule r ON r.id = f.rule_id
WHERE pc.live + pc.absent > 0
"""


async def test_what_happens_in_the_cluster_shows(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    kubernetes.put(report("web", "CVE-1"))

    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")
        kubernetes.put(report("api", "CVE-2"))
        await until(aggregator, RULES, "CVE-1 CVE-2")
        kubernetes.put(report("api", "CVE-3"))
        await until(aggregator, RULES, "CVE-1 CVE-3")
        await until(aggregator, "SELECT count(*) FROM workload", 2)  # else nothing is known of it
        kubernetes.delete("VulnerabilityReport", "shop", "replicaset-api-1-app")
        await until(aggregator, REPORTS, "replicaset-api-1-app ABSENT, replicaset-web-1-app LIVE")
        subject = await aggregator.pool.fetchrow(
            "SELECT s.* FROM placement p JOIN subject s ON s.id = p.subject_id WHERE s.name = 'web'"
        )
        assert subject is not None
        assert (subject["kind"], subject["resolved"], subject["pods"]) == ("Deployment", True, 1)
        assert await aggregator.pool.fetchval(
            "SELECT bool_and(digest_trusted AND digest <> '') FROM image"
        )
        for make_name in (("Deployment", "api"), ("ReplicaSet", "api-1"), ("Pod", "api-1-x")):
            kubernetes.delete(make_name[0], "shop", make_name[1])
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_how_fresh_a_cluster_is_shows_though_its_agent_left(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    kubernetes.put(report("web", "CVE-1"))
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")
        await until(aggregator, "SELECT last_full_sync_at IS NOT NULL FROM agent_session", True)

    answer = await aggregator.query(
        '{ cluster(name: "prod") { state clockSkewMs'
        " kinds { group kind state reports newestReportAt scanner } } }"
    )

    cluster = answer["cluster"]
    assert cluster["state"] == "ONLINE"  # until it has been silent for a while
    assert abs(cluster["clockSkewMs"]) < 60_000
    kinds = {f"{kind['group']}/{kind['kind']}": kind for kind in cluster["kinds"]}
    assert kinds.pop("aquasecurity.github.io/VulnerabilityReport") == {
        "group": "aquasecurity.github.io",
        "kind": "VulnerabilityReport",
        "state": "SYNCED",
        "reports": 1,
        "newestReportAt": "2026-01-01T00:00:00+00:00",
        "scanner": "Trivy 0.60.0",
    }
    assert {kind["state"] for kind in kinds.values()} == {"ABSENT"}


async def test_what_happened_while_the_agent_was_away_shows(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    kubernetes.put(report("web", "CVE-1"))
    kubernetes.put(report("api", "CVE-2"))
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, RULES, "CVE-1 CVE-2")
        await until(aggregator, "SELECT count(*) FROM workload", 2)

    kubernetes.put(report("web", "CVE-4"))
    kubernetes.delete("VulnerabilityReport", "shop", "replicaset-api-1-app")
    kubernetes.compact()

    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, REPORTS, "replicaset-api-1-app ABSENT, replicaset-web-1-app LIVE")
        await until(aggregator, RULES, "CVE-2 CVE-4")
        await until(aggregator, "SELECT last_full_sync_at IS NOT NULL FROM agent_session", True)
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_an_agent_that_starts_again_reads_what_is_lacking_and_no_more(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    for name in ("web", "api"):
        kubernetes.put(report(name, f"CVE-{name}"))
    everything = "SELECT count(*) FROM report WHERE state = 'LIVE'"
    digests = "SELECT count(*) FROM image WHERE digest = 'sha256:' || repeat('cd', 32)"
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, everything, 2)
        await until(aggregator, "SELECT count(*) FROM workload", 2)

    moved = pod("api")
    moved["status"]["containerStatuses"][0]["imageID"] = "docker.io/library/api@sha256:" + "cd" * 32
    kubernetes.put(moved)
    kubernetes.requests.clear()
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, digests, 1)
        await until(aggregator, "SELECT last_full_sync_at IS NOT NULL FROM agent_session", True)
        assert set(whole_reports(kubernetes)) == {"replicaset-api-1-app"}
    await assert_counts_equal_a_recount(aggregator.pool)

    await administration.remove_cluster(aggregator.pool, OWNER, name="prod")
    token = await aggregator.add_cluster("prod")
    kubernetes.requests.clear()
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, everything, 2)
        await until(aggregator, RULES, "CVE-api CVE-web")


def whole_reports(kubernetes: FakeKubernetes) -> list[str]:
    """What was read of reports in full: names of objects, or the plural for a list."""
    return [
        request.path.rpartition("/")[2]
        for request in kubernetes.requests
        if "/vulnerabilityreports" in request.path
        and "as=" not in request.accept
        and (not request.watches or "sendInitialEvents" in request.query)
    ]


async def test_a_crd_that_goes_takes_its_reports_along(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    kubernetes.put(report("web", "CVE-1"))
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")
        kubernetes.withdraw(VULNERABILITY_REPORTS)
        await until(aggregator, REPORTS, None)
        state = "SELECT state::text FROM sync_root WHERE kind LIKE '%/VulnerabilityReport'"
        await until(aggregator, state, "ABSENT")
        kubernetes.serve(VULNERABILITY_REPORTS)
        kubernetes.put(report("web", "CVE-1"))
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")


async def test_a_right_taken_away_loses_nothing_and_is_shown(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    kubernetes.put(report("web", "CVE-1"))
    state = "SELECT state::text FROM sync_root WHERE kind LIKE '%io/VulnerabilityReport'"
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")
    kubernetes.forbid(VULNERABILITY_REPORTS)
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, state, "FORBIDDEN")
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")


async def test_what_happened_while_the_aggregator_was_down_shows(
    dsn: str, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    kubernetes.put(report("web", "CVE-1"))
    kubernetes.put(report("api", "CVE-2"))
    async with contextlib.AsyncExitStack() as stack:
        async with serve(dsn, tmp_path) as first:
            port = int(first.url.rpartition(":")[2])
            token = await first.add_cluster("prod")
            await stack.enter_async_context(running(first, kubernetes, tmp_path, token))
            await until(first, RULES, "CVE-1 CVE-2")
            await until(first, "SELECT count(*) FROM workload", 2)
        kubernetes.put(report("web", "CVE-5"))
        kubernetes.delete("VulnerabilityReport", "shop", "replicaset-api-1-app")
        async with serve(dsn, tmp_path, port=port) as second:
            await until(second, RULES, "CVE-2 CVE-5")
            await until(second, REPORTS, "replicaset-api-1-app ABSENT, replicaset-web-1-app LIVE")
            await assert_counts_equal_a_recount(second.pool)


async def test_an_api_server_that_restarts_and_forgets_loses_nothing(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    kubernetes.put(report("web", "CVE-1"))
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, RULES, "CVE-1")
        await kubernetes.restart(starting=0.2)
        kubernetes.compact()
        kubernetes.put(report("web", "CVE-6"))
        await until(aggregator, RULES, "CVE-6")
        await until(aggregator, "SELECT count(*) FROM workload", 2)


async def test_long_lists_arrive_whole(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    for number in range(2_000):
        made = report("web", f"CVE-{number % 50}")
        made["metadata"]["name"] = f"report-{number}"
        made["metadata"]["labels"]["trivy-operator.container.name"] = f"app-{number}"
        kubernetes.put(made)
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, "SELECT count(*) FROM report WHERE state = 'LIVE'", 2_000)
        await until(aggregator, "SELECT sum(findings) FROM severity_count", 2_000)
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_objects_that_cannot_be_read_are_shown_and_stop_no_other(
    aggregator: Aggregator, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    token = await aggregator.add_cluster("prod")
    broken = report("api", "CVE-1")
    broken["report"]["vulnerabilities"] = "none"
    kubernetes.put(broken)
    kubernetes.put(report("web", "CVE-2"))
    reasons = "SELECT string_agg(reason, ', ') FROM failed_report"
    async with running(aggregator, kubernetes, tmp_path, token):
        await until(aggregator, reasons, "report.vulnerabilities: expected list, found text")
        await until(aggregator, REPORTS, "replicaset-web-1-app LIVE")
        kubernetes.put(report("api", "CVE-1"))
        await until(aggregator, reasons, None)
        await until(aggregator, RULES, "CVE-1 CVE-2")
    await assert_counts_equal_a_recount(aggregator.pool)
