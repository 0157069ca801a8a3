"""Runs everything that watches a cluster, and decides which report kinds are watched.

    discovery ──► a reflector for each report kind served ──► reports ──► entries ──► outlet
    reflectors of pods, ReplicaSets, … ──► inventory ──► workloads ──────┘   ▲
                                               └── rereads ── reports ───────┘

Report kinds are listed only after pods and ReplicaSets are, or are known to be forbidden or
absent. Each part fails alone: what ends by a fault is logged and started again.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from agent.backoff import Backoff
from agent.discovery import POLL_SECONDS, Discoverer, Discovery
from agent.entries import Writer
from agent.inventory import Inventory
from agent.kubernetes import Api, ApiError, UnavailableError
from agent.outline import maker
from agent.reflector import Lists, Reflector
from agent.reports import Reports, ReportSink, Watched
from agent.rereads import Rereads
from agent.resource import Resource
from agent.state import Outlet, State
from agent.workloads import WATCHED, WatchedSink, Workloads
from protocol.messages import NAMESPACES, NODES, WORKLOADS, Key, KindState
from sources import registry

if TYPE_CHECKING:
    from agent.memory import Memory
    from agent.recollection import Recollection

LISTS_AT_ONCE = 2  # listing all kinds together has brought API servers down
REPORT_LISTS_AT_ONCE = 1  # a page of reports is what the agent's peak is made of
INVENTORY_SECONDS = 5.0  # the most that what is remembered waits for the whole inventory

log = logging.getLogger(__name__)


class _Metadata(Struct, frozen=True):
    uid: str


class _Namespace(Struct, frozen=True):
    metadata: _Metadata


class _Version(Struct, frozen=True):
    gitVersion: str  # noqa: N815 - as on the wire


async def cluster_uid(api: Api) -> str:
    """Return what identifies a cluster: the uid of its namespace kube-system."""
    body = await api.get("/api/v1/namespaces/kube-system")
    try:
        return msgspec.json.decode(body, type=_Namespace).metadata.uid
    except msgspec.MsgspecError as exc:
        raise UnavailableError(f"namespace kube-system: not as expected: {exc}") from exc


async def kubernetes_version(api: Api) -> str:
    """Return the server's version, such as "v1.36.2"."""
    body = await api.get("/version")
    try:
        return msgspec.json.decode(body, type=_Version).gitVersion
    except msgspec.MsgspecError as exc:
        raise UnavailableError(f"/version: not as expected: {exc}") from exc


class Watcher:
    """Watches a cluster into `state` and `outlet`."""

    def __init__(
        self,
        api: Api,
        state: State,
        outlet: Outlet,
        *,
        inventory: Inventory | None = None,  # None where nobody else asks it
        memory: "Memory | None" = None,  # None remembers nothing from one start to the next
    ) -> None:
        self._api = api
        self._state = state
        self._writer = Writer(state, outlet)
        self._inventory = inventory or Inventory()
        self._workloads = Workloads(self._inventory, self._writer)
        self._memory = memory
        self._reports = Reports(self._inventory, self._writer, memory=memory)
        self._rereads = Rereads(api, self._reports)
        self._tasks: dict[str, asyncio.Task[None]] = {}  # reflectors of report kinds
        self._missing = asyncio.Event()  # a reflector found its kind gone: look at discovery now
        for name in (WORKLOADS, NAMESPACES, NODES, *map(_name, registry.kinds())):
            state.kind(name)  # known as LISTING from the first summary on

    async def run(self) -> None:
        """Watch for ever."""
        lists = Lists(LISTS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for watched in WATCHED:
                sink = WatchedSink(watched, self._workloads)
                reflector = Reflector(self._api, watched.resource, sink, lists=lists)
                group.create_task(_always(reflector.run, str(watched.resource)))
            group.create_task(_always(self._run_workloads, "workloads"))
            group.create_task(_always(self._rereads.run, "rereads"))
            if self._memory is not None:
                group.create_task(_always(self._memory.run, "memory"))
            await self._inventory.settled.wait()
            if self._memory is not None:
                await self._rest_of_inventory()
            report_lists = Lists(REPORT_LISTS_AT_ONCE, streams=lists.streams)
            discover = functools.partial(self._discover, group, report_lists)
            group.create_task(_always(discover, "discovery"))

    async def resend(self, kind: str, keys: Iterable[Key]) -> None:
        """Send entries that the aggregator asked for, changed or not."""
        if kind in (WORKLOADS, NAMESPACES, NODES):
            await self._workloads.resend(kind, keys)
        else:
            await self._rereads.resend(kind, keys)

    async def _rest_of_inventory(self) -> None:
        """Wait for the whole of it, a while: a report whose owner comes later is read for that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INVENTORY_SECONDS):
                await self._workloads.flushed.wait()

    async def _run_workloads(self) -> None:
        await self._workloads.run(self._rereads.touched)

    async def _discover(self, group: asyncio.TaskGroup, lists: Lists) -> None:
        """Watch what is served, and only that."""
        discoverer = Discoverer(self._api, {kind.group for kind, _ in registry.kinds().values()})
        backoff = Backoff()
        while True:
            try:
                discovery = await discoverer.poll()
            except ApiError as exc:
                log.info("discovery: %s", exc)
                await self._undiscovered(str(exc))
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            for key in registry.kinds():
                await self._follow(key, discovery, group, lists)
            self._missing.clear()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._missing.wait()
                await asyncio.sleep(backoff.next())  # the CRD may be about to go
            except TimeoutError:
                pass

    async def _undiscovered(self, message: str) -> None:
        """Show why nothing is known of the kinds that nothing is known of."""
        for name in map(_name, registry.kinds()):
            if name not in self._tasks and self._state.kind(name).state == KindState.LISTING:
                self._state.kind(name).message = message

    async def _follow(
        self,
        key: tuple[str, str],
        discovery: Discovery,
        group: asyncio.TaskGroup,
        lists: Lists,
    ) -> None:
        """Start, stop or move the reflector of one report kind."""
        kind, source = registry.kinds()[key]
        name = _name(key)
        version = discovery.choose(kind)
        if version is None and kind.group in discovery.uncertain:
            return
        before = self._rereads.watched.get(name)
        if version is None:
            await self._stop(name)
            unknown = discovery.unknown(kind)
            if unknown:
                # It is there, and we cannot tell what of it is gone: keep what is known.
                message = f"served as {', '.join(sorted(unknown))}, which this agent does not read"
                await self._writer.settle(name, KindState.ERROR, message)
            elif self._state.kind(name).state != KindState.ABSENT:
                await self._reports.let_go(name, "not served by this cluster")
            return
        if before is not None and before.resource.version == version and name in self._tasks:
            return
        await self._stop(name)
        if self._state.kind(name).state == KindState.ABSENT:
            await self._writer.settle(name, KindState.LISTING, "")
        resource = Resource(kind.group, version, kind.plural)
        watched = Watched(name, kind, source, resource, maker(kind, source, version))
        self._rereads.watched[name] = watched
        sink = ReportSink(watched, self._reports, self._missing)
        recollection = self._recollection(watched)
        reflector = Reflector(self._api, resource, sink, lists=lists, recollection=recollection)
        self._tasks[name] = group.create_task(_always(reflector.run, name))
        log.info("watching %s in %s", name, version)

    def _recollection(self, watched: Watched) -> "Recollection | None":
        if self._memory is None:
            return None
        from agent.recollection import Recollection

        return Recollection(watched, self._reports, self._memory)

    async def _stop(self, name: str) -> None:
        self._rereads.watched.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            log.info("no longer watching %s", name)


async def watch(api: Api, state: State, outlet: Outlet) -> None:
    """Watch a cluster for ever, for those who never need `resend`."""
    await Watcher(api, state, outlet).run()


async def _always(run: Callable[[], Awaitable[object]], what: str) -> None:
    """Keep one part running whatever happens in it."""
    backoff = Backoff()
    while True:
        try:
            await run()
        except Exception:
            log.exception("%s: a fault of the agent; starting it again", what)
        await asyncio.sleep(backoff.next())


def _name(key: tuple[str, str]) -> str:
    return "/".join(key)
