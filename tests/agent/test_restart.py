"""An agent that starts again: it reads what has changed, and ends with what a full list gives."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import backoff, metadata_list, outline, reflector, watcher, workloads
from agent.kubernetes import Api
from agent.memory import Memory
from agent.outline_table import DATABASE
from agent.state import Entries, Place, State
from agent.watcher import Watcher
from protocol.messages import Failure, Key, KindState, Report
from tests.agent.conftest import Outlet, eventually
from tests.fakes.kubernetes import FakeKubernetes, Request
from tests.fakes.objects import owner, pod, policy_report, replica_set, vulnerability_report
from tests.fakes.resources import OPEN_REPORTS, POLICY_REPORTS, VULNERABILITY_REPORTS
from tests.fakes.storage import encode

VULNERABILITIES = "aquasecurity.github.io/VulnerabilityReport"
POLICIES = "wgpolicyk8s.io/PolicyReport"
OPEN = "openreports.io/Report"
KINDS = (VULNERABILITIES, POLICIES, OPEN)

Objects = dict[str, dict[Place, Entries]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(backoff, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(reflector, "REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(workloads, "COALESCE_SECONDS", 0.02)


class Agent:
    """A watcher with what it remembers."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.state = State()
        self.outlet = Outlet(self.state)
        self.memory = Memory(folder)
        self._api = api

    async def start(self) -> None:
        await self.memory.open()
        self.watcher = Watcher(self._api, self.state, self.outlet, memory=self.memory)
        self._task = asyncio.create_task(self.watcher.run())

    async def stop(self) -> None:
        await self._end()
        await self.memory.close()

    async def die(self) -> None:
        """End without writing what has gathered, as if killed."""
        await self._end()
        self.memory._pending.clear()
        await self.memory.close()

    async def _end(self) -> None:
        assert not self._task.done()
        self._task.cancel()
        await asyncio.wait([self._task])

    def is_synced(self) -> bool:
        states = {self.state.kind(name).state for name in KINDS}
        return states <= {KindState.SYNCED, KindState.ABSENT}

    @property
    def objects(self) -> Objects:
        return {name: self.state.kind(name).objects for name in KINDS}


@contextlib.asynccontextmanager
async def running(api: Api, folder: Path) -> AsyncIterator[Agent]:
    agent = Agent(api, folder)
    await agent.start()
    await eventually(agent.is_synced)
    yield agent
    await agent.stop()


async def fresh(api: Api, folder: Path) -> Objects:
    """What an agent that remembers nothing, in a folder of its own, makes of the cluster."""
    async with running(api, folder) as agent:
        await settled(lambda: agent.objects)
        return agent.objects


async def settled(look: Callable[[], Objects]) -> None:
    """Wait until nothing has changed for a while."""
    before = None
    while (now := {name: dict(objects) for name, objects in look().items()}) != before:
        before = now
        await asyncio.sleep(0.15)


def whole(fake: FakeKubernetes, plural: str = "vulnerabilityreports") -> list[Request]:
    """Requests that brought whole objects, watches for changes aside."""
    return [
        request
        for request in fake.requests
        if f"/{plural}" in request.path
        and "as=" not in request.accept
        and (not request.watches or "sendInitialEvents" in request.query)
    ]


def single(fake: FakeKubernetes) -> list[str]:
    """The names of the objects read one by one."""
    return sorted(request.path.rpartition("/")[2] for request in whole(fake))


def add_nginx(fake: FakeKubernetes, *, generation: int = 1) -> None:
    name = f"nginx-{generation}"
    fake.put(replica_set(name, revision=generation))
    fake.put(pod(f"{name}-a", owners=owner("ReplicaSet", name)))


def add_reports(fake: FakeKubernetes, count: int = 10) -> None:
    fake.serve(VULNERABILITY_REPORTS)
    add_nginx(fake)
    for number in range(count):
        fake.put(vulnerability_report(f"r{number:02}", rules=(f"CVE-{number}",)))


async def test_what_has_not_changed_is_not_read(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake)
    async with running(api, tmp_path) as first:
        expected = first.objects
        assert len(expected[VULNERABILITIES]) == 10
        kind = first.state.kind(VULNERABILITIES)
        freshness = (kind.newest_report_at, kind.scanner)
    fake.requests.clear()
    async with running(api, tmp_path) as second:
        assert second.objects == expected
        kind = second.state.kind(VULNERABILITIES)
        assert (kind.newest_report_at, kind.scanner) == freshness
        assert not second.outlet.of(VULNERABILITIES)  # the comparison says what differs
        assert (VULNERABILITIES, KindState.SYNCED) in second.outlet.states
        await asyncio.sleep(0.2)
        assert not whole(fake)
        fake.put(vulnerability_report("later"))
        await eventually(lambda: ("default", "later") in second.objects[VULNERABILITIES])
    lists = [request for request in fake.requests if "PartialObjectMetadataList" in request.accept]
    assert 0 < sum(one.size for one in lists if "vulnerability" in one.path) < 10_000


async def test_only_what_has_changed_is_read(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake)
    async with running(api, tmp_path / "home"):
        pass
    fake.put(vulnerability_report("r03", rules=("CVE-new",)))
    fake.put(vulnerability_report("r10"))
    fake.delete("VulnerabilityReport", "default", "r04")
    fake.delete("VulnerabilityReport", "default", "r05")
    fake.put(vulnerability_report("r05", rules=("CVE-5",)))  # the same again, with another uid
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert single(fake) == ["r03", "r05", "r10"]
        assert second.objects == await fresh(api, tmp_path / "other")
    fake.requests.clear()
    async with running(api, tmp_path / "home"):
        assert not single(fake)


async def test_where_most_has_changed_all_is_listed(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake)
    async with running(api, tmp_path / "home"):
        pass
    for number in range(6):
        fake.put(vulnerability_report(f"r{number:02}", rules=("CVE-new",)))
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert single(fake) == ["vulnerabilityreports"]
        assert second.objects == await fresh(api, tmp_path / "other")


async def test_another_format_or_version_of_the_agent_reads_all_again(
    fake: FakeKubernetes, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_reports(fake)
    async with running(api, tmp_path):
        pass
    monkeypatch.setattr(outline, "version_of", lambda _: "99.0")
    for _ in range(2):
        fake.requests.clear()
        async with running(api, tmp_path) as again:
            assert len(again.objects[VULNERABILITIES]) == 10
            reads = single(fake)
        monkeypatch.setattr(watcher, "maker", lambda *_: b"another format")
        assert reads == ["vulnerabilityreports"]
    fake.requests.clear()
    async with running(api, tmp_path):
        assert not whole(fake)


async def test_a_version_number_that_is_given_out_again_is_told_by_the_time(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    """As after a backup of etcd was restored."""
    add_reports(fake, count=3)

    def put(rule: str, time: str) -> None:
        obj = vulnerability_report("r00", rules=(rule,))
        obj["metadata"]["uid"] = "u"
        obj["metadata"]["managedFields"] = [{"manager": "a", "time": None}, {"time": time}]
        obj["metadata"]["resourceVersion"] = "1200"
        kept = {**obj, "metadata": dict(obj["metadata"])}
        fake.put_raw(
            "aquasecurity.github.io/v1alpha1",
            "VulnerabilityReport",
            ("default", "r00"),
            lambda _: encode(kept),
        )

    put("CVE-1", "2026-01-01T00:00:00Z")
    async with running(api, tmp_path / "home"):
        pass
    put("CVE-2", "2026-01-02T00:00:00Z")
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert single(fake) == ["r00"]
        assert second.objects == await fresh(api, tmp_path / "other")


async def test_what_cannot_be_read_is_remembered_too(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake, count=4)
    broken = vulnerability_report("broken")
    del broken["report"]
    fake.put(broken)
    async with running(api, tmp_path / "home"):
        pass
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert not whole(fake)
        assert second.objects == await fresh(api, tmp_path / "other")
        fake.requests.clear()
        await second.watcher.resend(VULNERABILITIES, [Key("default", "broken")])
        assert isinstance(second.outlet.entries[VULNERABILITIES, Key("default", "broken")], Failure)


async def test_one_object_of_several_reports(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    fake.serve(POLICY_REPORTS)
    obj = policy_report("p")
    for source in ("kyverno", "trivy", "falco"):
        obj["results"].append({**obj["results"][0], "source": source, "message": "password=x"})
    fake.put(obj)
    async with running(api, tmp_path) as first:
        expected = first.objects
        assert len(expected[POLICIES]["default", "p"]) == 3
    fake.requests.clear()
    async with running(api, tmp_path) as second:
        assert second.objects == expected
        assert not whole(fake, "policyreports")


async def test_what_others_supersede_is_right_without_reading_it(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake, count=3)
    add_nginx(fake, generation=2)
    fake.put(vulnerability_report("z", subject=("ReplicaSet", "nginx-2")))
    fake.delete("Pod", "default", "nginx-1-a")
    async with running(api, tmp_path) as first:
        await settled(lambda: first.objects)
        expected = first.objects
    fake.requests.clear()
    async with running(api, tmp_path) as second:
        await settled(lambda: second.objects)
        assert second.objects == expected
        assert not whole(fake)
        await second.watcher.resend(VULNERABILITIES, [Key("default", "r00"), Key("default", "z")])
        bodies = second.outlet.of(VULNERABILITIES)
        superseded = {
            key.name: isinstance(one, Report) and one.superseded for key, one in bodies.items()
        }
        assert superseded == {"r00": True, "z": False}


async def test_what_the_inventory_has_learnt_meanwhile_counts(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake, count=3)
    async with running(api, tmp_path / "home") as first:
        before = first.objects
    fake.delete("Pod", "default", "nginx-1-a")
    other = "docker.io/library/nginx@sha256:" + "e" * 64
    fake.put(pod("nginx-1-b", owners=owner("ReplicaSet", "nginx-1"), image_id=other))
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert not whole(fake)
        assert second.objects != before
        assert second.objects == await fresh(api, tmp_path / "other")


@pytest.mark.parametrize("knows", ["no metadata", "no single objects", "too old a token"])
async def test_a_server_that_does_not_go_along_gets_a_full_list(
    fake: FakeKubernetes, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    monkeypatch.setattr(metadata_list, "METADATA_ITEMS", 3)
    add_reports(fake)
    async with running(api, tmp_path / "home"):
        pass
    fake.put(vulnerability_report("r03", rules=("CVE-new",)))
    fake.lists_metadata = knows != "no metadata"
    if knows == "no single objects":
        fake.fail("vulnerabilityreports/", status=403)
    elif knows == "too old a token":
        fake.fail("vulnerabilityreports.*continue=", status=410)
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert second.objects == await fresh(api, tmp_path / "other")


async def test_an_error_on_the_way_begins_the_list_again_and_keeps_what_was_read(
    fake: FakeKubernetes, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_list, "READS_AT_ONCE", 1)
    add_reports(fake)
    async with running(api, tmp_path / "home"):
        pass
    for number in range(4):
        fake.put(vulnerability_report(f"r{number:02}", rules=("CVE-new",)))
    fake.fail("vulnerabilityreports/r03", status=500, times=2)
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert single(fake) == ["r00", "r01", "r02", "r03", "r03", "r03"]
        assert second.objects == await fresh(api, tmp_path / "other")


async def test_a_list_of_a_running_agent_compares_too(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake)
    async with running(api, tmp_path / "home") as agent:
        fake.requests.clear()
        await fake.stop()
        fake.put(vulnerability_report("r03", rules=("CVE-new",)))
        fake.delete("VulnerabilityReport", "default", "r04")
        await fake.restart()
        await eventually(lambda: ("default", "r04") not in agent.objects[VULNERABILITIES])
        await eventually(agent.is_synced)
        assert single(fake) == ["r03"]
        assert agent.objects == await fresh(api, tmp_path / "other")


async def test_what_a_synced_kind_lacks_is_read_and_sent(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    """Nobody compares a kind that stays as it is, so nothing may be taken back in silence."""
    add_reports(fake)
    async with running(api, tmp_path) as agent:
        await agent.memory.flush()
        agent.state.kind(VULNERABILITIES).put(("default", "r03"), ())
        fake.requests.clear()
        fake.put(pod("another"))
        fake.compact()
        fake.cut(VULNERABILITY_REPORTS)
        await eventually(lambda: ("default", "r03") in agent.objects[VULNERABILITIES])
        assert single(fake) == ["r03"]
        sent = [one.item.key for one in agent.outlet.changes if one.kind == VULNERABILITIES]
        assert sent[-1] == Key("default", "r03")


@pytest.mark.parametrize(
    "what", ["garbage", "another table", "another shape", "half", "in use", "a folder"]
)
async def test_a_table_that_cannot_be_used_stops_nothing(
    fake: FakeKubernetes, api: Api, tmp_path: Path, what: str
) -> None:
    add_reports(fake)
    home = tmp_path / "home"
    async with running(api, home) as first:
        expected = first.objects
    path = home / DATABASE
    other = Memory(home)
    if what == "garbage":
        path.write_bytes(b"x" * 10_000)
    elif what == "another table":
        script = "DROP TABLE outline; CREATE TABLE outline (kind, body)"
        await asyncio.to_thread(_run_script, path, script)
    elif what == "another shape":
        await asyncio.to_thread(_run_script, path, "PRAGMA user_version = 7")
    elif what == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif what == "in use":
        await other.open()
    else:
        path.unlink()
        path.mkdir()
    async with running(api, home) as second:
        assert second.objects == expected
    await other.close()
    fake.requests.clear()
    async with running(api, home) as third:
        assert third.objects == expected
        assert bool(whole(fake)) == (what == "a folder")


def _run_script(path: Path, script: str) -> None:
    database = sqlite3.connect(path)
    database.executescript(script)
    database.close()


async def test_a_kill_costs_no_more_than_reading_again(
    fake: FakeKubernetes, api: Api, tmp_path: Path
) -> None:
    add_reports(fake)
    first = Agent(api, tmp_path / "home")
    await first.start()
    await eventually(first.is_synced)
    await first.memory.flush()
    fake.put(vulnerability_report("r03", rules=("CVE-new",)))
    fake.delete("VulnerabilityReport", "default", "r04")
    await eventually(lambda: ("default", "r04") not in first.objects[VULNERABILITIES])
    await first.die()
    fake.requests.clear()
    async with running(api, tmp_path / "home") as second:
        assert single(fake) == ["r03"]
        assert second.objects == await fresh(api, tmp_path / "other")


names = st.sampled_from(["a", "b", "c"])
actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "same", "break", "delete", "policy", "open"]), names),
        st.tuples(
            st.sampled_from(["roll out", "compact", "500", "metadata", "upgrade"]), st.just("")
        ),
    ),
    max_size=5,
)
rounds = st.lists(st.tuples(actions, st.booleans(), actions), min_size=1, max_size=4)


@given(
    rounds=rounds, share=st.sampled_from([0.0, 0.5, 1.0, 1.0]), page=st.sampled_from([1, 2, 250])
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_ends_as_a_fresh_full_list(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: list[tuple[list[tuple[str, str]], bool, list[tuple[str, str]]]],
    share: float,
    page: int,
) -> None:
    """What happens while the agent runs, whether it is killed then, what happens meanwhile."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata_list, "FULL_LIST_SHARE", share)
        patch.setattr(metadata_list, "METADATA_ITEMS", page)
        async with FakeKubernetes() as fake, Api(fake.login()) as api:
            for resource in (VULNERABILITY_REPORTS, POLICY_REPORTS, OPEN_REPORTS):
                fake.serve(resource)
            add_nginx(fake)
            for number, name in enumerate("abc"):
                fake.put(vulnerability_report(name, rules=(f"CVE-{number}",)))
            for number, (running_, killed, away) in enumerate(rounds):
                agent = Agent(api, home)
                await agent.start()
                await eventually(agent.is_synced)
                for at, (action, name) in enumerate(running_):
                    _act(fake, action, name, 20 * number + at)
                await asyncio.sleep(0.05)  # some of it is noticed, perhaps
                await (agent.die() if killed else agent.stop())
                for at, (action, name) in enumerate(away):
                    _act(fake, action, name, 20 * number + at + 10)
                    if action == "upgrade":
                        patch.setattr(outline, "SPLITTING", number + 2)
            fake._faults.clear()
            async with running(api, home) as last:
                expected = await fresh(api, home / "other")
                await eventually(lambda: last.objects == expected)


def _act(fake: FakeKubernetes, action: str, name: str, number: int) -> None:
    broken = vulnerability_report(name)
    del broken["report"]
    again = "openreports.io/v1alpha1"
    rules, subject = (f"CVE-{number}",), ("ReplicaSet", f"nginx-{number % 3}")
    acts: dict[str, Callable[[], object]] = {
        "put": lambda: fake.put(vulnerability_report(name, rules=rules, subject=subject)),
        "same": lambda: fake.put(vulnerability_report(name)),
        "break": lambda: fake.put(broken),
        "delete": lambda: fake.delete("VulnerabilityReport", "default", name),
        "policy": lambda: fake.put(policy_report(name, at=1_767_225_600 + number % 5)),
        "open": lambda: fake.put(
            policy_report(name, at=1_767_225_602, api_version=again, kind="Report")
        ),
        "roll out": lambda: add_nginx(fake, generation=number % 3),
        "compact": fake.compact,
        "500": lambda: fake.fail("reports", status=500, times=2),
        "metadata": lambda: setattr(fake, "lists_metadata", not fake.lists_metadata),
        "upgrade": lambda: None,
    }
    acts[action]()
