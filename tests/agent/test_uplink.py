"""How often the agent connects: soon after a long session, ever later after short ones."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from agent import backoff, uplink
from agent.errors import FatalError
from agent.settings import Settings
from agent.state import State
from agent.uplink import STEADY, Uplink
from protocol import messages as m


class Attempts:
    """Stands for the conversations; each lasts and ends as told, the last one for ever."""

    def __init__(self, *ends: tuple[float, Any]) -> None:
        self.times: list[float] = []
        self._ends = list(ends)

    async def converse(self, _client: Any) -> float | None:
        loop = asyncio.get_running_loop()
        self.times.append(loop.time())
        if not self._ends:
            await asyncio.Event().wait()
        lasts, end = self._ends.pop(0)
        await asyncio.sleep(lasts)
        if isinstance(end, BaseException):
            raise end
        wait: float | None = end
        return wait


async def attempts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *ends: tuple[float, Any]
) -> list[float]:
    """Return the seconds between one session's end and the next one's begin."""

    async def resend(kind: str, keys: Iterable[m.Key]) -> None:
        del kind, keys

    monkeypatch.setattr(backoff, "JITTER", 0.0)
    monkeypatch.setattr(uplink, "RETRY_JITTER", 0.0)
    settings = Settings(url="http://127.0.0.1:1", token="t", home=tmp_path)
    link = Uplink(State(), settings, lambda: pytest.fail("not asked"), resend)
    tried = Attempts(*ends)
    monkeypatch.setattr(link, "converse", tried.converse)
    task = asyncio.create_task(link.run())
    while len(tried.times) <= len(ends) and not task.done():
        await asyncio.sleep(0.1)
    task.cancel()
    result = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result[0], FatalError):
        raise result[0]
    begins = tried.times[1:]
    return [
        round(begin - (before + lasts), 3)
        for begin, before, (lasts, _) in zip(begins, tried.times, ends, strict=False)
    ]


@pytest.mark.looptime
async def test_short_sessions_are_followed_by_ever_longer_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ends = [(0.5, None)] * 4

    assert await attempts(monkeypatch, tmp_path, *ends) == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.looptime
async def test_a_long_session_begins_the_waits_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ends = [(0.5, None), (0.5, OSError("refused")), (STEADY, None), (STEADY, OSError("gone"))]

    assert await attempts(monkeypatch, tmp_path, *ends) == [0.5, 1.0, 0.5, 0.5]


@pytest.mark.looptime
async def test_the_aggregator_may_say_how_long_to_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert await attempts(monkeypatch, tmp_path, (1.0, 7.0), (1.0, None)) == [7.0, 0.5]


@pytest.mark.looptime
async def test_a_fault_ends_the_session_and_not_the_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert await attempts(monkeypatch, tmp_path, (1.0, KeyError("x")), (1.0, None)) == [0.5, 1.0]


@pytest.mark.looptime
async def test_what_no_retry_mends_ends_the_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(FatalError):
        await attempts(monkeypatch, tmp_path, (1.0, FatalError("the token file is gone")))
