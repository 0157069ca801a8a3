"""`fleetwatch up` as a process: start, use, restart, sudden death."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from aggregator.cli import main
from aggregator.cli.home import Home
from aggregator.store.installation import ROOT_HOME, Account
from tests.aggregator.cli.conftest import environment, up

ANY_PORT = ("--listen", "127.0.0.1:0")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Yield a home in a closed folder, as a user's is. For root, the data is made elsewhere."""
    tmp_path.chmod(0o700)
    folder = tmp_path / "home"
    yield folder
    data = Account().reachable(Home(folder).data)
    if data.is_relative_to(ROOT_HOME):
        shutil.rmtree(data.parent)


def fleetwatch(home: Path, *arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(main, [*arguments, "--home", str(home)], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.output


def test_from_nothing_to_an_answer_and_back(home: Path) -> None:
    with up(home, *ANY_PORT) as first:
        token = Home(home).read_token()
        assert token is not None
        assert token in first.introduction
        assert stat.S_IMODE((home / "admin-token").stat().st_mode) == 0o600
        assert httpx.get(f"{first.url}/healthz", trust_env=False).status_code == 200
        assert httpx.get(f"{first.url}/readyz", trust_env=False).status_code == 200

        added = json.loads(
            fleetwatch(home, "cluster", "add", "dev", "--label", "env=dev", "--format", "json")
        )
        assert (added["name"], added["url"]) == ("dev", first.url)
        assert added["token"].startswith("fw_")
        assert "dev" in fleetwatch(home, "cluster", "list")
        assert "env=dev,tier=1" in fleetwatch(home, "cluster", "label", "dev", "tier=1")
        fleetwatch(home, "cluster", "rename", "dev", "test")
        second = fleetwatch(home, "cluster", "token", "test", "--format", "json")
        assert json.loads(second)["token"] != added["token"]
        assert "agent of dev" in fleetwatch(home, "token", "list")
        viewer = json.loads(
            fleetwatch(home, "token", "create", "v", "--expires", "1d", "--format", "json")
        )
        fleetwatch(home, "token", "revoke", viewer["id"])
        assert "revoked" in fleetwatch(home, "token", "list")
        fleetwatch(home, "cluster", "rebind", "test")
        assert "no active token" in fleetwatch(home, "token", "revoke", viewer["id"], status=1)

        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 0
    assert Home(home).running_url() is None

    with up(home, *ANY_PORT) as again:
        assert token not in again.introduction
        assert Home(home).read_token() == token
        answer = fleetwatch(home, "query", "{ clusters { nodes { name labels } } }")
        expected = [{"name": "test", "labels": {"env": "dev", "tier": "1"}}]
        assert json.loads(answer)["data"]["clusters"]["nodes"] == expected
        table = fleetwatch(home, "query", "{ clusters { nodes { name } } }", "--format", "table")
        assert table.split() == ["NAME", "test"]
        wrong = fleetwatch(home, "query", "{ clusters { nodes { nam } } }", status=1)
        assert "nam" in wrong
        fleetwatch(home, "cluster", "remove", "test", "--yes")
        assert "no cluster yet" in fleetwatch(home, "cluster", "list")
        again.terminate()
        assert again.wait(30) == 0


def test_a_kill_is_survived_and_takes_postgres_with_it(home: Path) -> None:
    with up(home, *ANY_PORT) as killed:
        fleetwatch(home, "cluster", "add", "dev")
        killed.kill()
        killed.wait(30)
    assert "no `fleetwatch up` runs" in fleetwatch(home, "cluster", "list", status=1)

    with up(home, *ANY_PORT):
        assert "dev" in fleetwatch(home, "cluster", "list")


def test_two_on_one_home_and_two_on_one_port_are_told_apart(home: Path, tmp_path: Path) -> None:
    with up(home, *ANY_PORT) as first:
        same_home = run_up("--home", str(home), *ANY_PORT)
        address = first.url.removeprefix("http://")
        same_port = run_up("--home", str(tmp_path / "other"), "--listen", address)

    assert same_home.returncode == same_port.returncode == 1
    assert f"process {first.pid}" in same_home.stderr
    assert "--home" in same_home.stderr
    assert f"{address} cannot be listened on" in same_port.stderr
    assert "--listen" in same_port.stderr
    assert not (tmp_path / "other" / "postgres").exists()


def test_a_lost_token_file_gets_a_new_token(home: Path) -> None:
    with up(home, *ANY_PORT):
        pass
    (home / "admin-token").unlink()

    with up(home, *ANY_PORT) as again:
        assert str(Home(home).read_token()) in again.introduction
        fleetwatch(home, "cluster", "list")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_said_to_be(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ended = run_up("--home", str(tmp_path / "home"), *ANY_PORT)

    assert ended.returncode == 1
    assert "--home" in ended.stderr


def run_up(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "aggregator.cli", "up", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
