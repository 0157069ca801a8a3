"""Objects to entries, with a source made for it; the inventory is put together by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agent.entries import Writer
from agent.inventory import Inventory
from agent.reports import Reports, ReportSink, Watched
from agent.resource import Resource
from agent.state import State
from protocol import content
from protocol.messages import Failure, Image, Key, KindState, Object, Report
from sources.report import Category, ContentKind, ImageRef, Kind, Part, Reading, Ref, Source
from tests.agent.conftest import Outlet
from tests.agent.test_inventory import listed, put
from tests.fakes.objects import DIGEST, IMAGE_ID, owner, pod, replica_set

DEPLOYMENT = Object("apps", "Deployment", "default", "nginx")
PLACE = ("default", "r")


def made(
    split: Callable[[dict[str, Any]], list[Part]],
    *,
    group: str = "example.com",
    name: str = "Thing",
) -> Watched:
    kind = Kind(group, name, f"{name.lower()}s", ("v1",), namespaced=True)
    reader = ContentKind("thing", 1, 1, Category.POLICY, lambda _: Reading())
    return Watched(
        f"{group}/{name}",
        kind,
        Source("things", (kind,), (reader,), split),
        Resource(group, "v1", kind.plural),
    )


def as_told(obj: dict[str, Any]) -> list[Part]:
    """Split an object that holds its parts."""
    return [
        Part(
            source=one.get("source", "kyverno"),
            subject=Ref(*one["subject"]),
            content_kind="thing",
            format=1,
            content=msgspec.json.encode(one.get("content", "x")),
            sub_key=one.get("sub", ""),
            container=one.get("container", ""),
            image=ImageRef(**one["image"]) if "image" in one else None,
            scanner=one.get("scanner", ""),
            scanner_version=one.get("version", ""),
            reported_at=one.get("at"),
            labels=one.get("labels", {}),
        )
        for one in obj["parts"]
    ]


THINGS = made(as_told)
REPLICA_SET = ("apps", "ReplicaSet", "default", "nginx-1")


def raw(*parts: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"metadata": {"uid": "u-1"}, "parts": parts})


class World:
    """Reports over an inventory, a state and an outlet."""

    def __init__(self) -> None:
        self.state = State()
        self.outlet = Outlet(self.state)
        self.inventory = listed()
        self.reports = Reports(self.inventory, Writer(self.state, self.outlet))

    async def put(self, *parts: dict[str, Any], name: str = "r", watched: Watched = THINGS) -> None:
        await self.reports.put(watched, ("default", name), raw(*parts))

    def report(self, name: str = "r", *, sub: str = "", kind: str = THINGS.name) -> Report:
        body = self.outlet.entries[kind, Key("default", name, sub)]
        assert isinstance(body, Report)
        return body

    def stale(self) -> set[tuple[str, str]]:
        """Kind and name of the objects that have to be read again."""
        touched = self.inventory.take_touched()
        return {(kind, place[1]) for kind, place in self.reports.subjects.changed(touched)}


@pytest.fixture
async def world() -> World:
    return World()


async def test_context_and_content(world: World) -> None:
    put(world.inventory, replica_set("nginx-1"), pod("p", owners=owner("ReplicaSet", "nginx-1")))
    image = {"registry": "docker.io", "repository": "library/nginx", "tag": "1.25"}
    await world.put(
        {
            "subject": REPLICA_SET,
            "container": "nginx",
            "image": image | {"digest": IMAGE_ID},
            "scanner": "Trivy",
            "version": "1",
            "at": 5,
            "labels": {"team": "a"},
        }
    )
    name = content.name("thing", 1, b'"x"')
    assert world.report() == Report(
        content=name,
        source="kyverno",
        subject=DEPLOYMENT,
        resolved=True,
        superseded=False,
        container="nginx",
        image=Image("docker.io", "library/nginx", "1.25", DIGEST, trusted=True),
        scanner="Trivy",
        scanner_version="1",
        reported_at=5,
        uid="u-1",
        labels={"team": "a"},
    )
    payload = world.outlet.changes[0].content
    assert payload is not None
    assert (payload.name, payload.kind, payload.format, payload.body) == (name, "thing", 1, b'"x"')
    kind = world.state.kind(THINGS.name)
    assert (kind.newest_report_at, kind.scanner) == (5, "Trivy 1")


async def test_only_what_changed_is_sent(world: World) -> None:
    a, b = ({"subject": REPLICA_SET, "sub": sub} for sub in "ab")
    await world.put(a, b)
    await world.put(a, b)
    assert len(world.outlet.changes) == 2
    await world.put(a | {"content": "new"}, b)
    assert len(world.outlet.changes) == 3
    await world.put(b)
    assert world.outlet.deletions == [(THINGS.name, Key("default", "r", "a"))]
    await world.reports.gone(THINGS.name, PLACE)
    assert world.outlet.entries == {}
    assert world.state.kind(THINGS.name).root == 0


async def test_an_image_that_no_longer_runs_keeps_its_digest(world: World) -> None:
    put(world.inventory, replica_set("nginx-1"), pod("p", owners=owner("ReplicaSet", "nginx-1")))
    image = {"registry": "docker.io", "repository": "library/nginx", "tag": "1.24", "digest": "d"}
    await world.put({"subject": REPLICA_SET, "container": "nginx", "image": image})
    assert world.report().image == Image("docker.io", "library/nginx", "1.24", "d", trusted=False)


async def test_of_several_digests_that_run_the_reported_one_is_kept(world: World) -> None:
    first, second = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    owners = owner("ReplicaSet", "nginx-1")
    put(
        world.inventory,
        replica_set("nginx-1"),
        pod("a", owners=owners, image_id=f"nginx@{first}"),
        pod("b", owners=owners, image_id=f"nginx@{second}"),
        pod("c", owners=owners, image_id=f"nginx@{second}"),
    )
    image = {"registry": "docker.io", "repository": "library/nginx", "tag": "1.25"}
    for digest, expected in ((first, first), (IMAGE_ID, second)):
        told = {"subject": REPLICA_SET, "container": "nginx", "image": image | {"digest": digest}}
        await world.put(told)
        assert world.report().image == Image(
            "docker.io", "library/nginx", "1.25", expected, trusted=True
        )


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"metadata":{},"parts":[', "not decodable"),
        (b'{"metadata":{},"parts":"\\ud800"}', "not decodable"),
        (b'{"metadata":{},"parts":1e999}', ""),
        (b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b'{"metadata":{},"parts":[{"subject":["a"]}]}', "a fault of the agent: TypeError"),
        (raw({"subject": REPLICA_SET, "labels": {"x": 1}}), None),
    ],
)
async def test_any_object_is_survived(
    world: World, broken: bytes, reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    await world.put({"subject": REPLICA_SET, "sub": "s"})
    await world.reports.put(THINGS, PLACE, broken)
    if reason is None:
        return
    body = world.outlet.entries.pop((THINGS.name, Key("default", "r")))
    assert isinstance(body, Failure)
    assert reason in body.reason
    assert body.size == len(broken)
    assert world.outlet.entries == {}  # the failure stands in place of all the others
    assert ("Traceback" in caplog.text) == reason.startswith("a fault")


async def test_text_that_msgpack_cannot_hold_fails_that_object_only(world: World) -> None:
    def surrogate(_: dict[str, Any]) -> list[Part]:
        part = as_told({"parts": [{"subject": REPLICA_SET}]})[0]
        return [msgspec.structs.replace(part, labels={"x": "\ud800"})]

    await world.reports.put(made(surrogate), PLACE, raw())
    assert isinstance(world.outlet.entries[THINGS.name, Key("default", "r")], Failure)


async def test_an_old_replica_set_gives_way_to_a_newer_one_with_a_report(world: World) -> None:
    put(
        world.inventory,
        replica_set("nginx-1"),
        replica_set("nginx-2", revision=2),
        pod("p", owners=owner("ReplicaSet", "nginx-2")),
    )
    second = (*REPLICA_SET[:3], "nginx-2")
    await world.put({"subject": REPLICA_SET}, name="old")
    assert not world.report("old").superseded
    world.stale()
    await world.put({"subject": second}, name="new")
    assert world.stale() == {(THINGS.name, "old")}
    await world.put({"subject": REPLICA_SET}, name="old")
    assert world.report("old").superseded
    assert not world.report("new").superseded
    # A rollback: it runs again.
    world.stale()
    put(world.inventory, pod("q", owners=owner("ReplicaSet", "nginx-1")))
    assert world.stale() == {(THINGS.name, "old")}
    await world.put({"subject": REPLICA_SET}, name="old")
    assert not world.report("old").superseded
    world.stale()
    # The newer one's report goes, and nothing runs in the old one.
    world.inventory.forget(Object("", "Pod", "default", "q"))
    assert world.stale() == {(THINGS.name, "old")}
    await world.put({"subject": REPLICA_SET}, name="old")
    await world.reports.gone(THINGS.name, ("default", "new"))
    assert world.stale() == {(THINGS.name, "old")}


async def test_another_kind_of_report_supersedes_nothing(world: World) -> None:
    put(world.inventory, replica_set("nginx-1"), replica_set("nginx-2", revision=2))
    await world.put({"subject": (*REPLICA_SET[:3], "nginx-2")}, watched=made(as_told, name="Other"))
    await world.put({"subject": REPLICA_SET})
    assert not world.report().superseded


async def test_of_two_groups_the_one_with_the_newest_report_is_live(world: World) -> None:
    old = made(as_told, group="wgpolicyk8s.io", name="PolicyReport")
    new = made(as_told, group="openreports.io", name="Report")
    told = {"subject": ("apps", "Deployment", "default", "nginx")}
    await world.put(told | {"at": 10}, watched=old)
    await world.put(told | {"at": 10}, watched=new)
    assert not world.report(kind=new.name).superseded
    assert world.stale() == {(old.name, "r")}
    await world.put(told | {"at": 11}, watched=old)
    assert not world.report(kind=old.name).superseded
    assert world.stale() == {(new.name, "r")}
    await world.put(told | {"at": 10}, watched=new)
    assert world.report(kind=new.name).superseded
    await world.put(told | {"at": 9, "source": "other"}, watched=new, name="x")
    assert not world.report("x", kind=new.name).superseded
    # The old group's CRD goes: the other one is live again.
    world.stale()
    await world.reports.let_go(old.name, "gone")
    assert world.stale() == {(new.name, "r")}
    assert world.state.kind(old.name).state == KindState.ABSENT
    assert not world.outlet.of(old.name)


async def test_only_pod_changes_that_matter_make_an_object_stale(world: World) -> None:
    put(world.inventory, replica_set("nginx-1"))
    image = {"registry": "docker.io", "repository": "library/nginx", "tag": "1.25"}
    await world.put({"subject": REPLICA_SET, "container": "nginx", "image": image})
    await world.put({"subject": REPLICA_SET}, name="no-image")
    world.stale()
    put(world.inventory, pod("p", owners=owner("ReplicaSet", "nginx-1")))
    assert world.stale() == {(THINGS.name, "r")}
    await world.put({"subject": REPLICA_SET, "container": "nginx", "image": image})
    put(world.inventory, pod("p", owners=owner("ReplicaSet", "nginx-1"), labels={"new": "label"}))
    assert world.stale() == set()


async def test_an_owner_that_comes_later(world: World) -> None:
    await world.put({"subject": REPLICA_SET})
    assert (world.report().subject.kind, world.report().resolved) == ("ReplicaSet", False)
    put(world.inventory, replica_set("nginx-1"))
    assert world.stale() == {(THINGS.name, "r")}


async def test_without_an_inventory_all_is_live_and_not_resolved() -> None:
    world = World()
    world.inventory = Inventory()
    for kind in ("Pod", "ReplicaSet"):
        world.inventory.settle(kind, KindState.FORBIDDEN, "no")
    world.reports = Reports(world.inventory, Writer(world.state, world.outlet))
    await world.put({"subject": REPLICA_SET})
    assert (world.report().resolved, world.report().superseded) == (False, False)


async def test_writers_of_one_object_take_turns(world: World) -> None:
    sink = ReportSink(THINGS, world.reports, asyncio.Event())
    async with world.reports.alone(THINGS.name, PLACE):
        task = asyncio.create_task(sink.put(PLACE, raw({"subject": REPLICA_SET})))
        await asyncio.sleep(0)
        await sink.put(("default", "other"), raw({"subject": REPLICA_SET}))
        assert not task.done()
    await task
    assert not world.reports._locks


async def test_a_sink_leaves_absence_to_discovery(world: World) -> None:
    missing = asyncio.Event()
    sink = ReportSink(THINGS, world.reports, missing)
    await sink.settled(KindState.SYNCED, "")
    await sink.settled(KindState.ABSENT, "404")
    assert missing.is_set()
    assert world.outlet.states == [(THINGS.name, KindState.SYNCED)]
    await sink.settled(KindState.FORBIDDEN, "403")
    await sink.unreadable(PLACE, "larger than 8 bytes", 9)
    assert list(sink.known()) == [PLACE]
    failure = world.outlet.entries[THINGS.name, Key(*PLACE)]
    assert failure == Failure("larger than 8 bytes", 9)
    await sink.gone(PLACE)
    assert not list(sink.known())
