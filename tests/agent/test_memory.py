"""What is remembered on disk, and how little its loss means."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent import memory, outline_table
from agent.memory import Memory
from agent.outline import Outline, Outlined, maker, outline, stamp, stamp_of
from agent.outline_table import DATABASE
from agent.state import Place
from agent.wire import Identity, Written
from sources import registry
from sources.report import ImageRef, Part, Ref

KIND = "example.com/Thing"
STAMP = b"s" * 16
PLACE = ("default", "a")

WRITER = """
import asyncio, sys
from pathlib import Path
from agent import memory
from agent.memory import Memory
from agent.outline import Outlined

memory.FLUSH_SECONDS = 0.001

async def main():
    made = Memory(Path(sys.argv[1]))
    await made.open()
    assert made.works
    writing = asyncio.create_task(made.run())
    for number in range(10**9):
        made.put("example.com/Thing", ("default", str(number % 500)), b"%016d" % number, Outlined(str(number)))
        if number == 2000:
            print("started", flush=True)
        if number % 20 == 0:
            await asyncio.sleep(0.0005)

asyncio.run(main())
"""


def an_object(name: str = "x", *, size: int = 10) -> Outlined:
    subject = Ref("apps", "Deployment", "default", "d")
    image = ImageRef("docker.io", "library/nginx", "1", "sha256:0")
    one = Outline(b"c" * 32, "kyverno", subject, "", "c", image, "Trivy", "1", 5, {"a": "b" * size})
    return Outlined(name, (one,))


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Memory]:
    opened = Memory(tmp_path)
    await opened.open()
    assert opened.works
    yield opened
    await opened.close()


async def found(made: Memory, place: Place = PLACE, mark: bytes = STAMP) -> Outlined | None:
    return (await made.find(KIND, {place: mark})).get(place)


async def test_an_object_is_found_by_its_stamp_alone(made: Memory) -> None:
    assert not await made.holds(KIND)
    made.put(KIND, PLACE, STAMP, an_object())
    assert await made.holds(KIND)
    assert await found(made) == an_object()
    assert await found(made, mark=b"t" * 16) is None
    assert await found(made, place=("default", "b")) is None
    assert not await made.find("example.com/Other", {PLACE: STAMP})
    made.put(KIND, PLACE, b"t" * 16, an_object("y"))
    assert await found(made) is None
    assert await found(made, mark=b"t" * 16) == an_object("y")
    made.forget(KIND, PLACE)
    assert not await made.holds(KIND)


async def test_it_lasts(tmp_path: Path) -> None:
    first = Memory(tmp_path)
    await first.open()
    first.put(KIND, PLACE, STAMP, an_object())
    await first.close()
    again = Memory(tmp_path)
    await again.open()
    assert await found(again) == an_object()
    await again.close()


async def test_what_is_not_known_any_more_is_forgotten(
    made: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outline_table, "PLACES", 3)
    places = [(f"n{number % 3}", f"r{number}") for number in range(10)]
    for place in places:
        made.put(KIND, place, STAMP, an_object())
        made.put("example.com/Other", place, STAMP, an_object())
    await made.flush()
    await made.keep(KIND, places[:4])
    assert set(await made.find(KIND, dict.fromkeys(places, STAMP))) == set(places[:4])
    await made.forget_kind(KIND)
    assert not await made.holds(KIND)
    assert len(await made.find("example.com/Other", dict.fromkeys(places, STAMP))) == 10


async def test_changes_gather_and_are_written(
    made: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "FLUSH_SECONDS", 0.01)
    writes = 0
    write = outline_table.OutlineTable.write

    def counted(*args: object) -> None:
        nonlocal writes
        writes += 1
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(outline_table.OutlineTable, "write", counted)
    running = asyncio.create_task(made.run())
    for number in range(100):
        made.put(KIND, ("default", str(number)), STAMP, an_object())
    async with asyncio.timeout(10):
        while made._pending:
            await asyncio.sleep(0.01)
    running.cancel()
    assert await found(made, place=("default", "99")) is not None
    assert writes == 1


async def test_limits(made: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    made.put(KIND, PLACE, STAMP, an_object())
    await made.flush()
    made.put(KIND, PLACE, STAMP, an_object(size=outline_table.ROW_BYTES))
    assert await found(made) is None
    monkeypatch.setattr(outline_table, "ROWS", 2)
    for number in range(4):
        made.put(KIND, ("default", str(number)), STAMP, an_object())
        await made.flush()
    places = [("default", str(number)) for number in range(4)]
    assert set(await made.find(KIND, dict.fromkeys(places, STAMP))) == set(places[:2])
    made.forget(KIND, places[0])
    made.put(KIND, places[3], STAMP, an_object())
    assert await found(made, place=places[3]) is not None
    monkeypatch.setattr(outline_table, "ROWS", 1000)
    monkeypatch.setattr(outline_table, "TABLE_BYTES", 100_000)
    for number in range(20):
        made.put(KIND, ("big", str(number)), STAMP, an_object(size=10_000))
        await made.flush()
    kept = await made.find(KIND, {("big", str(number)): STAMP for number in range(20)})
    assert 5 < len(kept) < 10
    monkeypatch.setattr(memory, "PENDING_BYTES", 2000)
    for number in range(100):
        made.put(KIND, ("waiting", str(number)), STAMP, an_object())
    assert len(made._pending) < 15


async def test_an_object_is_looked_up_by_its_key(made: Memory) -> None:
    assert made._table is not None
    explain = f"EXPLAIN QUERY PLAN {outline_table.FIND}"
    plan = made._table._database.execute(explain, ("[]", KIND)).fetchall()
    assert "USING PRIMARY KEY (kind=? AND namespace=? AND name=?)" in plan[-1][-1]


@pytest.mark.parametrize("spoiled", ["x'ff'", "CAST(x'ff' AS TEXT)", "7", "substr(body, 2)"])
async def test_a_row_that_the_disk_spoiled_is_not_believed(tmp_path: Path, spoiled: str) -> None:
    first = Memory(tmp_path)
    await first.open()
    for name in "ab":
        first.put(KIND, ("default", name), STAMP, an_object(name))
    await first.close()
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute(f"UPDATE outline SET body = {spoiled} WHERE name = 'a'")
    database.close()
    again = Memory(tmp_path)
    await again.open()
    both = {("default", name): STAMP for name in "ab"}
    assert list(await again.find(KIND, both)) == [("default", "b")]
    await again.close()


async def test_damage_on_the_way_begins_anew(
    made: Memory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made.put(KIND, PLACE, STAMP, an_object())
    await made.flush()

    def malformed(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with monkeypatch.context() as patch:
        patch.setattr(outline_table.OutlineTable, "write", malformed)
        made.put(KIND, ("default", "b"), STAMP, an_object())
        await made.flush()
    assert "malformed" in caplog.text
    assert not await made.holds(KIND)
    made.put(KIND, PLACE, STAMP, an_object())
    assert await found(made) is not None

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(outline_table.OutlineTable, "write", full)
    made.put(KIND, PLACE, STAMP, an_object())
    await made.flush()
    assert not made.works
    made.put(KIND, PLACE, STAMP, an_object())
    assert not made._pending
    assert await found(made) is None


async def test_a_writer_that_is_killed_leaves_whole_rows(tmp_path: Path) -> None:
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"started\n"
        process.kill()
        await process.wait()
        again = Memory(tmp_path)
        await again.open()
        assert again.works
        stamps = _stamps(again)
        whole = await again.find(KIND, stamps)
        await again.close()
        assert len(whole) == len(stamps) == 500
        assert {place: int(one.uid) for place, one in whole.items()} == {
            place: int(mark) for place, mark in stamps.items()
        }


def _stamps(of: Memory) -> dict[Place, bytes]:
    assert of._table is not None
    rows = of._table._database.execute("SELECT namespace, name, stamp FROM outline")
    return {(namespace, name): mark for namespace, name, mark in rows}


def test_an_outline_is_a_part_without_its_content() -> None:
    part = Part(
        "s", Ref("", "Pod", "n", "p"), "kind", 2, b"{}", "sub", "c", None, "t", "1", 3, {"a": "b"}
    )
    one = outline(part)
    for field in set(Part.__struct_fields__) - {"content", "content_kind", "format"}:
        assert getattr(one, field) == getattr(part, field)
    assert set(Outline.__struct_fields__) == set(Part.__struct_fields__) - {
        "content_kind",
        "format",
    }
    assert len(one.content) == 32


def test_a_stamp_tells_all_apart_that_an_outline_depends_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, source = registry.kinds()["wgpolicyk8s.io", "PolicyReport"]
    other_kind, other = registry.kinds()["aquasecurity.github.io", "VulnerabilityReport"]
    made_by = [maker(kind, source, "v1beta1"), maker(kind, source, "v1alpha2")]
    made_by.append(maker(other_kind, other, "v1alpha1"))
    monkeypatch.setattr("agent.outline.redact.PATTERNS", ("another",))
    made_by.append(maker(kind, source, "v1beta1"))
    monkeypatch.undo()
    assert maker(kind, source, "v1beta1") == made_by[0]
    identities = [
        Identity("a", "n", "7", "u"),
        Identity("a", "n", "8", "u"),
        Identity("a", "n", "7", "v"),
        Identity("a", "n", "7", "u", [Written("2026-01-01T00:00:00Z"), Written(None)]),
        Identity("a", "n", "7", "u", [Written("2026-01-02T00:00:00Z")]),
    ]
    stamps = [stamp(one, by) for one in identities for by in made_by]
    assert len(set(stamps)) == len(stamps)
    assert stamp(Identity("a", "n", "7"), b"") is None
    assert stamp_of(b'{"metadata":{"uid":"u","resourceVersion":"7"}}', b"") == stamp(
        identities[0], b""
    )
    assert stamp_of(b'{"metadata":{"uid":7}}', b"") is None
    assert stamp_of(b"x", b"") is None
