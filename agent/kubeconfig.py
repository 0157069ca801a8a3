"""Where the API server is and how to prove who we are: kubernetes-asyncio without its models.

Any `import kubernetes_asyncio.x` runs the package's `__init__`, which imports 1,263 generated
modules and costs 35 MB that the agent never uses. This module imports the six files that read
configurations and open connections under empty stand-ins for the three packages around them, and
then takes everything out of `sys.modules` again, so no half-initialised package is left for others
to find. That rests on which names these files import: the version is pinned in pyproject.toml and
`tests/agent/test_kubeconfig.py` fails where a new one behaves otherwise.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from types import ModuleType
from typing import Any

PACKAGE = "kubernetes_asyncio"
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"  # every pod has it

Login = Callable[[], Awaitable[Any]]  # makes a fresh kubernetes_asyncio Configuration


class ConfigurationError(Exception):
    """No usable way to reach a Kubernetes API server."""


class _ApiClient:
    """Stands for the generated client in annotations; nothing here makes one."""


@cache
def load(name: str) -> ModuleType:
    """Import one module of kubernetes-asyncio, such as "client.rest", without the models."""
    kept = {key: module for key, module in sys.modules.items() if _ours(key)}
    if getattr(kept.get(PACKAGE), "__version__", None):  # someone paid for it already
        return importlib.import_module(f"{PACKAGE}.{name}")
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("kubernetes-asyncio is not installed: install fleetwatch[agent]")
    root = spec.submodule_search_locations[0]
    try:
        for package in ("", ".client", ".config"):
            stand_in = ModuleType(PACKAGE + package)
            stand_in.__path__ = [os.path.join(root, *package.split(".")[1:])]  # noqa: PTH118
            sys.modules[stand_in.__name__] = stand_in
        client: Any = sys.modules[f"{PACKAGE}.client"]
        client.Configuration = _configuration_class()
        client.ApiClient = _ApiClient
        return importlib.import_module(f"{PACKAGE}.{name}")
    finally:
        for key in [key for key in sys.modules if _ours(key)]:
            del sys.modules[key]
        sys.modules.update(kept)


def _ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


@cache
def _configuration_class() -> Any:
    return importlib.import_module(f"{PACKAGE}.client.configuration").Configuration


def in_cluster() -> Login:
    """Log in with the pod's service account; the token file is read again every minute."""

    async def login() -> Any:
        module = load("config.incluster_config")
        configuration = module.Configuration()
        try:
            module.load_incluster_config(client_configuration=configuration)
        except module.ConfigException as exc:
            raise ConfigurationError(f"cannot use the pod's service account: {exc}") from exc
        return configuration

    return login


def from_file(path: str, *, context: str | None = None) -> Login:
    """Log in as a kubeconfig says: certificates, tokens, OIDC or an exec plugin.

    `context` None is the file's current one. Each call reads the file and runs the plugin again.
    """

    async def login() -> Any:
        module = load("config.kube_config")
        if not any(os.path.isfile(os.path.expanduser(p)) for p in path.split(os.pathsep)):  # noqa: ASYNC240, PTH111, PTH113
            raise ConfigurationError(f"no kubeconfig at {path}")
        configuration = module.Configuration()
        try:
            await module.load_kube_config(
                config_file=path,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        except Exception as exc:
            # The loader raises whatever a faulty file or plugin leads to, ConfigException or not.
            raise ConfigurationError(f"cannot use the kubeconfig {path}: {exc}") from exc
        return configuration

    return login


def find(kubeconfig: str | None = None, *, context: str | None = None) -> Login:
    """Choose as kubectl does: the file given, $KUBECONFIG, the pod's account, ~/.kube/config."""
    path = kubeconfig or os.environ.get("KUBECONFIG")
    if path:
        return from_file(path, context=context)
    if os.environ.get(IN_CLUSTER) and context is None:
        return in_cluster()
    return from_file("~/.kube/config", context=context)
