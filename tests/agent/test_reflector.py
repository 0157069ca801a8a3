"""What the reflector waits for, by virtual time against a script of answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from agent import kubernetes, reflector
from agent.kubernetes import (
    ApiError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    Query,
    TooManyRequestsError,
    UnavailableError,
)
from agent.reflector import (
    DEAF_SECONDS,
    INITIAL_SILENCE_SECONDS,
    REFUSED_SECONDS,
    SILENCE_SECONDS,
    WATCH_SECONDS,
    Lists,
    Reflector,
)
from agent.resource import Resource
from protocol.messages import KindState
from tests.agent.conftest import RecordingSink

pytestmark = pytest.mark.looptime

THINGS = Resource("example.com", "v1", "things")
HANG = "hang"  # in a script: nothing more comes on this connection

Answer = ApiError | list[bytes | str]  # chunks of a stream, or the bytes of a page


def thing(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version)}}


def line(event: str, obj: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": event, "object": obj}) + b"\n"


def bookmark(version: int, *, end: bool = False) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return line("BOOKMARK", {"metadata": metadata})


def error(code: int) -> bytes:
    return line("ERROR", {"kind": "Status", "code": code, "message": "as scripted"})


def page(*things: dict[str, Any], version: int = 10, proceed: str = "") -> list[bytes | str]:
    metadata = {"resourceVersion": str(version), "continue": proceed}
    return [msgspec.json.encode({"items": things, "metadata": metadata})]


class Script:
    """Answers one request after the other; then hangs for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.at: list[float] = []

    async def get(self, path: str, *, query: Query | None = None, **_: Any) -> bytes:
        async with self.stream(path, query=query) as chunks:
            return b"".join([chunk async for chunk in chunks])

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, query: Query | None = None, **_: Any
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        assert path == THINGS.path
        self.asked.append(dict(query or {}))
        self.at.append(asyncio.get_running_loop().time())
        answer: Answer = self.answers.pop(0) if self.answers else [HANG]
        if isinstance(answer, ApiError):
            raise answer
        yield self._chunks(answer)

    async def _chunks(self, answer: list[bytes | str]) -> AsyncIterator[bytes]:
        for chunk in answer:
            if isinstance(chunk, bytes):
                yield chunk
            else:
                await asyncio.sleep(1e9)


def reflect(script: Script, sink: RecordingSink, *, streams: bool = False) -> Reflector:
    lists = Lists(1, streams=streams)
    return Reflector(script, THINGS, sink, lists=lists, draw=lambda: 0.0)


async def _run(made: Reflector, *, until: Callable[[], bool]) -> None:
    task = asyncio.create_task(made.run())
    while not until():
        await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])


async def test_lists_pages_then_watches_from_the_lists_version(sink: RecordingSink) -> None:
    script = Script(
        page(thing("a", 1), proceed="more"),
        page(thing("b", 2), version=99),
        [line("ADDED", thing("c", 11)), line("DELETED", thing("a", 12)), bookmark(20)],
    )
    made = reflect(script, sink)
    assert [await made.step(), await made.step()] == [0, 0]
    assert script.asked[:2] == [{"limit": "50"}, {"limit": "50", "continue": "more"}]
    assert script.asked[2]["resourceVersion"] == "10"
    assert set(sink.objects) == {("ns", "b"), ("ns", "c")}
    assert sink.states == [KindState.SYNCED]
    await asyncio.wait_for(_step(made), 1)
    assert script.asked[3]["resourceVersion"] == "20"


async def _step(made: Reflector) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await made.step()


async def test_a_streamed_list_goes_on_from_its_mark(sink: RecordingSink) -> None:
    script = Script([line("ADDED", thing("a", 1)), bookmark(30, end=True), HANG], [bookmark(31)])
    sink.objects[("ns", "old")] = b""
    made = reflect(script, sink, streams=True)
    assert await made.step() == 0
    assert script.asked[0]["sendInitialEvents"] == "true"
    assert script.asked[0]["resourceVersionMatch"] == "NotOlderThan"
    assert sink.log == [("put", ("ns", "a")), ("gone", ("ns", "old"))]
    await made.step()
    assert script.asked[1]["resourceVersion"] == "30"


@pytest.mark.parametrize(
    ("refusal", "after", "ever"),
    [
        (InvalidError("422"), 0, True),
        ([error(500)], 0, True),
        ([line("ADDED", thing("b", 1)), bookmark(5)], 0, False),
        ([line("ADDED", thing("b", 1)), HANG], INITIAL_SILENCE_SECONDS, True),
    ],
)
async def test_without_streamed_lists_pages_are_read(
    looptime: Any, sink: RecordingSink, refusal: Answer, after: float, ever: bool
) -> None:
    script = Script(refusal, page(thing("a", 1)))
    made = reflect(script, sink, streams=True)
    sink.objects[("ns", "old")] = b""
    assert await made.step() == 0
    assert looptime == after
    assert script.asked[1] == {"limit": "50"}
    assert ("ns", "old") not in sink.objects
    assert not made._streams
    assert made._lists.streams == (not ever)


async def test_a_list_that_breaks_deletes_nothing(sink: RecordingSink) -> None:
    script = Script(page(thing("a", 1), proceed="more"), UnavailableError("cut"))
    sink.objects[("ns", "old")] = b""
    made = reflect(script, sink)
    assert await made.step() == 0.5
    assert set(sink.objects) == {("ns", "a"), ("ns", "old")}
    assert sink.states == []


async def test_an_expired_list_goes_on_with_the_servers_token(sink: RecordingSink) -> None:
    script = Script(
        page(thing("a", 1), version=10, proceed="one"),
        msgspec.convert({"code": 410, "metadata": {"continue": "two"}}, _status()).error("list"),
        page(thing("b", 2), version=50),
        [bookmark(60)],
    )
    made = reflect(script, sink)
    await made.step()
    assert [asked.get("continue") for asked in script.asked] == [None, "one", "two"]
    await made.step()
    assert script.asked[3]["resourceVersion"] == "10"  # what changed meanwhile comes again


def _status() -> Any:
    return kubernetes.Status


async def test_an_expired_version_lists_again_at_once_and_then_more_slowly(
    sink: RecordingSink,
) -> None:
    answers: list[Answer] = []
    for _ in range(4):
        answers += [page(thing("a", 1)), [error(410)]]
    script = Script(*answers)
    await _run(reflect(script, sink), until=lambda: len(script.asked) >= 9)
    lists = [at for at, asked in zip(script.at, script.asked, strict=True) if "watch" not in asked]
    assert lists == [0, 0, 1, 3, 7]


async def test_waits_between_failures_double_and_the_state_shows_them(sink: RecordingSink) -> None:
    script = Script(*[UnavailableError("no server")] * 4, page(thing("a", 1)))
    await _run(reflect(script, sink), until=lambda: KindState.SYNCED in sink.states)
    assert script.at[:5] == [0, 0.5, 1.5, 3.5, 7.5]
    assert sink.states == [KindState.ERROR, KindState.SYNCED]


async def test_one_failure_is_not_shown(sink: RecordingSink) -> None:
    script = Script(page(), UnavailableError("cut"), [bookmark(11), HANG])
    made = reflect(script, sink)
    for _ in range(2):
        await made.step()
    assert sink.states == [KindState.SYNCED]


async def test_too_many_requests_waits_as_long_as_the_server_says(sink: RecordingSink) -> None:
    script = Script(TooManyRequestsError("later", status=429, retry_after=17))
    assert await reflect(script, sink).step() == 17


async def test_forbidden_is_shown_and_asked_again_slowly(sink: RecordingSink) -> None:
    script = Script(ForbiddenError("no"), ForbiddenError("no"), page(thing("a", 1)))
    await _run(reflect(script, sink), until=lambda: KindState.SYNCED in sink.states)
    assert script.at[:3] == [0, REFUSED_SECONDS, 2 * REFUSED_SECONDS]
    assert sink.states == [KindState.FORBIDDEN, KindState.SYNCED]


async def test_a_right_taken_away_keeps_what_is_known_and_goes_on_from_there(
    sink: RecordingSink,
) -> None:
    script = Script(page(thing("a", 1)), ForbiddenError("no"), [bookmark(20)])
    made = reflect(script, sink)
    await made.step()
    assert await made.step() == REFUSED_SECONDS
    await made.step()
    assert script.asked[-1]["resourceVersion"] == "10"
    assert sink.states == [KindState.SYNCED, KindState.FORBIDDEN, KindState.SYNCED]
    assert ("ns", "a") in sink.objects


async def test_absent_lists_anew_later(sink: RecordingSink) -> None:
    script = Script(page(thing("a", 1)), NotFoundError("no"), page())
    made = reflect(script, sink)
    await made.step()
    assert await made.step() == REFUSED_SECONDS
    assert ("ns", "a") in sink.objects
    await made.step()
    assert sink.objects == {}
    assert sink.states == [KindState.SYNCED, KindState.ABSENT, KindState.SYNCED]


async def test_a_silent_watch_is_left_and_opened_again(looptime: Any, sink: RecordingSink) -> None:
    script = Script(page(), [HANG], [HANG])
    made = reflect(script, sink)
    await made.step()
    assert await made.step() == 0
    assert looptime == WATCH_SECONDS + SILENCE_SECONDS
    assert script.asked[1]["timeoutSeconds"] == "30"
    assert sink.states == [KindState.SYNCED]


async def test_a_watch_that_hears_nothing_for_long_lists_again(
    looptime: Any, sink: RecordingSink
) -> None:
    script = Script(page())
    await _run(reflect(script, sink), until=lambda: len(script.asked) > 2 and _lists(script) == 2)
    assert DEAF_SECONDS < looptime < DEAF_SECONDS + WATCH_SECONDS + SILENCE_SECONDS + 1


def _lists(script: Script) -> int:
    return sum("watch" not in asked for asked in script.asked)


async def test_a_watch_that_ends_at_once_does_not_spin(sink: RecordingSink) -> None:
    script = Script(page(), *[[]] * 20)
    await _run(reflect(script, sink), until=lambda: len(script.asked) >= 8)
    assert script.at[:7] == [0, 0, 0.5, 1.5, 3.5, 7.5, 15.5]


async def test_unknown_events_and_broken_lines(sink: RecordingSink) -> None:
    script = Script(
        page(),
        [line("NEWS", thing("x", 11)), line("ADDED", thing("a", 12)), b"{not json\n"],
        page(thing("a", 12)),
    )
    made = reflect(script, sink)
    assert [await made.step() for _ in range(3)] == [0, 0, 0]
    assert set(sink.objects) == {("ns", "a")}
    assert "watch" not in script.asked[2]


async def test_an_object_that_is_not_decodable_is_reported_by_name(sink: RecordingSink) -> None:
    bad = line("ADDED", thing("bad", 11) | {"z": 0}).replace(b'"z":0', b'"z":"\\ud800"')
    script = Script(page(), [bad, line("ADDED", thing("good", 12))], [HANG])
    made = reflect(script, sink)
    await made.step()
    await made.step()
    assert sink.failed[("ns", "bad")][0] == "not decodable as JSON"
    assert set(sink.objects) == {("ns", "good")}
    await _step(made)
    assert script.asked[2]["resourceVersion"] == "12"


async def test_a_page_with_one_bad_object_is_asked_for_in_halves(
    sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "PAGE_ITEMS", 2)

    def spoiled(answer: list[bytes | str]) -> list[bytes | str]:
        assert isinstance(answer[0], bytes)
        return [answer[0].replace(b'"x"', b'"\\ud800"')]

    bad = thing("bad", 2) | {"spec": "x"}
    script = Script(
        spoiled(page(thing("a", 1), bad)),
        page(thing("a", 1), proceed="1"),
        spoiled(page(bad, proceed="2")),
        spoiled(page(bad, proceed="2")),
        page(thing("c", 3)),
    )
    await reflect(script, sink).step()
    assert [asked["limit"] for asked in script.asked] == ["2", "1", "2", "1", "1"]
    assert set(sink.objects) == {("ns", "a"), ("ns", "c")}
    assert set(sink.failed) == {("ns", "bad")}


async def test_a_fault_in_the_sink_is_shown_and_lists_again(
    sink: RecordingSink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def faulty(*_: Any) -> None:
        raise ZeroDivisionError

    script = Script(page(thing("a", 1)), page(thing("a", 1)))
    made = reflect(script, sink)
    with monkeypatch.context() as patch:
        patch.setattr(sink, "put", faulty)
        assert await made.step() == 0.5
    assert sink.states == [KindState.ERROR]
    assert "ZeroDivisionError" in sink.message
    assert "a fault of the agent" in caplog.text
    await made.step()
    assert set(sink.objects) == {("ns", "a")}


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()
