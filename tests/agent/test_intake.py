"""Events are answered after their commit; what cannot be kept is refused and counted."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent import intake as intake_module
from agent.event_table import Entry
from agent.gaps import DISK_FULL, Loss
from agent.intake import BusyError, Intake
from agent.inventory import Inventory
from agent.spool import Spool, SpoolError

MEBIBYTE = 2**20


def entry(number: int, *, size: int = 10) -> Entry:
    return Entry("node", 5, number, number, b"%d" % number + b"x" * size)


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Intake]:
    intake = Intake(lambda: Spool(tmp_path, limit=MEBIBYTE), Inventory())
    task = asyncio.create_task(intake.run())
    yield intake
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await intake.close()


async def test_many_senders_share_commits(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    really = intake._spool.append

    def append(entries: list[Entry]) -> None:
        commits.append(len(entries))
        really(entries)

    monkeypatch.setattr(intake._spool, "append", append)
    await asyncio.gather(*(intake.put([entry(n)]) for n in range(200)))

    assert sum(commits) == 200
    assert len(commits) < 50
    assert (await intake.read(0, events=500, size=MEBIBYTE)).end == 200


async def test_a_full_disk_is_told_to_each_sender_and_counted(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_entries: object) -> None:
        raise SpoolError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(intake._spool, "append", full)
        results = await asyncio.gather(
            *(intake.put([entry(n)]) for n in range(3)), return_exceptions=True
        )
    assert [type(result) for result in results] == [SpoolError] * 3

    await intake.put([entry(9)])
    async with asyncio.timeout(10):
        while not (found := await intake.gaps(10)):
            await asyncio.sleep(0.05)
    assert [(gap.reason, gap.events) for gap in found] == [(DISK_FULL, 3)]


async def test_what_waits_for_the_disk_is_bounded(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "PENDING_BYTES", 1000)
    waiting = asyncio.create_task(intake.put([entry(1, size=2000)]))
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="wait for the disk"):
        await intake.put([entry(2)])
    await waiting


async def test_a_loss_of_unknown_size_stands_alone(intake: Intake) -> None:
    intake.lose(Loss("FALCO_DROPS", None, 1, 2))
    async with asyncio.timeout(10):
        while not (found := await intake.gaps(10)):
            await asyncio.sleep(0.05)
    assert [(gap.reason, gap.events) for gap in found] == [("FALCO_DROPS", None)]


async def test_a_broken_spool_is_opened_anew(intake: Intake) -> None:
    await intake.put([entry(1)])
    intake._spool._database.execute("DROP TABLE event")
    with pytest.raises(SpoolError):
        await intake.read(0, events=1, size=1)
    await intake.reopen()

    found = await intake.gaps(10)
    assert {gap.reason: gap.events for gap in found}["SPOOL_DAMAGED"] == 1
    await intake.put([entry(2)])
    assert (await intake.read(0, events=9, size=MEBIBYTE)).offsets == (1,)
