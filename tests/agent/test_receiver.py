"""The receiver is never open: a secret in the path, or a client's certificate."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.errors import FatalError
from agent.intake import Intake
from agent.inventory import Inventory
from agent.receiver import Receiver
from agent.receiver_settings import ReceiverSettings, parse_listen
from agent.redaction import Redactor
from agent.spool import Spool

SECRET = "a-secret-of-the-tests"
EVENT = {"rule": "x", "priority": "Notice", "output": "o", "time": "2026-01-01T00:00:00Z"}
ANY = ("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "must not be open"),
        ({"secret": "short"}, "at least 16"),
        ({"secret": "with/a/slash/in/between"}, "at least 16"),
        ({"secret": SECRET, "key": Path("k")}, "go together"),
        ({"client_ca": Path("ca")}, "needs FLEETWATCH_EVENTS_CERT"),
    ],
)
def test_what_would_leave_it_open_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(FatalError, match=says):
        ReceiverSettings(address=ANY, **given).check()


@pytest.mark.parametrize(
    ("text", "address"),
    [(":2801", ("0.0.0.0", 2801)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:9", ("::1", 9))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["", "2801", "host:", "host:70000", "host:x"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(FatalError, match="HOST:PORT"):
        parse_listen(text)


@contextlib.asynccontextmanager
async def receiving(folder: Path, settings: ReceiverSettings) -> AsyncIterator[tuple[int, Intake]]:
    intake = Intake(lambda: Spool(folder / "spool", limit=2**20), Inventory())
    receiver = Receiver(settings.check(), intake, Redactor())
    tasks = [asyncio.create_task(intake.run()), asyncio.create_task(receiver.run())]
    try:
        async with asyncio.timeout(10):
            await receiver.started.wait()
        yield receiver.port, intake
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await intake.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, and a certificate each for a server and a client."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    for name in ("server", "client"):
        openssl(
            "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        authority = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *authority, "-out", f"{name}.pem")
    return folder


async def test_a_client_shows_its_certificate(certificates: Path, tmp_path: Path) -> None:
    settings = ReceiverSettings(
        address=ANY,
        certificate=certificates / "server.pem",
        key=certificates / "server.key",
        client_ca=certificates / "ca.pem",
    )
    async with receiving(tmp_path, settings) as (port, intake):
        url = f"https://127.0.0.1:{port}/falco"
        trust = ssl.create_default_context(cafile=certificates / "ca.pem")
        async with httpx.AsyncClient(verify=trust, trust_env=False) as stranger:
            with pytest.raises(httpx.HTTPError):
                await stranger.post(url, json=EVENT)
        trust = ssl.create_default_context(cafile=certificates / "ca.pem")
        trust.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
            assert (await client.post(url, json=EVENT)).status_code == 200
        assert intake.waiting == 1


async def test_certificates_that_cannot_be_used_are_fatal(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("nonsense")
    settings = ReceiverSettings(
        address=ANY, secret=SECRET, certificate=tmp_path / "bad", key=tmp_path / "bad"
    )
    intake = Intake(lambda: Spool(tmp_path / "spool", limit=2**20), Inventory())
    with pytest.raises(FatalError, match="certificates cannot be used"):
        await Receiver(settings, intake, Redactor()).run()
    await intake.close()


async def test_falcos_own_events_are_no_alerts(tmp_path: Path) -> None:
    settings = ReceiverSettings(address=ANY, secret=SECRET)
    async with (
        receiving(tmp_path, settings) as (port, intake),
        httpx.AsyncClient(trust_env=False) as client,
    ):
        drop = {
            **EVENT,
            "rule": "Falco internal: syscall event drop",
            "source": "internal",
            "output_fields": {"n_drops": 12},
        }
        answer = await client.post(f"http://127.0.0.1:{port}/falco/{SECRET}", json=drop)
        assert answer.status_code == 200
        async with asyncio.timeout(10):
            while not (gaps := await intake.gaps(10)):
                await asyncio.sleep(0.05)
        assert [gap.reason for gap in gaps] == ["FALCO_DROPS"]
        assert intake.waiting == 0
