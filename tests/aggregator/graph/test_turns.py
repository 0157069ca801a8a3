"""Operations of one token take turns; those of others do not wait for them."""

import asyncio

import pytest

from aggregator.graph import turns
from aggregator.graph.errors import GraphError
from aggregator.graph.turns import Turns


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_RUNNING", 2)
    monkeypatch.setattr(turns, "MAX_UNDER_WAY", 3)


async def test_they_wait_for_each_other_but_not_for_those_of_others() -> None:
    every, gate, begun = Turns(), asyncio.Event(), list[str]()

    async def ask(token: str) -> None:
        async with every.turn(token):
            begun.append(token)
            await gate.wait()

    async with asyncio.TaskGroup() as group:
        for token in ("a", "a", "a", "b"):
            group.create_task(ask(token))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(begun) == ["a", "a", "b"]
        with pytest.raises(GraphError, match="3 operations of this token are under way") as refused:
            await ask("a")
        assert refused.value.code == "TOO_MANY_REQUESTS"
        gate.set()
    assert sorted(begun) == ["a", "a", "a", "b"]
    assert every._tokens == {}


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    every, gate = Turns(), asyncio.Event()

    async def ask() -> None:
        async with every.turn("a"):
            await gate.wait()

    tasks = [asyncio.create_task(ask()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert every._tokens == {}
    gate.set()
    await ask()
