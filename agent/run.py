"""The agent as a program: what watches the cluster, and the one socket."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import version
from typing import TypeVar

from agent import kubeconfig, kubernetes
from agent.backoff import Backoff
from agent.settings import FatalError, Settings
from agent.state import State
from agent.uplink import Uplink
from agent.watcher import Watcher, cluster_uid, kubernetes_version
from protocol import messages as m
from sources import registry

FIRST_CONNECTION = 10.0  # seconds that listing waits for the aggregator, to send as it lists

Fact = TypeVar("Fact")
logger = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Watch the cluster and keep the aggregator up to date, until cancelled.

    Raises `FatalError` where the cluster's configuration cannot be used.
    """
    file = None if settings.kubeconfig is None else str(settings.kubeconfig)
    login = kubeconfig.find(file, context=settings.context)
    try:
        async with kubernetes.Api(login) as api:
            await _run(settings, api)
    except kubeconfig.ConfigurationError as error:
        raise FatalError(str(error)) from error


async def _run(settings: Settings, api: kubernetes.Api) -> None:
    uid = await _learn(lambda: cluster_uid(api), "the cluster's UID")
    release = await _learn(lambda: kubernetes_version(api), "the cluster's version")
    instance = settings.instance()

    def hello() -> m.Hello:
        return m.Hello(
            versions=(m.VERSION,),
            formats={c.name: c.format for c in registry.contents().values()},
            agent_version=version("fleetwatch"),
            instance=instance,
            mode=m.Mode.AGENT,
            clock=time.time_ns() // 1_000_000,
            cluster_uid=uid,
            kubernetes_version=release,
        )

    async def resend(kind: str, keys: Iterable[m.Key]) -> None:
        await watcher.resend(kind, keys)

    state = State()
    uplink = Uplink(state, settings, hello, resend)
    watcher = Watcher(api, state, uplink)
    connection = asyncio.create_task(uplink.run())
    try:
        try:
            async with asyncio.timeout(FIRST_CONNECTION):
                await uplink.first_attempt.wait()
        except TimeoutError:
            logger.warning("no aggregator yet; watching the cluster meanwhile")
        async with asyncio.TaskGroup() as group:
            group.create_task(watcher.run())
            group.create_task(_outlive(connection))
    finally:
        await uplink.close(m.Reason.SHUTDOWN, "the agent stops")
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)


async def _outlive(task: asyncio.Task[None]) -> None:
    """Fail with a task that never ends by itself."""
    await asyncio.shield(task)


async def _learn(ask: Callable[[], Awaitable[Fact]], what: str) -> Fact | None:
    """Ask the API server until it answers; None is what it will not tell."""
    backoff = Backoff()
    while True:
        try:
            return await ask()
        except (kubernetes.NotFoundError, kubernetes.ForbiddenError) as error:
            logger.warning("cannot learn %s, going on without it: %s", what, error)
            return None
        except kubernetes.ApiError as error:
            wait = backoff.next()
            logger.warning("cannot learn %s, trying again in %.1f s: %s", what, wait, error)
            await asyncio.sleep(wait)
