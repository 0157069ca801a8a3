"""The agent's watch against a real API server and, where they are at hand, the real CRDs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import reflector
from agent.kubernetes import Api
from agent.state import State
from agent.watcher import Watcher
from protocol.messages import WORKLOADS, KindState
from tests.agent.conftest import Outlet, eventually
from tests.agent.test_restart import running as remembering
from tests.fakes.objects import policy_report, vulnerability_report
from tests.realapi.server import RealApi

pytestmark = [pytest.mark.realapi, pytest.mark.timeout(240)]

GROUP = "aquasecurity.github.io"
PATH = f"/apis/{GROUP}/v1alpha1/namespaces/default/vulnerabilityreports"
VULNERABILITIES = f"{GROUP}/VulnerabilityReport"
POLICIES = "wgpolicyk8s.io/PolicyReport"
SHOWN_SECONDS = 3.0


def crd(
    group: str = GROUP,
    plural: str = "vulnerabilityreports",
    kind: str = "VulnerabilityReport",
    versions: tuple[str, ...] = ("v1alpha1",),
) -> dict[str, Any]:
    """A CRD that takes anything."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "https://example.com/for-tests"},
        },
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [
                {"name": version, "served": True, "storage": not at, "schema": schema}
                for at, version in enumerate(versions)
            ],
        },
    }


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


async def create(real: RealApi, name: str, **fields: Any) -> None:
    status, answer = await real.request("POST", PATH, vulnerability_report(name, **fields))
    assert status == 201, answer


async def create_many(real: RealApi, names: list[str], **fields: Any) -> None:
    waiting = iter(names)

    async def some() -> None:
        for name in waiting:
            await create(real, name, **fields)

    await asyncio.gather(*(some() for _ in range(8)))


def names(outlet: Outlet, kind: str = VULNERABILITIES) -> set[str]:
    return {key.name for key in outlet.of(kind)}


async def within(seconds: float, do: Awaitable[Any], condition: Callable[[], bool]) -> None:
    """Do something and see it shown in time."""
    await do
    started = time.monotonic()
    await eventually(condition)
    assert time.monotonic() - started < seconds


def synced(state: State, kind: str = VULNERABILITIES) -> bool:
    return state.kind(kind).state == KindState.SYNCED


async def test_created_changed_and_removed(
    real: RealApi, api: Api, state: State, outlet: Outlet
) -> None:
    await real.install(crd())
    await create(real, "first")
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state) and names(outlet) == {"first"})
        await within(
            SHOWN_SECONDS, create(real, "second"), lambda: names(outlet) == {"first", "second"}
        )
        _, obj = await real.request("GET", f"{PATH}/second")
        obj["report"]["scanner"]["version"] = "changed"
        await within(
            SHOWN_SECONDS,
            real.request("PUT", f"{PATH}/second", obj),
            lambda: any(
                body.scanner_version == "changed" for body in outlet.of(VULNERABILITIES).values()
            ),
        )
        await within(
            SHOWN_SECONDS,
            real.request("DELETE", f"{PATH}/first"),
            lambda: names(outlet) == {"second"},
        )
        await eventually(lambda: state.kind(WORKLOADS).state == KindState.ABSENT)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_list_of_2000_objects(  # noqa: PLR0917 - fixtures
    real: RealApi,
    api: Api,
    state: State,
    outlet: Outlet,
    monkeypatch: pytest.MonkeyPatch,
    streams: bool,
) -> None:
    if not streams:

        async def refuse(*_: Any) -> str:
            raise reflector._NotStreamedError("by the test")

        monkeypatch.setattr(reflector.Reflector, "_list_streamed", refuse)
    await real.install(crd())
    every = [f"r{number:04}" for number in range(2000)]
    await create_many(real, every)
    used: list[bool] = []
    original = reflector.Reflector._list_pages

    async def spy(self: Any, unseen: Any) -> str:
        used.append(True)
        return await original(self, unseen)

    monkeypatch.setattr(reflector.Reflector, "_list_pages", spy)
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state))
        assert names(outlet) == set(every)
        await within(SHOWN_SECONDS, create(real, "later"), lambda: "later" in names(outlet))
    assert bool(used) == (not streams)


async def test_an_agent_that_starts_again_reads_what_has_changed(
    real: RealApi, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await real.install(crd())
    every = [f"r{number:03}" for number in range(600)]
    await create_many(real, every)
    read: list[str] = []
    get = Api.get

    async def spy(self: Api, path: str, **asked: Any) -> bytes:
        if PATH.rpartition("/")[2] in path and "as=" not in asked.get("accept", ""):
            read.append(path.rpartition("/")[2])
        return await get(self, path, **asked)

    monkeypatch.setattr(Api, "get", spy)
    async with remembering(api, tmp_path / "home") as first:
        assert set(first.objects[VULNERABILITIES]) == {("default", name) for name in every}
    status, _ = await real.request("DELETE", f"{PATH}/r001")
    assert status == 200
    status, _ = await real.request("DELETE", f"{PATH}/r002")
    assert status == 200
    await create(real, "r002")
    await create(real, "new")
    _, obj = await real.request("GET", f"{PATH}/r003")
    obj["report"]["scanner"]["version"] = "changed"
    await real.request("PUT", f"{PATH}/r003", obj)
    read.clear()
    async with remembering(api, tmp_path / "home") as second:
        assert sorted(read) == ["new", "r002", "r003"]
        async with remembering(api, tmp_path / "other") as fresh:
            assert second.objects == fresh.objects
        await create(real, "later")
        await eventually(lambda: ("default", "later") in second.objects[VULNERABILITIES])


async def test_a_server_that_restarts(
    real: RealApi, api: Api, state: State, outlet: Outlet
) -> None:
    await real.install(crd())
    await create_many(real, ["a", "b"])
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state) and names(outlet) == {"a", "b"})
        await real.stop_server()
        await eventually(lambda: state.kind(VULNERABILITIES).state == KindState.ERROR)
        assert names(outlet) == {"a", "b"}
        await real.start_server()
        await real.served(PATH)
        await create(real, "c")
        await real.request("DELETE", f"{PATH}/a")
        await eventually(lambda: synced(state) and names(outlet) == {"b", "c"})
        await within(SHOWN_SECONDS, create(real, "d"), lambda: "d" in names(outlet))


async def test_a_version_that_is_too_old(
    real: RealApi, api: Api, state: State, outlet: Outlet, caplog: pytest.LogCaptureFixture
) -> None:
    """Forced as components.md says: compaction alone expires nothing, a restart does."""
    caplog.set_level("INFO")
    await real.install(crd())
    await create(real, "a")
    async with watching(api, state, outlet) as made:
        await eventually(lambda: synced(state) and names(outlet) == {"a"})
        for task in made._tasks.values():
            task.cancel()  # nothing watches while the history goes
        for number in range(20):
            await create(real, f"n{number}")
        await real.stop_server()
        await real.start_server()
        await real.served(PATH)
        for number in range(20):
            status, _ = await real.request("DELETE", f"{PATH}/n{number}")
            assert status == 200
        watched = made._rereads.watched[VULNERABILITIES]
        from agent.reports import ReportSink

        sink = ReportSink(watched, made._reports, asyncio.Event())
        late = reflector.Reflector(api, watched.resource, sink, lists=reflector.Lists(1))
        late._version = "1"
        task = asyncio.create_task(late.run())
        await create(real, "b")
        await eventually(lambda: names(outlet) == {"a", "b"})
        task.cancel()
        await asyncio.wait([task])
    assert "listing again" in caplog.text


async def test_a_crd_that_goes_and_comes_back(
    real: RealApi, api: Api, state: State, outlet: Outlet
) -> None:
    async with watching(api, state, outlet):
        kind = state.kind(VULNERABILITIES)
        await eventually(lambda: kind.state == KindState.ABSENT)
        for _ in range(2):
            await real.install(crd())
            await create(real, "a")
            await eventually(lambda: names(outlet) == {"a"} and synced(state))
            await real.remove(crd())
            await eventually(lambda: not names(outlet) and kind.state == KindState.ABSENT)


async def test_a_right_taken_away_and_given_back(
    real: RealApi, api: Api, state: State, outlet: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "WATCH_SECONDS", 2.0)
    monkeypatch.setattr(reflector, "WATCH_JITTER_SECONDS", 0.0)
    monkeypatch.setattr(reflector, "REFUSED_SECONDS", 2.0)
    await real.install(crd())
    await create(real, "a")
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state) and names(outlet) == {"a"})
        real.forbidden.add("vulnerabilityreports")
        await eventually(lambda: state.kind(VULNERABILITIES).state == KindState.FORBIDDEN)
        assert names(outlet) == {"a"}
        await create(real, "b")
        await real.request("DELETE", f"{PATH}/a")
        real.forbidden.clear()
        await eventually(lambda: synced(state) and names(outlet) == {"b"})


async def test_several_versions_and_an_object_beyond_the_limit(
    real: RealApi, api: Api, state: State, outlet: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "MAX_OBJECT_BYTES", 300_000)
    await real.install(crd())
    await real.install(
        crd("wgpolicyk8s.io", "policyreports", "PolicyReport", ("v1beta1", "v1alpha2"))
    )
    await create(real, "large", rules=tuple(f"CVE-{number}" for number in range(4000)))
    await create(real, "small")
    path = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/default/policyreports"
    status, answer = await real.request("POST", path, policy_report("p"))
    assert status == 201, answer
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state) and synced(state, POLICIES))
        bodies = {key.name: body for key, body in outlet.of(VULNERABILITIES).items()}
        assert "larger than 300000 bytes" in bodies["large"].reason
        assert bodies["small"].content
        assert names(outlet, POLICIES) == {"p"}


async def test_the_real_crds(
    real: RealApi, api: Api, state: State, outlet: Outlet, shared: Path
) -> None:
    folder = shared / "fixtures" / "crds"
    for path in sorted(folder.glob("trivy-operator/v0.32.0/*.yaml")):
        await real.install(yaml.safe_load(path.read_text()))
    await create(real, "a")
    async with watching(api, state, outlet):
        await eventually(lambda: synced(state) and names(outlet) == {"a"})
        served = [name for name in state.kinds if name.startswith(f"{GROUP}/")]
        await eventually(lambda: sum(synced(state, name) for name in served) == 12)
