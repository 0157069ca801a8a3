"""`serve`, `migrate` and the first token of a deployment."""

import os
import signal
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner

from aggregator.cli import main
from aggregator.store.migrations import head
from tests.aggregator.cli.conftest import environment


@pytest.fixture
def database(postgres_dsn_empty: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", postgres_dsn_empty)
    return postgres_dsn_empty


def run(*arguments: str, database: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "aggregator.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(DATABASE_URL=database),
    )


async def test_a_deployment_from_nothing(postgres_dsn_empty: str) -> None:
    database = postgres_dsn_empty
    too_early = run("serve", "--listen", "127.0.0.1:0", database=database)
    assert too_early.returncode == 1
    assert "run `fleetwatch migrate`" in too_early.stderr

    assert head() in run("migrate", database=database).stdout
    assert "up to date" in run("migrate", database=database).stdout
    token = run("token", "bootstrap", database=database).stdout.strip()
    assert token.startswith("fw_")

    server = subprocess.Popen(  # noqa: ASYNC220 - at once
        [sys.executable, "-m", "aggregator.cli", "serve", "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(DATABASE_URL=database),
    )
    with server:
        try:
            assert server.stderr is not None
            url = server.stderr.readline().split()[-1]
            environ = {"FLEETWATCH_URL": url, "FLEETWATCH_TOKEN": token}
            result = CliRunner().invoke(main, ["cluster", "add", "prod"], env=environ)
            assert result.exit_code == 0, result.output
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"{url}/readyz")).text == "ready\n"
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
        finally:
            server.kill()


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_is_not_there(command: str) -> None:
    ended = run(command, database="postgresql://nobody@127.0.0.1:1/none")

    assert ended.returncode == 1
    assert "Check DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_goes_away_during_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def seen_to_be_there(_database_url: str) -> None:
        pass

    monkeypatch.setattr("aggregator.cli.serve._check_schema", seen_to_be_there)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = CliRunner().invoke(main, ["serve", "--listen", "127.0.0.1:0"])

    assert result.exit_code == 1
    assert "Check DATABASE_URL" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="there is one")
def test_the_database_must_be_named() -> None:
    result = CliRunner().invoke(main, ["migrate"])

    assert result.exit_code == 2
    assert "DATABASE_URL" in result.output
