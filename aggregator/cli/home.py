"""The folder of a local `fleetwatch up`: its data, the administrator's token, where it listens.

| file | |
|---|---|
| `lock` | held while an `up` runs, so that there is one a folder |
| `admin-token` | an ADMIN token, mode 0600 |
| `up.json` | `{"url", "pid", "database"}` of the running `up`; the agent reads it too |
| `postgres/` | the database |
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

APPLICATION = "fleetwatch"
PRIVATE = 0o600


class LockedError(Exception):
    """Another `up` runs on the folder; the message is its process id, if known."""


def default_home() -> Path:
    """Where the data of a user's programs belongs."""
    return platformdirs.user_data_path(APPLICATION, appauthor=False)


class Home:
    """A home folder; nothing is created before `create`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "postgres"
        self.token_file = self.folder / "admin-token"
        self._state = self.folder / "up.json"

    def create(self) -> None:
        """Make the folder. As root it lets others pass: Postgres runs as another user."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one `up`."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockedError(os.read(descriptor, 32).decode(errors="replace")) from error
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def read_token(self) -> str | None:
        """Return the administrator's token, if there is one."""
        try:
            return self.token_file.read_text().strip() or None
        except FileNotFoundError:
            return None

    def write_token(self, token: str) -> Path:
        """Keep the administrator's token, for its owner's eyes only."""
        _write_private(self.token_file, token + "\n")
        return self.token_file

    @contextmanager
    def announced(self, url: str, database_url: str) -> Iterator[None]:
        """Tell the other commands where this process and its database listen."""
        state = {"url": url, "pid": os.getpid(), "database": database_url}
        _write_private(self._state, json.dumps(state) + "\n")
        try:
            yield
        finally:
            self._state.unlink(missing_ok=True)

    def running_url(self) -> str | None:
        """Return where the running `up` listens, or None if none runs."""
        return self._running("url")

    def running_database(self) -> str | None:
        """Return the address of the running `up`'s database, or None if none runs."""
        return self._running("database")

    def _running(self, what: str) -> str | None:
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            state = json.loads(self._state.read_text())
            if _is_alive(int(state["pid"])):
                return str(state[what])
        return None


def _write_private(path: Path, text: str) -> None:
    """Write a file at once and whole; it is never readable by others, not even at first."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
