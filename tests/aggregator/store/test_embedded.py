"""The embedded Postgres where it is hard: other users, closed folders, sudden deaths."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from aggregator.store import installation
from aggregator.store.embedded import OCCUPIED, EmbeddedPostgres, PostgresError

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "5"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run it as someone else")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that others may pass to, unlike pytest's own, and a ROOT_HOME of the test's own."""
    with tempfile.TemporaryDirectory(prefix="fleetwatch-tests-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        monkeypatch.setattr(installation, "ROOT_HOME", folder / "var" / "lib")
        yield folder


async def execute(server: EmbeddedPostgres, statement: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_data_outlives_the_server(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    assert server.is_new
    with server:
        await execute(server, "CREATE TABLE kept AS SELECT 1 AS x")
    with server:
        assert await execute(server, "SELECT x FROM kept") == 1


async def test_data_outlives_a_kill(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    server.start()
    await execute(server, "CREATE TABLE kept AS SELECT 1 AS x")
    server.kill()
    with server:
        assert await execute(server, "SELECT x FROM kept") == 1


async def test_a_start_waits_for_what_a_killed_server_left_running(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    server.start()
    connection = await asyncpg.connect(server.dsn())
    backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
    backend.suspend()  # as one that is busy, it does not notice
    server.kill()
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    try:
        log = server.data / "server.log"
        while OCCUPIED not in log.read_text():
            assert not starting.done()
            await asyncio.sleep(0.02)
        backend.kill()
        await starting
        assert await execute(server, "SELECT 1") == 1
    finally:
        connection.terminate()
        await asyncio.gather(starting, return_exceptions=True)
        server.stop()


@AS_ROOT
@pytest.mark.parametrize("umask", [0o022, 0o077])
async def test_behind_a_closed_folder_the_data_moves(folder: Path, umask: int) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        with EmbeddedPostgres(closed / "home" / "postgres", settings=FAST) as server:
            assert await execute(server, "SELECT 1") == 1
            assert server.data.is_relative_to(installation.ROOT_HOME)
            assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    again = EmbeddedPostgres(closed / "home" / "postgres", settings=FAST)
    assert again.data == server.data


@AS_ROOT
async def test_binaries_behind_a_closed_folder_are_copied_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    can_run = installation.Account.can_run
    monkeypatch.setattr(
        installation.Account,
        "can_run",
        lambda self, program: "site-packages" not in program.parts and can_run(self, program),
    )
    for _ in range(2):
        with EmbeddedPostgres(folder / "data", settings=FAST) as server:
            assert await execute(server, "SELECT 1") == 1
    assert len(list(installation.ROOT_HOME.glob("postgres-*"))) == 1


KILLED = """
import os, sys
from pathlib import Path
from aggregator.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"})
server.start()
print(server.pid, server._guard.pid, server.socket_folder, flush=True)
sys.stdin.read()
"""


Elsewhere = tuple["subprocess.Popen[str]", psutil.Process, psutil.Process, Path]


def start_elsewhere(data: Path) -> Elsewhere:
    """Start a server in a process of its own; return it, the server, its guard, its socket."""
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    server, guard, folder = owner.stdout.readline().split()
    return owner, psutil.Process(int(server)), psutil.Process(int(guard)), Path(folder)


async def test_the_server_dies_with_its_owner(folder: Path) -> None:
    owner, server, guard, sockets = start_elsewhere(folder / "data")
    with owner:
        owner.kill()

    gone, alive = psutil.wait_procs([server, guard], timeout=20)
    assert not alive, gone
    assert not sockets.exists()


async def test_a_server_that_was_left_running_is_stopped_by_the_next_start(folder: Path) -> None:
    owner, left, guard, sockets = start_elsewhere(folder / "data")
    guard.kill()
    with owner:
        owner.kill()
    assert left.is_running()

    with EmbeddedPostgres(folder / "data", settings=FAST) as server:
        assert await execute(server, "SELECT 1") == 1
        assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
        assert not sockets.exists()


async def test_a_pid_file_that_names_another_process_is_no_hindrance(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    server.start()
    server.kill()
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    options = installation.Account().process_options
    with subprocess.Popen(["/bin/sleep", "100"], **options) as bystander:  # noqa: ASYNC220 - at once
        try:
            pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
            with server:
                assert await execute(server, "SELECT 1") == 1
            assert bystander.poll() is None
        finally:
            bystander.send_signal(signal.SIGKILL)


async def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", settings=FAST | {"shared_buffers": "lots"})

    with pytest.raises(PostgresError, match="shared_buffers"):
        server.start()

    assert server.socket_folder is None
    assert server.pid is None


def test_a_folder_that_holds_something_else_is_left_alone(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "precious").write_text("x")

    with pytest.raises(PostgresError, match="not a database"):
        EmbeddedPostgres(data, settings=FAST).start()

    assert (data / "precious").read_text() == "x"


async def test_a_long_temporary_folder_is_not_used_for_the_socket(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = folder / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))

    with EmbeddedPostgres(folder / "data", settings=FAST) as server:
        assert await execute(server, "SELECT 1") == 1
