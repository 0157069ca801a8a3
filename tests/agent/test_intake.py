"""Events are answered after their commit; what cannot be kept is refused and counted."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
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
    intake._tail.clear()
    with pytest.raises(SpoolError):
        await intake.read(0, events=1, size=1)
    await intake.reopen()

    found = await intake.gaps(10)
    assert {gap.reason: gap.events for gap in found}["SPOOL_DAMAGED"] == 1
    await intake.put([entry(2)])
    assert (await intake.read(0, events=9, size=MEBIBYTE)).offsets == (1,)


@pytest.mark.parametrize("seed", range(5))
async def test_what_was_pushed_out_is_counted_and_not_delivered(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    intake = Intake(lambda: Spool(tmp_path, limit=60_000), Inventory())
    task = asyncio.create_task(intake.run())
    given, delivered, at = 0, 0, 0
    for _ in range(40):
        count = chance.randrange(1, 12)
        await asyncio.gather(*(intake.put([entry(n, size=1_000)]) for n in range(count)))
        given += count
        if chance.random() < 0.4:
            batch = await intake.read(at, events=chance.randrange(1, 9), size=MEBIBYTE)
            delivered, at = delivered + len(batch.offsets), batch.end
            if chance.random() < 0.5:
                await intake.confirm(at)
    while at < intake.next:
        batch = await intake.read(at, events=50, size=MEBIBYTE)
        delivered, at = delivered + len(batch.offsets), batch.end
    lost = sum(gap.events or 0 for gap in await intake.gaps(10))

    assert lost > 0
    assert given == delivered + lost

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await intake.close()


async def test_what_the_inventory_learns_late_is_told_in_every_session(intake: Intake) -> None:
    await intake.put([msgspec.structs.replace(entry(1), unresolved=True)])
    assert set(intake._unresolved) == {0}

    await intake.confirm(1)

    assert not intake._unresolved


async def test_any_fault_of_a_commit_is_told_to_the_senders(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_entries: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(intake._spool, "append", fail)
        with pytest.raises(SpoolError, match="ZeroDivisionError"):
            await intake.put([entry(1)])
    await intake.put([entry(2)])
    assert intake.waiting == 1
