"""Watches what the inventory is made of, and sends workloads, namespaces and nodes as they change.

The kinds watched are `WATCHED`. The three kinds that are sent get their state from them: workloads
are SYNCED only when everything that they are computed from is, or is known to be absent.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable

from msgspec import MsgspecError, Raw, Struct

from agent import trim
from agent.entries import Writer
from agent.inventory import Inventory, object_at
from agent.resource import Resource
from agent.state import Place
from protocol.messages import (
    NAMESPACES,
    NODES,
    WORKLOADS,
    Body,
    Key,
    KindState,
    Namespace,
    Object,
)

COALESCE_SECONDS = 0.25  # changes within it become one; far below the 3 s in which changes show

log = logging.getLogger(__name__)


class Watched(Struct, frozen=True):
    """A kind that the inventory is made of."""

    kind: str
    resource: Resource


WATCHED = (
    Watched("Pod", Resource("", "v1", "pods")),
    Watched("ReplicaSet", Resource("apps", "v1", "replicasets", metadata_only=True)),
    Watched("Job", Resource("batch", "v1", "jobs", metadata_only=True)),
    Watched("Deployment", Resource("apps", "v1", "deployments")),
    Watched("StatefulSet", Resource("apps", "v1", "statefulsets")),
    Watched("DaemonSet", Resource("apps", "v1", "daemonsets")),
    Watched("CronJob", Resource("batch", "v1", "cronjobs")),
    Watched("ReplicationController", Resource("", "v1", "replicationcontrollers")),
    Watched("Namespace", Resource("", "v1", "namespaces", metadata_only=True)),
    Watched("Node", Resource("", "v1", "nodes")),
)

SENT = {"Namespace": NAMESPACES, "Node": NODES}  # everything else is part of workloads

# The worst of what a sent kind is computed from is its own state, in this order.
_WORST = (KindState.LISTING, KindState.ERROR, KindState.FORBIDDEN, KindState.SYNCED)

Touched = Callable[[set[Object]], Awaitable[None]]


class WatchedSink:
    """Takes one watched kind into the inventory."""

    def __init__(self, watched: Watched, workloads: "Workloads") -> None:
        self._kind = watched.kind
        self._group = watched.resource.group
        self._workloads = workloads
        self._inventory = workloads.inventory

    def known(self) -> Iterable[Place]:
        """All of this kind that the inventory has."""
        inventory = self._inventory
        by_kind: dict[str, Iterable[Object]] = {
            "Pod": inventory.pods,
            "Namespace": inventory.namespaces,
            "Node": inventory.nodes,
        }
        held = by_kind.get(self._kind, inventory.controllers)
        return [
            (name.namespace, name.name)
            for name in held
            if name.kind == self._kind and name.group == self._group
        ]

    async def put(self, place: Place, raw: bytes | Raw) -> None:
        """Trim an object and keep what is left."""
        name = object_at(self._group, self._kind, place)
        try:
            if self._kind == "Pod":
                self._inventory.put_pod(name, trim.pod(raw))
            elif self._kind == "Namespace":
                self._inventory.put_namespace(name, trim.namespace_labels(raw))
            elif self._kind == "Node":
                self._inventory.put_node(name, trim.node(raw))
            else:
                self._inventory.put_controller(name, trim.controller(raw))
        except (MsgspecError, RecursionError) as exc:
            await self.unreadable(place, str(exc), 0)

    async def unreadable(self, place: Place, reason: str, size: int) -> None:
        """Keep what was known of it: the inventory has no failed entries."""
        log.warning("%s %s/%s (%d bytes) is not readable: %s", self._kind, *place, size, reason)

    async def gone(self, place: Place) -> None:
        """Forget an object."""
        self._inventory.forget(object_at(self._group, self._kind, place))

    async def settled(self, state: KindState, message: str) -> None:
        """Take note of how the kind stands."""
        if self._inventory.settle(self._kind, state, message):
            self._inventory.woken.set()


class Workloads:
    """Sends what the inventory holds, and tells `touched` what may concern reports."""

    def __init__(self, inventory: Inventory, writer: Writer) -> None:
        self.inventory = inventory
        self.flushed = asyncio.Event()  # all that the first lists brought was sent
        self._writer = writer

    async def run(self, touched: Touched) -> None:
        """Send changes for ever, a quarter of a second's at a time."""
        while True:
            await self.inventory.woken.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            await self.flush(touched)

    async def flush(self, touched: Touched) -> None:
        """Send what was touched, once nothing is being listed for the first time."""
        if not self._listed():
            self.inventory.woken.clear()  # the end of a list wakes again
            return
        names = self.inventory.take_touched()
        for name in names:
            await self._send(name)
        for kind in (WORKLOADS, NAMESPACES, NODES):
            await self._settle(kind)
        await touched(names)
        self.flushed.set()

    async def resend(self, kind: str, keys: Iterable[Key]) -> None:
        """Send entries again, changed or not."""
        for key in keys:
            if kind == WORKLOADS:
                group, _, of = key.sub.rpartition("/")
                name = Object(group, of, key.namespace, key.name)
            else:
                name = Object("", kind.rpartition("/")[2], key.namespace, key.name)
            body = self._body(name)
            if body is not None:
                await self._writer.send(kind, key, body)

    def _listed(self) -> bool:
        """Whether every watched kind has had an outcome."""
        return all(watched.kind in self.inventory.states for watched in WATCHED)

    def _body(self, name: Object) -> Body | None:
        if name.kind in SENT and name.group == "":
            labels = self.inventory.namespaces.get(name)
            return self.inventory.nodes.get(name) if labels is None else Namespace(labels)
        return self.inventory.workload(name)

    async def _send(self, name: Object) -> None:
        body = self._body(name)
        if name.kind in SENT and name.group == "":
            await self._writer.put_one(SENT[name.kind], (name.namespace, name.name), "", body)
        else:
            place, sub = (name.namespace, name.name), sys.intern(f"{name.group}/{name.kind}")
            await self._writer.put_one(WORKLOADS, place, sub, body)

    async def _settle(self, kind: str) -> None:
        """Give a sent kind the worst state of what it is computed from."""
        states: dict[KindState, str] = {}
        for watched in WATCHED:
            if SENT.get(watched.kind, WORKLOADS) == kind:
                state, message = self.inventory.states[watched.kind]
                states.setdefault(state, message)
        worst = next((state for state in _WORST if state in states), KindState.ABSENT)
        await self._writer.settle(kind, worst, states.get(worst, ""))
