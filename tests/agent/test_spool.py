"""What was appended is handed out once, whole and in order, or is in a gap, whatever happens."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent import gaps
from agent.errors import FatalError
from agent.event_table import Entry
from agent.spool import DATABASE, MARK, ROW_BYTES, Spool, SpoolError
from protocol.messages import Priority

MEBIBYTE = 2**20
BODY = b"x" * 1000


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> Iterator[Spool]:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    yield spool
    spool.close()


def entry(
    number: int, *, sender: str = "node", priority: int = Priority.NOTICE, body: bytes | None = None
) -> Entry:
    return Entry(sender, priority, number, number, str(number).encode() if body is None else body)


def entries(*numbers: int, **about: object) -> list[Entry]:
    return [entry(number, **about) for number in numbers]  # type: ignore[arg-type]


def everything(spool: Spool) -> list[int]:
    batch = spool.read(0, events=100_000, size=100 * MEBIBYTE)
    return [int(body) for body in batch.bodies]


def missing(spool: Spool, reason: str) -> int:
    return sum(gap.events or 0 for gap in spool.gaps(1000) if gap.reason == reason)


def reasons(spool: Spool) -> list[str]:
    return sorted(gap.reason for gap in spool.gaps(1000))


def crash(spool: Spool) -> None:
    """Leave the files as a SIGKILL would."""
    spool._mark.close()  # frees the lock as the end of a process does


def test_what_is_appended_is_read_in_order(spool: Spool) -> None:
    spool.append(entries(1, 2))
    spool.append(entries(3))

    batch = spool.read(0, events=2, size=MEBIBYTE)
    assert (batch.offsets, batch.bodies, batch.end) == ((0, 1), (b"1", b"2"), 2)
    batch = spool.read(batch.end, events=2, size=MEBIBYTE)
    assert (batch.offsets, batch.end) == ((2,), 3)
    assert spool.read(3, events=2, size=MEBIBYTE).offsets == ()


def test_a_batch_keeps_to_its_size_but_holds_one_event_at_least(spool: Spool) -> None:
    spool.append([entry(n, body=BODY) for n in range(5)])

    assert len(spool.read(0, events=5, size=2 * len(BODY)).offsets) == 2
    assert len(spool.read(0, events=5, size=1).offsets) == 1


def test_confirmed_events_are_gone_and_offsets_go_on(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    spool.append(entries(1, 2, 3))
    spool.confirm(2)
    epoch = spool.epoch
    assert (spool.waiting, spool.bytes, spool.oldest_at) == (1, 1 + ROW_BYTES, 3)
    spool.confirm(3)
    spool.close()

    again = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    assert (again.epoch, again.next, again.waiting, again.bytes) == (epoch, 3, 0, 0)
    again.append(entries(4))
    assert again.read(3, events=9, size=MEBIBYTE).offsets == (3,)
    again.close()


def test_a_start_records_how_long_nobody_listened(tmp_path: Path, clock: Clock) -> None:
    first = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    assert first.gaps(10) == ()
    first.alive()
    crash(first)
    clock.now += 90

    again = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    [gap] = again.gaps(10)
    assert gap.reason == gaps.RECEIVER_DOWN
    assert gap.events is None
    assert (gap.ended_at or 0) - (gap.started_at or 0) == 90_000
    again.confirm_gaps([gap])
    assert again.gaps(10) == ()
    again.close()


def test_a_killed_process_has_lost_nothing(tmp_path: Path, clock: Clock) -> None:
    first = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    first.append(entries(1, 2, 3))
    first.confirm(1)
    crash(first)

    again = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    assert everything(again) == [2, 3]
    assert reasons(again) == [gaps.RECEIVER_DOWN]
    again.close()


def test_two_agents_do_not_share_a_spool(tmp_path: Path, spool: Spool) -> None:
    with pytest.raises(FatalError, match="in use by another agent"):
        Spool(tmp_path, limit=MEBIBYTE)
    assert spool.waiting == 0


def test_when_full_the_oldest_of_the_lowest_priority_goes(tmp_path: Path, clock: Clock) -> None:
    size = len(BODY) + ROW_BYTES
    spool = Spool(tmp_path, limit=4 * size, clock=clock)
    spool.append([entry(1, priority=Priority.CRITICAL, body=BODY)])
    spool.append([entry(2, priority=Priority.DEBUG, body=BODY)])
    spool.append([entry(3, priority=Priority.NOTICE, body=BODY)])
    spool.append([entry(4, priority=Priority.DEBUG, body=BODY)])

    spool.append([entry(5, priority=Priority.WARNING, body=BODY)])
    assert spool.read(0, events=9, size=MEBIBYTE).offsets == (0, 2, 3, 4)
    [gap] = spool.gaps(10)
    assert (gap.reason, gap.events, gap.priorities) == (gaps.OVERFLOW, 1, {"DEBUG": 1})
    assert gap.started_at == gap.ended_at == 2
    spool.close()


def test_one_gap_grows_while_events_are_pushed_out(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=10 * (len(BODY) + ROW_BYTES), clock=clock)
    for number in range(30):
        spool.append([entry(number, body=BODY)])
    [gap] = spool.gaps(10)
    assert (gap.events, gap.started_at, gap.ended_at) == (20, 0, 19)

    spool.confirm_gaps([gap])
    assert spool.gaps(10) == ()
    spool.append([entry(30, body=BODY)])
    [grown] = spool.gaps(10)
    assert (grown.key, grown.events) == (gap.key, 21)
    spool.confirm_gaps([gap])  # as it was before: it has grown since
    assert spool.gaps(10) == (grown,)

    clock.now += 3600
    spool.append([entry(31, body=BODY)])
    assert {gap.events for gap in spool.gaps(10)} == {21, 1}
    spool.close()


def test_a_noisy_sender_pushes_out_its_own(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=20 * (len(BODY) + ROW_BYTES), clock=clock)
    quiet = [entry(n, sender="quiet", priority=Priority.DEBUG, body=BODY) for n in range(5)]
    spool.append(quiet)
    for number in range(100, 200):
        spool.append([entry(number, sender="noisy", priority=Priority.CRITICAL, body=BODY)])

    offsets = spool.read(0, events=99, size=MEBIBYTE).offsets
    assert offsets[:5] == (0, 1, 2, 3, 4)
    assert offsets[5:] == tuple(range(90, 105))
    assert missing(spool, gaps.OVERFLOW) == 85
    spool.close()


def test_what_may_be_under_way_is_not_pushed_out(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=4 * (len(BODY) + ROW_BYTES), clock=clock)
    spool.append([entry(n, body=BODY) for n in range(4)])
    assert spool.read(0, events=3, size=MEBIBYTE).end == 3
    spool.append([entry(n, body=BODY) for n in (4, 5)])

    assert spool.read(0, events=9, size=MEBIBYTE).offsets == (0, 1, 2, 5)
    spool.append([entry(6, body=BODY)])  # all are under way: the new one itself has no room
    assert spool.read(0, events=9, size=MEBIBYTE).offsets == (0, 1, 2, 5)
    assert missing(spool, gaps.OVERFLOW) == 3
    spool.close()


def test_a_spoiled_row_becomes_a_gap(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    spool.append(entries(1, 2, 3))
    spool._database.execute("UPDATE event SET body = x'00' WHERE offset = 1")

    assert everything(spool) == [1, 3]
    assert missing(spool, gaps.SPOOL_DAMAGED) == 1
    assert spool.waiting == 2
    spool.close()


@pytest.mark.parametrize("keep", [0, 32, 0.3, 0.6, 0.9])
def test_a_torn_log_becomes_a_gap(tmp_path: Path, clock: Clock, keep: float) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    for number in range(100):
        spool.append(entries(number, number + 1000))
    log = tmp_path / f"{DATABASE}-wal"
    size = log.stat().st_size
    copy = shutil.copytree(tmp_path, tmp_path / "copy")
    with (copy / log.name).open("r+b") as file:
        file.truncate(int(size * keep) if isinstance(keep, float) else keep)
    (copy / f"{DATABASE}-shm").unlink()

    again = Spool(copy, limit=MEBIBYTE, clock=clock)
    assert (
        len(everything(again))
        + missing(again, gaps.SPOOL_DAMAGED)
        + missing(again, gaps.SPOOL_REPLACED)
        == 200
    )
    again.append(entries(7))
    assert again.next == 201 or again.epoch != spool.epoch
    again.close()
    spool.close()


@pytest.mark.parametrize("page", range(1, 8))
def test_a_torn_page_becomes_a_gap(tmp_path: Path, clock: Clock, page: int) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    for number in range(200):
        spool.append([entry(number, body=b"%04d" % number * 50)])
    spool.close()
    path = tmp_path / DATABASE
    pages = path.stat().st_size // 8192
    with path.open("r+b") as file:
        file.seek(8192 * (page * pages // 8) + 100)
        file.write(b"\xa5" * 4000)

    again = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    found: set[int] = set()
    start = 0
    while (batch := again.read(start, events=50, size=MEBIBYTE)).end > start:
        found.update(batch.offsets)
        start = batch.end
    lost = missing(again, gaps.SPOOL_DAMAGED)
    assert len(found) + lost == 200
    again.close()


def test_a_database_that_is_no_database_becomes_a_gap(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    spool.append(entries(1, 2, 3))
    spool.close()
    (tmp_path / DATABASE).write_bytes(b"garbage" * 5000)

    again = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    assert everything(again) == []
    assert missing(again, gaps.SPOOL_DAMAGED) == 3
    assert again.next == 3
    again.close()


def test_a_lost_database_becomes_a_gap(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    spool.append(entries(1, 2, 3))
    spool.close()
    (tmp_path / DATABASE).unlink()

    again = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    assert again.epoch != spool.epoch
    assert missing(again, gaps.SPOOL_REPLACED) == 3
    again.close()


def test_a_full_disk_keeps_nothing_of_a_batch(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, limit=MEBIBYTE, clock=clock)
    spool.append(entries(1, 2))
    pages = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count = {pages}")  # "database or disk is full"

    with pytest.raises(SpoolError, match="full"):
        spool.append([entry(n, body=BODY * 10) for n in range(20)])
    assert (spool.next, spool.waiting) == (2, 2)
    spool._database.execute("PRAGMA max_page_count = 100000")
    spool.append(entries(3))
    assert everything(spool) == [1, 2, 3]
    spool.close()


def test_an_aggregator_that_forgot_is_told_of_a_gap_once(spool: Spool) -> None:
    spool.append(entries(1, 2, 3, 4))
    spool.read(0, events=9, size=MEBIBYTE)
    spool.confirm(3)

    assert spool.resume(1)
    assert missing(spool, gaps.AGGREGATOR_RESTORED) == 2
    assert spool.resume(1)
    assert spool.resume(None)
    assert missing(spool, gaps.AGGREGATOR_RESTORED) == 2
    assert spool.read(1, events=9, size=MEBIBYTE).offsets == (3,)


def test_a_restored_volume_does_not_pass_new_events_for_old_ones(
    tmp_path: Path, clock: Clock
) -> None:
    spool = Spool(tmp_path / "volume", limit=MEBIBYTE, clock=clock)
    spool.append(entries(1, 2))
    spool.close()
    shutil.copytree(tmp_path / "volume", tmp_path / "backup")
    spool = Spool(tmp_path / "volume", limit=MEBIBYTE, clock=clock)
    spool.append(entries(3, 4, 5))
    spool.read(0, events=9, size=MEBIBYTE)
    spool.confirm(5)
    spool.close()

    restored = Spool(tmp_path / "backup", limit=MEBIBYTE, clock=clock)
    restored.append(entries(6))
    epoch = restored.epoch
    assert not restored.resume(5)
    assert restored.epoch != epoch
    assert everything(restored) == [6]
    assert restored.resume(None)
    assert missing(restored, gaps.AGGREGATOR_RESTORED) == 0
    restored.close()


def test_a_folder_that_cannot_be_used_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match="cannot be used"):
        Spool(tmp_path / "file", limit=MEBIBYTE)


class Lives(RuleBasedStateMachine):
    """A spool that is filled, sent, confirmed, killed and torn, against what was acknowledged."""

    @initialize(folder=st.just(None), limit=st.integers(5, 40))
    def begin(self, folder: None, limit: int) -> None:
        import tempfile

        del folder
        self.clock = Clock()
        self.folder = Path(tempfile.mkdtemp(prefix="fleetwatch-spool-"))
        self.limit = limit * (4 + ROW_BYTES)
        self.spool = Spool(self.folder, limit=self.limit, clock=self.clock)
        self.number = 0
        self.aggregator: list[int] = []
        self.next = 0
        self.lost: dict[str, int] = {}  # by gap, those that were let go of included

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(
        count=st.integers(1, 8),
        sender=st.sampled_from(["a", "b", "c"]),
        priority=st.sampled_from(Priority),
    )
    def append(self, count: int, sender: str, priority: Priority) -> None:
        numbers = range(self.number, self.number + count)
        self.spool.append(
            [entry(n, sender=sender, priority=priority, body=b"%04d" % n) for n in numbers]
        )
        self.number += count

    @rule(events=st.integers(1, 5))
    def send(self, events: int) -> None:
        batch = self.spool.read(self.next, events=events, size=MEBIBYTE)
        self.aggregator += [int(body) for body in batch.bodies]
        self.next = batch.end

    @rule()
    def confirm(self) -> None:
        self.spool.confirm(self.next)

    @rule(seconds=st.integers(0, 100))
    def confirm_gaps(self, seconds: int) -> None:
        self.clock.now += seconds
        self.spool.confirm_gaps(self.spool.gaps(1000))

    @rule()
    def kill(self) -> None:
        crash(self.spool)
        self.spool = Spool(self.folder, limit=self.limit, clock=self.clock)
        assert self.spool.resume(self.next)

    @invariant()
    def every_event_is_somewhere_once(self) -> None:
        held = sqlite3.connect(self.folder / DATABASE)
        waiting = [
            int(b)
            for (b,) in held.execute("SELECT body FROM event WHERE offset >= ?", (self.next,))
        ]
        self.lost.update(held.execute("SELECT key, events FROM gap WHERE events > 0").fetchall())
        held.close()
        assert len(set(self.aggregator)) == len(self.aggregator)
        assert not set(waiting) & set(self.aggregator)
        found = len(self.aggregator) + len(waiting)
        assert found + sum(self.lost.values()) == self.number
        assert self.spool.bytes <= self.limit + 5 * (4 + ROW_BYTES) * 10
        assert self.spool.waiting == sum(
            1 for _ in self.spool._database.execute("SELECT 1 FROM event")
        )


Lives.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLives = Lives.TestCase


def test_the_mark_is_beside_the_database(tmp_path: Path) -> None:
    Spool(tmp_path, limit=MEBIBYTE).close()
    assert {DATABASE, MARK} <= {path.name for path in tmp_path.iterdir()}
