"""What is taken of kubernetes-asyncio behaves as the agent needs, in the version that is pinned."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from agent import kubeconfig

PINNED = "36.1.0"


def _fresh(code: str) -> str:
    """Run code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_version_is_the_one_that_the_import_was_written_for() -> None:
    assert version("kubernetes_asyncio") == PINNED


def test_no_model_is_imported_and_nothing_half_loaded_stays() -> None:
    code = """
import sys
from agent import kubeconfig
names = []
class Spy:
    def find_spec(self, name, path=None, target=None):
        names.append(name)
sys.meta_path.insert(0, Spy())
for module in ("client.rest", "config.incluster_config", "client.configuration"):
    kubeconfig.load(module)
assert "yaml" not in sys.modules
kubeconfig.load("config.kube_config")
ours = [name for name in names if name.startswith("kubernetes_asyncio.")]
assert not [name for name in ours if ".models" in name or ".api" in name], ours
assert not [name for name in sys.modules if name.startswith("kubernetes_asyncio")]
rest = kubeconfig.load("client.rest")
assert rest is kubeconfig.load("client.rest")
print("fine")
"""
    assert _fresh(code) == "fine"


def test_a_package_that_was_imported_as_a_whole_is_used() -> None:
    code = """
import sys, types
whole = types.ModuleType("kubernetes_asyncio")
whole.__version__ = "1"
inner = types.ModuleType("kubernetes_asyncio.client.rest")
sys.modules |= {"kubernetes_asyncio": whole, "kubernetes_asyncio.client.rest": inner}
from agent import kubeconfig
assert kubeconfig.load("client.rest") is inner
print("fine")
"""
    assert _fresh(code) == "fine"


def _write(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(config))
    return str(path)


async def test_a_token_of_a_kubeconfig(tmp_path: Path) -> None:
    configuration = await kubeconfig.from_file(_write(tmp_path / "c", {"token": "abc"}))()
    assert configuration.host == "http://127.0.0.1:1"
    assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer abc"


async def test_an_exec_plugin_runs_at_each_login(tmp_path: Path) -> None:
    counter = tmp_path / "n"
    counter.write_text("")
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json, pathlib\n"
        f"n = pathlib.Path({str(counter)!r})\n"
        "n.write_text(n.read_text() + 'x')\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1',"
        " 'kind': 'ExecCredential', 'status': {'token': 't%d' % len(n.read_text())}}))\n"
    )
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(plugin)],
    }
    login = kubeconfig.from_file(_write(tmp_path / "c", {"exec": command}))
    assert (await login()).api_key["BearerToken"] == "Bearer t1"
    assert (await login()).api_key["BearerToken"] == "Bearer t2"


@pytest.mark.parametrize("content", ["", "[]", "a: [", '{"contexts": []}'])
async def test_a_faulty_kubeconfig_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "faulty"
    path.write_text(content)
    with pytest.raises(kubeconfig.ConfigurationError, match="faulty"):
        await kubeconfig.from_file(str(path))()


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(kubeconfig.ConfigurationError, match=r"no kubeconfig at .*nowhere"):
        await kubeconfig.from_file(str(tmp_path / "nowhere"))()


async def test_the_pods_account_with_a_token_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = kubeconfig.load("config.incluster_config")
    (tmp_path / "token").write_text("one")
    (tmp_path / "ca.crt").write_text("certificate")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(module, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(module, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(module, "TOKEN_REFRESH_PERIOD", module.datetime.timedelta(0))
    configuration = await kubeconfig.find()()
    assert configuration.host == "https://10.0.0.1:443"
    assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer one"
    (tmp_path / "token").write_text("two")
    assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer two"


async def test_outside_of_a_pod_the_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(kubeconfig.ConfigurationError, match="service account"):
        await kubeconfig.in_cluster()()
