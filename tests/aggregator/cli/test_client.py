"""Which server a command speaks to, as whom, and what it says when that fails."""

import os
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

from aggregator.cli.client import AnswerError, Client, RequestError, Server, find_server
from aggregator.cli.home import Home

URL = "https://fleetwatch.example"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Yield a home whose `up` runs: this process."""
    folder = Home(tmp_path)
    folder.write_token("fw_local")
    with folder.announced("http://127.0.0.1:8080", "postgresql://"):
        yield tmp_path


def test_the_local_up_is_found(home: Path) -> None:
    server = find_server(url=None, token=None, home=home)

    assert server == Server("http://127.0.0.1:8080", "fw_local", is_local=True)
    assert find_server(url="http://127.0.0.1:8080/", token=None, home=home) == server


def test_what_is_set_wins(home: Path) -> None:
    assert find_server(url=URL, token="fw_x", home=home) == Server(URL, "fw_x", is_local=False)
    assert find_server(url=None, token="fw_x", home=home).token == "fw_x"


def test_the_local_token_goes_nowhere_else(home: Path) -> None:
    with pytest.raises(RequestError, match="set FLEETWATCH_TOKEN"):
        find_server(url=URL, token=None, home=home)


def test_an_up_that_is_gone_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"url": "http://127.0.0.1:1", "pid": 2147483646}')

    with pytest.raises(RequestError, match="fleetwatch up"):
        find_server(url=None, token=None, home=tmp_path)


def test_an_address_begins_with_http(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="http"):
        find_server(url="fleetwatch.example", token="x", home=tmp_path)


def answering(monkeypatch: pytest.MonkeyPatch, response: httpx.Response | Exception) -> Client:
    """Make a client whose every request gets one answer."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer fw_x"
        if isinstance(response, Exception):
            raise response
        return response

    client = Client(Server(URL, "fw_x", is_local=False))
    transport = httpx.MockTransport(handle)
    headers = {"Authorization": "Bearer fw_x"}
    monkeypatch.setattr(client, "_open", lambda: httpx.Client(transport=transport, headers=headers))
    return client


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.ConnectError("refused"), "cannot be reached"),
        (httpx.ReadTimeout("slow"), "did not answer within"),
        (httpx.RemoteProtocolError("cut"), "failed: cut"),
        (httpx.Response(200, text="<html>"), "is it the address of fleetwatch"),
        (httpx.Response(502, text="Bad Gateway"), "answered 502"),
        (httpx.Response(401, json={"errors": [{"message": "revoked"}]}), "Set FLEETWATCH_TOKEN"),
    ],
)
def test_failures_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, response: httpx.Response | Exception, said: str
) -> None:
    with pytest.raises(RequestError) as failure:
        answering(monkeypatch, response).graphql("{ x }")

    assert said in failure.value.message
    assert "fw_x" not in failure.value.message


def test_errors_of_graphql_carry_the_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"data": None, "errors": [{"message": "one"}, {"message": "two"}]}

    with pytest.raises(AnswerError) as failure:
        answering(monkeypatch, httpx.Response(400, json=answer)).graphql("{ x }")

    assert failure.value.answer == answer
    assert failure.value.message == "one\ntwo"


def test_a_home_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    home.write_token("fw_1")
    home.write_token("fw_2")

    mode = (tmp_path / "home").stat().st_mode & 0o777
    assert mode == (0o711 if os.geteuid() == 0 else 0o700)
    assert home.read_token() == "fw_2"
    assert home.token_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.folder.iterdir()] == ["admin-token"]
