"""What the agent's tests share: a fake API server, a connection to it, and an outlet that records."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from agent.kubernetes import Api
from agent.state import Change, Place, State
from protocol.messages import Body, Key, KindState
from tests.fakes.kubernetes import FakeKubernetes

PATIENCE_SECONDS = 20.0  # of `eventually`, on a machine that does other things too


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the time it took is not what is tested."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


class Outlet:
    """Holds what an aggregator would: the last body of each entry, and what happened."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.entries: dict[tuple[str, Key], Body] = {}
        self.changes: list[Change] = []
        self.deletions: list[tuple[str, Key]] = []
        self.states: list[tuple[str, KindState]] = []

    async def changed(self, change: Change) -> None:
        entries = self.state.kind(change.kind).objects
        place = (change.item.key.namespace, change.item.key.name)
        assert (change.item.key.sub, change.item.fingerprint) in entries.get(place, ())
        self.changes.append(change)
        self.entries[change.kind, change.item.key] = change.item.body

    async def deleted(self, kind: str, keys: tuple[Key, ...], observed_at: int) -> None:
        assert observed_at > 0
        for key in keys:
            self.deletions.append((kind, key))
            del self.entries[kind, key]

    async def state_changed(self, kind: str) -> None:
        self.states.append((kind, self.state.kind(kind).state))

    def of(self, kind: str) -> dict[Key, Any]:
        """The entries of one kind."""
        return {key: body for (of, key), body in self.entries.items() if of == kind}


class RecordingSink:
    """Holds what a reflector brings."""

    def __init__(self) -> None:
        self.objects: dict[Place, bytes] = {}
        self.failed: dict[Place, tuple[str, int]] = {}
        self.log: list[tuple[Any, ...]] = []
        self.states: list[KindState] = []
        self.message = ""

    def known(self) -> Iterable[Place]:
        return [*self.objects, *self.failed]

    async def put(self, place: Place, raw: Any) -> None:
        self.failed.pop(place, None)
        self.objects[place] = bytes(raw)
        self.log.append(("put", place))

    async def unreadable(self, place: Place, reason: str, size: int) -> None:
        self.objects.pop(place, None)
        self.failed[place] = (reason, size)
        self.log.append(("failed", place))

    async def gone(self, place: Place) -> None:
        self.objects.pop(place, None)
        self.failed.pop(place, None)
        self.log.append(("gone", place))

    async def settled(self, state: KindState, message: str) -> None:
        if not self.states or self.states[-1] != state:
            self.states.append(state)
        self.message = message


@pytest.fixture
async def fake() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes() as server:
        yield server


@pytest.fixture
async def api(fake: FakeKubernetes) -> AsyncIterator[Api]:
    async with Api(fake.login()) as connection:
        yield connection


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def outlet(state: State) -> Outlet:
    return Outlet(state)
