import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from agent import kubernetes
from agent.kubeconfig import ConfigurationError
from agent.kubernetes import (
    Api,
    ApiError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)
from tests.agent.conftest import eventually
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.resources import PODS

PATH = "/api/v1/pods"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (410, ExpiredError),
        (422, InvalidError),
        (429, TooManyRequestsError),
        (500, UnavailableError),
        (504, UnavailableError),
        (302, UnavailableError),
    ],
)
async def test_errors_by_status(
    fake: FakeKubernetes, api: Api, status: int, error: type[ApiError]
) -> None:
    fake.fail("pods", status=status)
    with pytest.raises(error, match=f"GET {PATH}: {status} a fault on demand") as caught:
        await api.get(PATH)
    assert caught.value.status == status


async def test_the_server_says_when_to_come_back(fake: FakeKubernetes, api: Api) -> None:
    fake.fail("pods", status=429, retry_after=7)
    with pytest.raises(TooManyRequestsError) as caught:
        await api.get(PATH)
    assert caught.value.retry_after == 7


async def test_an_answer_has_a_limit(api: Api) -> None:
    assert len(await api.get(PATH)) < 1000
    with pytest.raises(TooLargeError):
        await api.get(PATH, limit=10)


async def test_a_cut_connection_and_no_server(fake: FakeKubernetes, api: Api) -> None:
    fake.fail("pods", status=0, times=2)  # aiohttp itself tries a broken connection once more
    with pytest.raises(UnavailableError):
        await api.get(PATH)
    await fake.stop()
    with pytest.raises(UnavailableError):
        await api.get(PATH)


async def test_a_server_that_does_not_answer(
    fake: FakeKubernetes, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "ANSWER_SECONDS", 0.05)
    fake.answers_after = 0.5
    with pytest.raises(UnavailableError, match="no answer within"):
        await api.get(PATH)


async def test_a_stream_that_breaks(fake: FakeKubernetes, api: Api) -> None:
    async def read() -> None:
        async with api.stream(PATH, query={"watch": "1"}) as chunks:
            async for _ in chunks:
                pass

    task = asyncio.create_task(read())
    await eventually(lambda: fake.watches(PODS) == 1)
    fake.cut()
    with pytest.raises(UnavailableError):
        await task


async def test_what_a_caller_raises_in_a_stream_stays_what_it_is(api: Api) -> None:
    with pytest.raises(OSError, match="mine"):
        async with api.stream(PATH):
            raise OSError("mine")


async def test_a_refused_token_leads_to_one_more_login(
    fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "LOGIN_AGAIN_SECONDS", 0.0)
    tokens = iter(["old", "new", "new", "new"])
    logins = []

    async def login() -> Any:
        token = next(tokens)
        logins.append(token)
        return await fake.login(token=token)()

    fake.tokens = {"old"}
    async with Api(login) as api:
        await api.get(PATH)
        fake.tokens = {"new"}
        await asyncio.gather(*(api.get(PATH) for _ in range(5)))
        assert logins == ["old", "new"]
        assert [request.status for request in fake.requests].count(401) in range(1, 6)


async def test_a_token_that_stays_refused_does_not_login_without_end(fake: FakeKubernetes) -> None:
    fake.tokens = {"other"}
    async with Api(fake.login(token="mine")) as api:
        with pytest.raises(UnauthorizedError):
            await api.get(PATH)
    assert len(fake.requests) == 1


async def test_an_unchanged_document_is_not_sent_again(api: Api) -> None:
    body, etag = await api.get_changed("/apis", etag="")
    assert body
    assert await api.get_changed("/apis", etag=etag) == (None, etag)


async def test_unusable_certificates_are_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no certificate")

    async def login() -> Any:
        configuration = await FakeKubernetes(core=False).login()()
        configuration.ssl_ca_cert = str(tmp_path / "ca")
        return configuration

    with pytest.raises(ConfigurationError, match="certificates") as caught:
        await Api(login).__aenter__()
    assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_connect_takes_a_kubeconfig(fake: FakeKubernetes, tmp_path: Path) -> None:
    path = fake.write_kubeconfig(tmp_path / "config", token="secret")
    fake.tokens = {"secret"}
    async with kubernetes.connect(kubeconfig=path) as api:
        assert b"PodList" in await api.get(PATH)
