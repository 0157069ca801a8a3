"""One real API server for each test: they break it in different ways."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent import kubernetes
from agent.kubernetes import Api
from agent.state import State
from tests.agent.conftest import Outlet
from tests.realapi.server import RealApi, assets


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RealApi]:
    folder = assets()
    if folder is None:
        pytest.skip("KUBEBUILDER_ASSETS names no etcd and apiextensions-apiserver: make realapi")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificates can be made")
    server = RealApi(tmp_path, folder)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def api(real: RealApi, tmp_path: Path) -> AsyncIterator[Api]:
    path = real.write_kubeconfig(tmp_path / "agent.kubeconfig")
    async with kubernetes.connect(kubeconfig=path) as connection:
        yield connection


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def outlet(state: State) -> Outlet:
    return Outlet(state)
