"""The agent as a program: what watches the cluster, and the one socket."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from agent import kubeconfig, kubernetes
from agent.backoff import Backoff
from agent.errors import FatalError
from agent.inventory import Inventory
from agent.memory import Memory
from agent.settings import Settings
from agent.state import State
from agent.uplink import Uplink
from agent.watcher import Watcher, cluster_uid, kubernetes_version
from protocol import messages as m
from sources import registry

if TYPE_CHECKING:
    from agent.intake import Intake

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
    inventory = Inventory()
    events = _open_intake(settings, inventory)
    listening = asyncio.create_task(_listen(settings, events))
    try:
        await _watch(settings, api, inventory, events, listening)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        if events is not None:
            await events.close()


def _open_intake(settings: Settings, inventory: Inventory) -> "Intake | None":
    """Open the spool of events; nothing of it is loaded where no events are taken."""
    receiver = settings.receiver
    if receiver is None:
        return None
    from agent.intake import Intake
    from agent.spool import Spool

    return Intake(lambda: Spool(settings.home, limit=receiver.spool_bytes), inventory)


async def _listen(settings: Settings, events: "Intake | None") -> None:
    """Take Falco's events, whatever else of the agent works. Raises `FatalError`."""
    if settings.receiver is None or events is None:
        await asyncio.Event().wait()
        return
    from agent.receiver import Receiver
    from agent.redaction import PatternError, Redactor

    try:
        redactor = Redactor(settings.receiver.redact, settings.receiver.redact_patterns)
    except PatternError as error:
        raise FatalError(str(error)) from error
    receiver = Receiver(settings.receiver, events, redactor)
    await _first_of(events.run(), receiver.run())


async def _watch(
    settings: Settings,
    api: kubernetes.Api,
    inventory: Inventory,
    events: "Intake | None",
    listening: asyncio.Task[None],
) -> None:
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
            spool=m.Spool(events.epoch, events.oldest, events.next) if events else None,
        )

    async def resend(kind: str, keys: Iterable[m.Key]) -> None:
        await watcher.resend(kind, keys)

    state = State()
    uplink = Uplink(state, settings, hello, resend, events=events)
    memory = Memory(settings.home)
    await memory.open()
    watcher = Watcher(
        api, state, uplink, inventory=inventory, memory=memory if memory.works else None
    )
    connection = asyncio.create_task(uplink.run())
    try:
        try:
            async with asyncio.timeout(FIRST_CONNECTION):
                await uplink.first_attempt.wait()
        except TimeoutError:
            logger.warning("no aggregator yet; watching the cluster meanwhile")
        await _first_of(watcher.run(), _outlive(connection), _outlive(listening))
    finally:
        await uplink.close(m.Reason.SHUTDOWN, "the agent stops")
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)
        await memory.close()


async def _first_of(*endless: Coroutine[Any, Any, None]) -> None:
    """Run what never ends by itself; the first that fails ends all, with its own error."""
    tasks = [asyncio.ensure_future(one) for one in endless]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
