"""What runs in the cluster and who owns it, from trimmed pods and workloads.

Answers the three questions that a report's context needs: who is the owner at the end of the
chain, which image runs in a container, and does a ReplicaSet run anything. Keeps a few hundred
bytes a pod. Whatever could change an answer is `touched`; `agent.workloads` takes what was touched
in one go, so that a burst of pod changes makes one change of a workload.

A workload is what nothing in the same namespace controls: a Deployment, a bare pod, a mirror pod,
or a controller of a kind that is not watched, known only from what it owns.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from agent import trim
from agent.state import Place
from agent.trim import WORKLOAD_GROUPS, Controller, Pod
from protocol.messages import Container, Image, KindState, Node, Object, Workload

CHAIN_LENGTH = 8  # owners of owners; longer ones are a circle
POOL_ITEMS = 4096  # latest values of which equal ones are kept as one; pods come by their owner

_SETTLED = (KindState.SYNCED, KindState.FORBIDDEN, KindState.ABSENT)


class Inventory:
    """Pods, what owns them, namespaces and nodes, by name."""

    def __init__(self) -> None:
        self.pods: dict[Object, Pod] = {}
        self.controllers: dict[Object, Controller] = {}
        self.namespaces: dict[Object, dict[str, str]] = {}
        self.nodes: dict[Object, Node] = {}
        self.states: dict[str, tuple[KindState, str]] = {}  # by kind, such as "ReplicaSet"
        self.touched: set[Object] = set()
        self.woken = asyncio.Event()  # something was touched
        self.settled = asyncio.Event()  # pods and ReplicaSets are listed, or cannot be
        self._knows_pods = False
        self._owned: dict[Object, tuple[Object, ...]] = {}  # tuples: most have one or two
        self._pool: dict[Any, Any] = {}

    # What reflectors write

    def put_pod(self, name: Object, pod: Pod) -> None:
        """Take a pod as it is now."""
        before = self.pods.get(name)
        if before == pod:
            return
        self._own(name, before.owner if before else None, pod.owner)
        self.pods[name] = Pod(
            self._shared(pod.owner),
            pod.active,
            self._shared(pod.service_account),
            self._shared(pod.labels),
            self._shared(pod.images),
        )
        self.touch(name, before.owner if before else None)

    def put_controller(self, name: Object, controller: Controller) -> None:
        """Take a workload, ReplicaSet or Job as it is now."""
        before = self.controllers.get(name)
        if before == controller:
            return
        self._own(name, before.owner if before else None, controller.owner)
        self.controllers[name] = controller
        self.touch(name, before.owner if before else None)

    def forget(self, name: Object) -> None:
        """Take note that an object is gone."""
        gone = self.pods.pop(name, None) or self.controllers.pop(name, None)
        if gone is not None:
            self._own(name, gone.owner, None)
            self.touch(name, gone.owner)
        elif self.namespaces.pop(name, None) is not None or self.nodes.pop(name, None) is not None:
            self.touch(name)

    def put_namespace(self, name: Object, labels: dict[str, str]) -> None:
        """Take a namespace as it is now."""
        if self.namespaces.get(name) != labels:
            self.namespaces[name] = labels
            self.touch(name)

    def put_node(self, name: Object, node: Node) -> None:
        """Take a node as it is now."""
        if self.nodes.get(name) != node:
            self.nodes[name] = node
            self.touch(name)

    def settle(self, kind: str, state: KindState, message: str) -> bool:
        """Take note of how a kind stands. Returns whether that is news."""
        if self.states.get(kind) == (state, message):
            return False
        self.states[kind] = (state, message)
        if kind == "Pod" and state == KindState.SYNCED and not self._knows_pods:
            self._knows_pods = True
            self.touch(*self.controllers)  # those without pods are known to run nothing
        if all(self.states.get(k, ("",))[0] in _SETTLED for k in ("Pod", "ReplicaSet")):
            self.settled.set()
        return True

    def touch(self, *names: Object | None) -> None:
        """Mark objects, all they belong to, and the ReplicaSets beside them."""
        for name in names:
            for link in self._chain(name) if name else ():
                self.touched.add(link)
                if link.kind == "ReplicaSet":
                    self.touched.update(self.siblings(link))
        self.woken.set()

    def take_touched(self) -> set[Object]:
        """Return what was touched since the last time."""
        taken, self.touched = self.touched, set()
        self.woken.clear()
        return taken

    # What reports ask

    def resolve(self, subject: Object) -> tuple[Object, bool]:
        """Return the owner at the end of the chain, and whether the subject is known to exist."""
        if subject not in self.controllers and subject not in self.pods:
            seen = subject in self.namespaces or subject in self.nodes or subject in self._owned
            return subject, seen
        *_, last = self._chain(subject)
        return last, True

    def running(self, subject: Object, container: str) -> dict[Image, int]:
        """Count the pods that run each image in a container of a subject.

        Where no pod runs any more, those that have ended speak.
        """
        active: dict[Image, int] = {}
        ended: dict[Image, int] = {}
        for pod in self._pods_of(subject):
            counts = active if pod.active else ended
            for name, image in pod.images:
                if name == container:
                    counts[image] = counts.get(image, 0) + 1
        return active or ended

    def runs_nothing(self, replica_set: Object) -> bool:
        """Whether it is known that a ReplicaSet has no pods."""
        return (
            self._knows_pods
            and replica_set in self.controllers
            and not any(pod.active for pod in self._pods_of(replica_set))
        )

    def newer_siblings(self, replica_set: Object) -> Iterator[Object]:
        """Yield the ReplicaSets of the same owner that came after this one."""
        known = self.controllers.get(replica_set)
        if known is None:
            return
        for sibling in self.siblings(replica_set):
            other = self.controllers.get(sibling)
            if other is not None and other.age > known.age:
                yield sibling

    def siblings(self, replica_set: Object) -> Iterable[Object]:
        """Return the other ReplicaSets of the same owner."""
        known = self.controllers.get(replica_set)
        if known is None or known.owner is None:
            return ()
        return [
            other
            for other in self._owned.get(known.owner, ())
            if other.kind == "ReplicaSet" and other != replica_set
        ]

    # What is sent

    def workload(self, name: Object) -> Workload | None:
        """Describe a workload; None where there is none of this name."""
        if not self._is_workload(name):
            return None
        active = [pod for pod in self._pods_of(name) if pod.active]
        counts: dict[tuple[str, Image], int] = {}
        for pod in active:
            for image in pod.images:
                counts[image] = counts.get(image, 0) + 1
        known: Controller | Pod | None = self.controllers.get(name) or self.pods.get(name)
        accounts = sorted({pod.service_account for pod in active})
        return Workload(
            dict(known.labels if known else self._labels_below(name)),
            (known.service_account if known else "") or next(iter(accounts), ""),
            len(active),
            tuple(
                Container(container, image, pods)
                for (container, image), pods in sorted(counts.items(), key=_container_order)
            ),
        )

    def _is_workload(self, name: Object) -> bool:
        known: Controller | Pod | None = self.controllers.get(name) or self.pods.get(name)
        if known is not None:
            return known.owner is None
        return name in self._owned

    def _labels_below(self, name: Object) -> trim.Labels:
        """Return the labels that all that it owns have in common: its own are not known."""
        below = [
            set(known.labels)
            for owned in self._owned.get(name, ())
            if (known := self.controllers.get(owned) or self.pods.get(owned)) is not None
        ]
        return tuple(sorted(set.intersection(*below))) if below else ()

    def _pods_of(self, name: Object, *, depth: int = 0) -> Iterator[Pod]:
        pod = self.pods.get(name)
        if pod is not None:
            yield pod
        if depth < CHAIN_LENGTH:
            for owned in self._owned.get(name, ()):
                yield from self._pods_of(owned, depth=depth + 1)

    def _chain(self, name: Object) -> Iterator[Object]:
        """Yield an object, its controller, and so on."""
        for _ in range(CHAIN_LENGTH):
            yield name
            known: Controller | Pod | None = self.controllers.get(name) or self.pods.get(name)
            if known is None or known.owner is None:
                return
            name = known.owner

    def _own(self, name: Object, before: Object | None, after: Object | None) -> None:
        if before == after:
            return
        if before is not None:
            rest = tuple(one for one in self._owned[before] if one != name)
            if rest:
                self._owned[before] = rest
            else:
                del self._owned[before]
        if after is not None:
            self._owned[self._shared(after)] = (*self._owned.get(after, ()), name)

    def _shared(self, value: Any) -> Any:
        if len(self._pool) > POOL_ITEMS:
            self._pool.clear()
        return self._pool.setdefault(value, value)


def canonical(subject: Object) -> Object:
    """Give a workload kind its API group where a report leaves it out."""
    if subject.group or not WORKLOAD_GROUPS.get(subject.kind):
        return subject
    return Object(WORKLOAD_GROUPS[subject.kind], subject.kind, subject.namespace, subject.name)


def object_at(group: str, kind: str, place: Place) -> Object:
    """Name the object at a place."""
    return Object(group, kind, *place)


def _container_order(counted: tuple[tuple[str, Image], int]) -> tuple[str, ...]:
    (name, image), _ = counted
    return (name, image.registry, image.repository, image.tag, image.digest)
