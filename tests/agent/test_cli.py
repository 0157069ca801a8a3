"""The agent's command: what it finds by itself and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import Struct

from agent.cli import main
from agent.errors import FatalError
from agent.settings import Settings


class Sent(Struct):
    """In place of a push's outcome."""

    failures: list[str]
    repeated: tuple[str, ...] = ()
    summary: str = "2 sent, 1 unchanged, 0 failed"


class Recorder:
    """In place of `agent.run` and `agent.push`: remembers what it was told."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.paths: list[Path] = []
        self.add = False
        self.failures: list[str] = []
        self.error: Exception | None = None

    async def run(self, settings: Settings) -> None:
        self.settings = settings
        if self.error is not None:
            raise self.error

    async def push(self, settings: Settings, paths: Sequence[Path], *, add: bool) -> Sent:
        self.settings, self.paths, self.add = settings, list(paths), add
        if self.error is not None:
            raise self.error
        return Sent(self.failures)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    for name in ("run", "push"):
        module = ModuleType(f"agent.{name}")
        setattr(module, name, getattr(recorder, name))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and none of the developer's own settings."""
    for name in list(os.environ):
        if name.startswith("FLEETWATCH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLEETWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FLEETWATCH_AGENT_HOME", str(tmp_path / "agent"))
    return tmp_path


def begin_up(home: Path) -> None:
    """Leave what a running `fleetwatch up` leaves: this process."""
    state = {"url": "http://127.0.0.1:8080", "pid": os.getpid()}
    (home / "up.json").write_text(json.dumps(state))
    (home / "admin-token").write_text("fw_admin\n")


def invoke(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def test_run_takes_url_and_token_from_the_environment(recorder: Recorder, home: Path) -> None:
    result = invoke("run", FLEETWATCH_URL="https://f.example/", FLEETWATCH_TOKEN="fw_x")

    assert result.exit_code == 0, result.output
    assert recorder.settings == Settings(url="https://f.example", token="fw_x", home=home / "agent")


def test_a_push_finds_the_local_up_and_its_administrator(recorder: Recorder, home: Path) -> None:
    begin_up(home)
    (home / "x.yaml").write_text("")

    result = invoke("push", "--cluster", "dev", "--add", str(home / "x.yaml"), "-")

    assert result.output == "2 sent, 1 unchanged, 0 failed\n"
    assert recorder.settings is not None
    assert recorder.settings.url == "http://127.0.0.1:8080"
    assert recorder.settings.headers() == {
        "Authorization": "Bearer fw_admin",
        "X-Fleetwatch-Cluster": "dev",
    }
    assert (recorder.paths, recorder.add) == ([home / "x.yaml", Path("-")], True)


def test_failures_of_a_push_are_named_and_it_still_ends_well(
    recorder: Recorder, home: Path
) -> None:
    begin_up(home)
    recorder.failures = ["VulnerabilityReport a/b: no results"]

    result = invoke("push", "--cluster", "dev", "-")

    assert result.exit_code == 0
    assert result.stderr == "failed: VulnerabilityReport a/b: no results\n"


def test_the_local_administrators_token_goes_nowhere_else(recorder: Recorder, home: Path) -> None:
    begin_up(home)

    result = invoke("push", "--cluster", "dev", "-", FLEETWATCH_URL="https://f.example")

    assert result.exit_code == 1
    assert "FLEETWATCH_TOKEN" in result.stderr
    assert recorder.settings is None


def test_run_needs_the_clusters_own_token(recorder: Recorder, home: Path) -> None:
    begin_up(home)

    result = invoke("run")

    assert result.exit_code == 1
    assert "FLEETWATCH_TOKEN" in result.stderr
    assert recorder.settings is None


@pytest.mark.usefixtures("recorder", "home")
def test_without_an_aggregator_it_says_what_to_set() -> None:
    result = invoke("run", FLEETWATCH_TOKEN="fw_x")

    assert result.exit_code == 1
    assert "FLEETWATCH_URL" in result.stderr


@pytest.mark.usefixtures("recorder", "home")
def test_an_address_is_checked() -> None:
    result = invoke("run", "--url", "f.example", "--token", "fw_x")

    assert result.exit_code == 1
    assert "https://" in result.stderr


@pytest.mark.usefixtures("home")
def test_what_no_retry_mends_ends_the_program(recorder: Recorder) -> None:
    recorder.error = FatalError("The kubeconfig has no context named x.")

    result = invoke("run", "--url", "http://f.example", "--token", "fw_x")

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: The kubeconfig has no context named x.\n",
    )


ENDLESS = """
import asyncio, sys, types
module = types.ModuleType("agent.run")
async def run(settings):
    print("running", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)
module.run = run
sys.modules["agent.run"] = module
from agent.cli import main
main(["run", "--url", "http://f.example", "--token", "fw_x"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("home")
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(number)
        assert process.stdout.readline() == "cancelled\n"
        assert process.wait(20) == 0


def test_importing_the_command_loads_little() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import agent.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not {"aiohttp", "kubernetes_asyncio", "yaml", "msgspec", "zstandard"} & set(loaded)


async def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = Settings(url="https://f.example", token_file=file, home=tmp_path)
    with pytest.raises(FatalError, match="cannot be read"):
        settings.read_token()
    for token in ("fw_1", "fw_2"):
        await asyncio.to_thread(file.write_text, f"{token}\n")
        assert settings.headers() == {"Authorization": f"Bearer {token}"}


def test_the_instance_is_remembered(tmp_path: Path) -> None:
    settings = Settings(url="https://f.example", token="x", home=tmp_path / "new" / "home")

    assert settings.instance() == settings.instance()
    other: Any = Settings(url="https://f.example", token="x", home=tmp_path / "other")
    assert other.instance() != settings.instance()


def test_a_home_that_cannot_be_used_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(url="https://f.example", token="x", home=tmp_path / "file" / "home")

    assert settings.instance() != settings.instance()
    assert "three heartbeats" in caplog.text


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("https://f.example", "wss://f.example/agent/v1"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/agent/v1"),
        ("https://f.example/fleet", "wss://f.example/fleet/agent/v1"),
    ],
)
def test_the_socket_is_below_the_address(url: str, socket: str, tmp_path: Path) -> None:
    assert Settings(url=url, token="x", home=tmp_path).socket_url == socket
