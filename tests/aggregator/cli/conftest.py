"""A running `fleetwatch up` in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_TIMEOUT = 60.0  # seconds


class Up(subprocess.Popen[str]):
    """The process, with what it said until it answered."""

    introduction: str
    url: str


@contextmanager
def up(home: Path, *options: str) -> Iterator[Up]:
    """Run `fleetwatch up` until it answers; it is stopped at the end, if it still runs."""
    process = Up(
        [sys.executable, "-m", "aggregator.cli", "up", "--home", str(home), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "Stop with Ctrl-C" in line:
                    break
            else:
                assert process.stderr is not None
                raise AssertionError(f"up did not start: {process.stderr.read()}")
            process.introduction = "".join(said)
            process.url = process.introduction.partition("http://")[2].split()[0]
            process.url = f"http://{process.url}"
            yield process
        finally:
            process.terminate()


def environment(**variables: str) -> dict[str, str]:
    """The caller's environment without settings of fleetwatch."""
    kept = {name: value for name, value in os.environ.items() if "FLEETWATCH" not in name}
    kept.pop("DATABASE_URL", None)
    return kept | variables


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("FLEETWATCH_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
