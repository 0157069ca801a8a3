"""The whole watch against the fake API server: what an aggregator would hold at the end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent import backoff, reflector, rereads, watcher
from agent.kubernetes import Api, NotFoundError, UnavailableError
from agent.state import State
from agent.watcher import Watcher, cluster_uid, kubernetes_version
from protocol.messages import (
    NAMESPACES,
    NODES,
    WORKLOADS,
    Failure,
    Key,
    KindState,
    Namespace,
    Report,
    Workload,
)
from sources import registry
from tests.agent.conftest import Outlet, eventually
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.objects import (
    DIGEST,
    node,
    owner,
    pod,
    policy_report,
    replica_set,
    vulnerability_report,
    workload,
)
from tests.fakes.resources import (
    OPEN_REPORTS,
    PODS,
    POLICY_REPORTS,
    REPLICA_SETS,
    VULNERABILITY_REPORTS,
    ResourceType,
)

VULNERABILITIES = "aquasecurity.github.io/VulnerabilityReport"
POLICIES = "wgpolicyk8s.io/PolicyReport"
OPEN = "openreports.io/Report"
SHOWN_SECONDS = 3.0  # the bound that the product is judged by


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(backoff, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(reflector, "REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(rereads, "RETRY_SECONDS", 0.1)


@contextlib.asynccontextmanager
async def watching(api: Api, state: State, outlet: Outlet) -> AsyncIterator[Watcher]:
    made = Watcher(api, state, outlet)
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
    for name, kind in state.kinds.items():
        assert dict(kind.entries()).keys() == outlet.of(name).keys()


def synced(state: State, *names: str) -> bool:
    return all(state.kind(name).state == KindState.SYNCED for name in names)


def add_nginx(fake: FakeKubernetes) -> None:
    fake.put(workload("Deployment", "nginx", labels={"app": "nginx"}))
    fake.put(replica_set("nginx-1"))
    fake.put(pod("nginx-1-a", owners=owner("ReplicaSet", "nginx-1")))


def report(outlet: Outlet, name: str, *, kind: str = VULNERABILITIES) -> Report | None:
    body = next((body for key, body in outlet.of(kind).items() if key.name == name), None)
    return body if isinstance(body, Report) else None


async def test_everything_from_the_start(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    add_nginx(fake)
    fake.put(node("node-1"))
    fake.put(vulnerability_report("r"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS, NAMESPACES, NODES))
        found = report(outlet, "r")
        assert found is not None
        assert (found.subject.kind, found.subject.name) == ("Deployment", "nginx")
        assert found.image is not None
        assert (found.image.digest, found.image.trusted) == (DIGEST, True)
        one = outlet.of(WORKLOADS)[Key("default", "nginx", "apps/Deployment")]
        assert isinstance(one, Workload)
        assert (one.pods, one.service_account, one.labels) == (1, "web", {"app": "nginx"})
        assert set(outlet.of(NAMESPACES)) == {Key("", "default"), Key("", "kube-system")}
        assert isinstance(outlet.of(NAMESPACES)[Key("", "default")], Namespace)
        assert set(outlet.of(NODES)) == {Key("", "node-1")}
        others = set(map("/".join, registry.kinds())) - {VULNERABILITIES}
        await eventually(lambda: all(state.kind(name).state == KindState.ABSENT for name in others))


async def test_no_report_is_listed_before_pods_and_replica_sets_are(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    fake.put(vulnerability_report("r"))
    fake.fail("/replicasets", status=500, times=8)
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES))
    listed = [request.path for request in fake.requests]
    first = next(i for i, path in enumerate(listed) if "vulnerabilityreports" in path)
    assert sum("replicasets" in path for path in listed[:first]) >= 9


async def test_without_rights_on_pods_reports_come_unresolved(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    fake.forbid(PODS)
    fake.forbid(REPLICA_SETS)
    add_nginx(fake)
    fake.put(vulnerability_report("r"))
    async with watching(api, state, outlet):
        await eventually(lambda: report(outlet, "r") is not None)
        found = report(outlet, "r")
        assert found is not None
        assert (found.subject.kind, found.resolved) == ("ReplicaSet", False)
        await eventually(lambda: state.kind(WORKLOADS).state == KindState.FORBIDDEN)
        assert "pods is forbidden" in state.kind(WORKLOADS).message
        fake.allow(PODS)
        fake.allow(REPLICA_SETS)
        await eventually(lambda: (report(outlet, "r") or found).resolved)
        await eventually(lambda: synced(state, WORKLOADS))


async def test_changes_show_soon(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    add_nginx(fake)
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS))
        started = time.monotonic()
        fake.put(vulnerability_report("r"))
        fake.put(pod("nginx-1-b", owners=owner("ReplicaSet", "nginx-1")))
        key = Key("default", "nginx", "apps/Deployment")
        await eventually(lambda: report(outlet, "r") is not None)
        await eventually(lambda: outlet.of(WORKLOADS)[key].pods == 2)
        assert time.monotonic() - started < SHOWN_SECONDS
        fake.delete("VulnerabilityReport", "default", "r")
        await eventually(lambda: report(outlet, "r") is None)
        fake.delete("Deployment", "default", "nginx")
        fake.delete("ReplicaSet", "default", "nginx-1")
        for name in ("nginx-1-a", "nginx-1-b"):
            fake.delete("Pod", "default", name)
        await eventually(lambda: not outlet.of(WORKLOADS))


async def test_a_burst_of_pods_is_one_change_of_a_workload(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.put(workload("DaemonSet", "agent"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, WORKLOADS))
        before = len(outlet.changes)
        for number in range(100):
            fake.put(pod(f"agent-{number}", owners=owner("DaemonSet", "agent")))
        key = Key("default", "agent", "apps/DaemonSet")
        await eventually(lambda: outlet.of(WORKLOADS)[key].pods == 100)
        assert len(outlet.changes) - before <= 4


async def test_what_the_inventory_says_later_is_sent_again(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    fake.put(vulnerability_report("r1"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS))
        found = report(outlet, "r1")
        assert found is not None
        assert not found.resolved
        fake.fail("vulnerabilityreports/r1", status=500, times=2)
        add_nginx(fake)
        await eventually(lambda: (report(outlet, "r1") or found).resolved)
        # A rollout: the old ReplicaSet's report is superseded once the new one has its own.
        fake.put(replica_set("nginx-2", revision=2))
        fake.put(pod("nginx-2-a", owners=owner("ReplicaSet", "nginx-2")))
        fake.delete("Pod", "default", "nginx-1-a")
        fake.put(vulnerability_report("r2", subject=("ReplicaSet", "nginx-2")))
        await eventually(lambda: (report(outlet, "r1") or found).superseded)
        second = report(outlet, "r2")
        assert second is not None
        assert not second.superseded


async def test_two_groups_of_one_policy_api(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(POLICY_REPORTS)
    fake.put(policy_report("p", at=1_767_225_600))
    async with watching(api, state, outlet):
        await eventually(lambda: report(outlet, "p", kind=POLICIES) is not None)
        fake.serve(OPEN_REPORTS)
        version = "openreports.io/v1alpha1"
        fake.put(policy_report("p", at=1_767_225_700, api_version=version, kind="Report"))
        await eventually(lambda: getattr(report(outlet, "p", kind=POLICIES), "superseded", False))
        live = report(outlet, "p", kind=OPEN)
        assert live is not None
        assert not live.superseded
        fake.withdraw(OPEN_REPORTS)
        await eventually(
            lambda: not getattr(report(outlet, "p", kind=POLICIES), "superseded", True)
        )


async def test_a_crd_that_comes_goes_and_comes_back(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    async with watching(api, state, outlet):
        kind = state.kind(VULNERABILITIES)
        await eventually(lambda: kind.state == KindState.ABSENT)
        for _ in range(2):
            fake.serve(VULNERABILITY_REPORTS, starting=0.2)
            fake.put(vulnerability_report("r"))
            await eventually(lambda: report(outlet, "r") is not None)
            await eventually(lambda: kind.state == KindState.SYNCED)
            fake.withdraw(VULNERABILITY_REPORTS)
            await eventually(lambda: kind.state == KindState.ABSENT)
            assert report(outlet, "r") is None
            assert kind.newest_report_at is None


async def test_a_better_version_is_changed_to_without_a_gap(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    kind, _ = registry.kinds()["wgpolicyk8s.io", "PolicyReport"]
    worse, better = kind.versions[-1], kind.versions[0]

    def serve(*versions: str) -> None:
        fake.serve(ResourceType(kind.group, versions, kind.plural, kind.kind))

    serve(worse)
    fake.put(policy_report("p"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, POLICIES))
        serve(worse, better)
        await eventually(lambda: any(f"/{better}/" in request.path for request in fake.requests))
        await eventually(lambda: fake.watches(POLICY_REPORTS) == 1)
        serve("v99")
        await eventually(lambda: state.kind(POLICIES).state == KindState.ERROR)
        assert "served as v99" in state.kind(POLICIES).message
        assert report(outlet, "p", kind=POLICIES) is not None
    assert not outlet.deletions


async def test_a_right_taken_away_is_noticed_and_deletes_nothing(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "WATCH_SECONDS", 1.0)
    monkeypatch.setattr(reflector, "WATCH_JITTER_SECONDS", 0.0)
    fake.serve(VULNERABILITY_REPORTS)
    fake.put(vulnerability_report("r"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES))
        fake.forbid(VULNERABILITY_REPORTS)
        await eventually(lambda: state.kind(VULNERABILITIES).state == KindState.FORBIDDEN)
        assert report(outlet, "r") is not None
        fake.delete("VulnerabilityReport", "default", "r")
        fake.allow(VULNERABILITY_REPORTS)
        await eventually(lambda: synced(state, VULNERABILITIES))
        await eventually(lambda: report(outlet, "r") is None)


async def test_an_api_server_that_restarts(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    add_nginx(fake)
    fake.put(vulnerability_report("stays"))
    fake.put(vulnerability_report("goes"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS))
        changes = len(outlet.changes)
        await fake.stop()
        await eventually(lambda: state.kind(VULNERABILITIES).state == KindState.ERROR)
        assert len(outlet.of(VULNERABILITIES)) == 2
        fake.delete("VulnerabilityReport", "default", "goes")
        fake.put(vulnerability_report("comes"))
        await fake.restart(starting=0.2)
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS))
        await eventually(
            lambda: (
                {key.name for key in outlet.of(VULNERABILITIES)}
                == {
                    "stays",
                    "comes",
                }
            )
        )
        assert len(outlet.changes) == changes + 1  # what stayed was not sent again


async def test_faulty_objects_do_not_stop_their_neighbours(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)

    def broken(revision: int) -> bytes:
        metadata = b'{"name":"b-broken","namespace":"default","resourceVersion":"%d"}' % revision
        return b'{"metadata":%b,"report":"\\ud800"}' % metadata

    fake.put(vulnerability_report("a"))
    version = "aquasecurity.github.io/v1alpha1"
    fake.put_raw(version, "VulnerabilityReport", ("default", "b-broken"), broken)
    without = vulnerability_report("c-without")
    del without["report"]
    fake.put(without)
    fake.put(vulnerability_report("d"))
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES))
        bodies = {key.name: body for key, body in outlet.of(VULNERABILITIES).items()}
        assert isinstance(bodies["b-broken"], Failure)
        assert isinstance(bodies["c-without"], Failure)
        assert isinstance(bodies["a"], Report)
        assert isinstance(bodies["d"], Report)
        fake.put(vulnerability_report("c-without"))
        fake.put(vulnerability_report("b-broken"))
        await eventually(
            lambda: all(isinstance(body, Report) for body in outlet.of(VULNERABILITIES).values())
        )


@pytest.mark.parametrize("list_from", [1, 1000])
async def test_resend(  # noqa: PLR0917 - fixtures
    fake: FakeKubernetes,
    api: Api,
    state: State,
    outlet: Outlet,
    monkeypatch: pytest.MonkeyPatch,
    list_from: int,
) -> None:
    monkeypatch.setattr(rereads, "LIST_FROM", list_from)
    fake.serve(VULNERABILITY_REPORTS)
    add_nginx(fake)
    names = [f"r{number:02}" for number in range(60)]
    for name in names:
        fake.put(vulnerability_report(name))
    async with watching(api, state, outlet) as made:
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS, NAMESPACES))
        outlet.changes.clear()
        fake.requests.clear()
        wanted = [Key("default", name) for name in [*names[:30], "never-was"]]
        await made.resend(VULNERABILITIES, wanted)
        sent = [change.item.key for change in outlet.changes]
        assert sorted(key.name for key in sent) == names[:30]
        assert all(change.content for change in outlet.changes)
        reads = [request for request in fake.requests if "/r" in request.path[-4:]]
        assert len(reads) == (0 if list_from == 1 else 30)
        outlet.changes.clear()
        deployment = Key("default", "nginx", "apps/Deployment")
        await made.resend(WORKLOADS, [deployment, Key("default", "none", "apps/Deployment")])
        await made.resend(NAMESPACES, [Key("", "default")])
        assert [change.item.key for change in outlet.changes] == [deployment, Key("", "default")]
        await made.resend(POLICIES, [Key("default", "x")])


async def test_a_read_that_failed_is_sent_later_though_nothing_has_changed(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    fake.put(vulnerability_report("r"))
    async with watching(api, state, outlet) as made:
        await eventually(lambda: synced(state, VULNERABILITIES))
        outlet.changes.clear()
        fake.fail("/vulnerabilityreports/r$", status=429, times=2)
        await made.resend(VULNERABILITIES, [Key("default", "r")])
        await eventually(
            lambda: [c.item.key.name for c in outlet.changes if c.kind == VULNERABILITIES] == ["r"]
        )


async def test_resend_of_what_has_changed_meanwhile_sends_what_is_there_now(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rereads, "LIST_FROM", 1)
    fake.serve(VULNERABILITY_REPORTS)
    fake.put(vulnerability_report("r"))
    fake.put(vulnerability_report("gone"))
    async with watching(api, state, outlet) as made:
        await eventually(lambda: synced(state, VULNERABILITIES))
        fake.put(vulnerability_report("r", rules=("CVE-1", "CVE-2")))
        fake.delete("VulnerabilityReport", "default", "gone")
        await made.resend(VULNERABILITIES, [Key("default", "r"), Key("default", "gone")])
        last = [change for change in outlet.changes if change.item.key.name == "r"][-1]
        assert last.content is not None
        assert b"CVE-2" in last.content.body


async def test_a_fault_of_the_outlet_ends_in_the_right_state(
    fake: FakeKubernetes, api: Api, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Outlet):
        faults = 3

        async def changed(self, change: Any) -> None:
            if change.kind == VULNERABILITIES and self.faults:
                self.faults -= 1
                raise RuntimeError("full")
            await super().changed(change)

    outlet = Faulty(state)
    fake.serve(VULNERABILITY_REPORTS)
    for name in ("a", "b", "c", "d"):
        fake.put(vulnerability_report(name))
    made = Watcher(api, state, outlet)
    task = asyncio.create_task(made.run())
    await eventually(lambda: not outlet.faults and synced(state, VULNERABILITIES))
    await eventually(lambda: len(outlet.of(VULNERABILITIES)) == 4)
    assert state.kind(VULNERABILITIES).count == 4
    assert "a fault of the agent" in caplog.text
    task.cancel()
    await asyncio.wait([task])


async def test_facts_of_a_cluster(fake: FakeKubernetes, api: Api) -> None:
    namespace = fake.objects("Namespace")["", "kube-system"]
    assert await cluster_uid(api) == namespace["metadata"]["uid"]
    assert await kubernetes_version(api) == "v1.36.0"
    fake.delete("Namespace", "", "kube-system")
    with pytest.raises(NotFoundError):
        await cluster_uid(api)
    await fake.stop()
    with pytest.raises(UnavailableError):
        await kubernetes_version(api)


async def test_nothing_but_what_the_rules_allow_is_asked_for(
    fake: FakeKubernetes, api: Api, state: State, outlet: Outlet
) -> None:
    from agent.rbac import rules

    fake.serve(VULNERABILITY_REPORTS)
    add_nginx(fake)
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state, VULNERABILITIES, WORKLOADS))
    allowed = {(rule["apiGroups"][0], plural) for rule in rules() for plural in rule["resources"]}
    for request in fake.requests:
        parts = request.path.strip("/").split("/")
        if parts != ["apis"]:
            group = "" if parts[0] == "api" else parts[1]
            assert (group, parts[-1]) in allowed
