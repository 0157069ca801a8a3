"""Whatever the server does, what a reflector holds ends equal to what the server has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import backoff, reflector
from agent.kubernetes import Api
from agent.pages import MAX_OBJECT_BYTES
from agent.reflector import Lists, Reflector
from agent.resource import Resource
from protocol.messages import KindState
from tests.agent.conftest import RecordingSink, eventually
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.resources import ResourceType
from tests.fakes.storage import Place

THINGS = ResourceType("example.com", ("v1",), "things", "Thing")
RESOURCE = Resource("example.com", "v1", "things")


def put(fake: FakeKubernetes, name: str, value: int = 0, *, size: int = 0) -> None:
    metadata = {"name": name, "namespace": "ns"}
    spec = {"value": value, "filler": "x" * size}
    fake.put({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata, "spec": spec})


def held(fake: FakeKubernetes) -> dict[Place, bytes]:
    from tests.fakes.storage import encode

    return {place: encode(obj) for place, obj in fake.objects("Thing").items()}


@contextlib.asynccontextmanager
async def reflecting(
    fake: FakeKubernetes, *, resource: Resource = RESOURCE
) -> AsyncIterator[RecordingSink]:
    sink = RecordingSink()
    async with Api(fake.login()) as api:
        made = Reflector(api, resource, sink, lists=Lists(1))
        task = asyncio.create_task(made.run())
        try:
            yield sink
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(backoff, "MAX_SECONDS", 0.05)
    monkeypatch.setattr(reflector, "REFUSED_SECONDS", 0.05)
    monkeypatch.setattr(reflector, "SHORT_SECONDS", 0.0)


@pytest.mark.parametrize("streams", ["yes", "refuse", "fail"])
async def test_list_and_watch(fake: FakeKubernetes, streams: str) -> None:
    fake.streams_lists = streams
    fake.serve(THINGS)
    for number in range(120):
        put(fake, f"t{number}")
    async with reflecting(fake) as sink:
        await eventually(lambda: KindState.SYNCED in sink.states)
        assert sink.objects == held(fake)
        put(fake, "t5", 1)
        put(fake, "new")
        fake.delete("Thing", "ns", "t6")
        await eventually(lambda: sink.objects == held(fake))
        pages = [request for request in fake.requests if "limit" in request.query]
        assert len(pages) == (0 if streams == "yes" else 3)


async def test_changes_while_pages_are_read(fake: FakeKubernetes) -> None:
    fake.streams_lists = "refuse"
    fake.serve(THINGS)
    for number in range(200):
        put(fake, f"t{number:03}")
    fake.answers_after = 0.02
    async with reflecting(fake) as sink:
        await eventually(lambda: len(sink.objects) >= 50)
        put(fake, "t000", 1)
        put(fake, "t199", 1)
        fake.delete("Thing", "ns", "t001")
        fake.delete("Thing", "ns", "t198")
        await eventually(lambda: sink.objects == held(fake))


async def test_a_restart_that_loses_history(fake: FakeKubernetes) -> None:
    fake.serve(THINGS)
    put(fake, "stays")
    put(fake, "goes")
    async with reflecting(fake) as sink:
        await eventually(lambda: fake.watches(THINGS) == 1 and len(sink.objects) == 2)
        await fake.stop()
        fake.delete("Thing", "ns", "goes")
        put(fake, "comes")
        await fake.restart(down=0.1, starting=0.2)
        await eventually(lambda: sink.objects == held(fake) and sink.states[-1] == KindState.SYNCED)
        statuses = [request.status for request in fake.requests]
        assert 429 in statuses


async def test_only_metadata(fake: FakeKubernetes) -> None:
    fake.serve(THINGS)
    put(fake, "secretive")
    resource = Resource("example.com", "v1", "things", metadata_only=True)
    async with reflecting(fake, resource=resource) as sink:
        await eventually(lambda: bool(sink.objects))
        assert b"filler" not in sink.objects["ns", "secretive"]
        put(fake, "watched")
        await eventually(lambda: len(sink.objects) == 2)
        assert b"filler" not in sink.objects["ns", "watched"]


@pytest.mark.parametrize("streams", ["yes", "refuse"])
async def test_an_object_beyond_the_limit(fake: FakeKubernetes, streams: str) -> None:
    fake.streams_lists = streams
    fake.serve(THINGS)
    put(fake, "a")
    put(fake, "huge", size=MAX_OBJECT_BYTES)
    put(fake, "z")
    async with reflecting(fake) as sink:
        await eventually(lambda: KindState.SYNCED in sink.states)
        assert set(sink.objects) == {("ns", "a"), ("ns", "z")}
        reason, size = sink.failed["ns", "huge"]
        assert reason == f"larger than {MAX_OBJECT_BYTES} bytes"
        assert size > MAX_OBJECT_BYTES
        put(fake, "z", size=MAX_OBJECT_BYTES)
        put(fake, "huge")
        await eventually(lambda: set(sink.failed) == {("ns", "z")})
        fake.delete("Thing", "ns", "z")
        await eventually(lambda: not sink.failed)
        assert sink.objects == held(fake)


async def test_a_right_granted_later_and_a_crd_that_comes_and_goes(fake: FakeKubernetes) -> None:
    async with reflecting(fake) as sink:
        await eventually(lambda: sink.states == [KindState.ABSENT])
        fake.forbid(THINGS)
        fake.serve(THINGS, starting=0.1)
        put(fake, "a")
        await eventually(lambda: sink.states[-1] == KindState.FORBIDDEN)
        fake.allow(THINGS)
        await eventually(lambda: sink.states[-1] == KindState.SYNCED)
        assert sink.objects == held(fake)
        await eventually(lambda: any("resourceVersion" in one.query for one in fake.requests))
        fake.withdraw(THINGS)
        await eventually(lambda: sink.states[-1] == KindState.ABSENT)
        assert sink.objects == {}


names = st.sampled_from(["a", "b", "c", "d", "e"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), names),
        st.tuples(st.just("delete"), names),
        st.tuples(
            st.sampled_from(
                [
                    "cut",
                    "compact",
                    "expire",
                    "restart",
                    "500",
                    "429",
                    "reset",
                    "garbage",
                    "half a line",
                    "forbid",
                    "allow",
                    "pause",
                ]
            ),
            st.just(""),
        ),
    ),
    max_size=25,
)


@given(
    script=steps,
    streams=st.sampled_from(["yes", "refuse", "fail"]),
    page=st.sampled_from([1, 2, 50]),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_ends_equal_to_the_server(
    script: list[tuple[str, str]], streams: str, page: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reflector, "PAGE_ITEMS", page)
        patch.setattr(reflector, "WATCH_SECONDS", 1.0)
        async with FakeKubernetes(core=False) as fake:
            fake.streams_lists = streams
            fake.serve(THINGS)
            for name in "abc":
                put(fake, name)
            async with reflecting(fake) as sink:
                for number, (action, name) in enumerate(script):
                    await _act(fake, action, name, number)
                fake.allow(THINGS)
                fake._faults.clear()
                await eventually(
                    lambda: sink.objects == held(fake) and sink.states[-1:] == [KindState.SYNCED]
                )
                put(fake, "last")
                await eventually(lambda: sink.objects == held(fake))


async def _act(fake: FakeKubernetes, action: str, name: str, number: int) -> None:
    simple: dict[str, Callable[[], object]] = {
        "cut": fake.cut,
        "compact": fake.compact,
        "expire": fake.expire_tokens,
        "put": lambda: put(fake, name, number),
        "delete": lambda: fake.delete("Thing", "ns", name),
        "500": lambda: fake.fail("things", status=500, times=2),
        "429": lambda: fake.fail("things", status=429, times=2),
        "reset": lambda: fake.fail("things", status=0, times=2),
        "garbage": lambda: fake.inject(THINGS, b'{"type":"ADDED","object":{"metadata":{"na\n'),
        "half a line": lambda: fake.inject(THINGS, b'{"type":"ADDED","object":{"metadata":{"na'),
        "forbid": lambda: fake.forbid(THINGS),
        "allow": lambda: fake.allow(THINGS),
    }
    if action == "restart":
        await fake.restart()
    elif action == "pause":
        await asyncio.sleep(0.02)
    else:
        simple[action]()
    if action == "half a line":
        await asyncio.sleep(0.01)
        fake.cut()
