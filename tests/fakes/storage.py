"""One resource of the fake API server as etcd and the watch cache hold it.

Versions come from one counter for all stores, as etcd's revision does. A store keeps its changes
until it is compacted, and the snapshots that continue tokens point into until they expire.
"""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

Place = tuple[str, str]  # namespace and name
Body = bytes | Callable[[], bytes]  # encoded object, or what encodes it when it is asked for

_encode = msgspec.json.Encoder(order="sorted").encode


def encode(obj: Any) -> bytes:
    """Encode as the API server does: keys in order."""
    return _encode(obj)


class Revision:
    """The counter that all stores share."""

    def __init__(self, at: int = 1000) -> None:
        self.now = at

    def next(self) -> int:
        self.now += 1
        return self.now


@dataclass(frozen=True, slots=True)
class Stored:
    """An object at a revision."""

    revision: int
    place: Place
    body: Body

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body()


@dataclass(frozen=True, slots=True)
class Changed:
    """One event of a store's history."""

    type: str
    object: Stored


class GoneError(Exception):
    """A continue token or version that is too old; `proceed` goes on at a newer one."""

    def __init__(self, proceed: str = "") -> None:
        super().__init__("too old resource version")
        self.proceed = proceed


@dataclass
class Page:
    """A piece of a list."""

    items: list[Stored]
    revision: int
    proceed: str
    remaining: int


@dataclass
class Store:
    """The objects of one resource, their history, and whoever waits for more of it."""

    revision: Revision
    objects: dict[Place, Stored] = field(default_factory=dict)
    history: list[Changed] = field(default_factory=list)
    compacted: int = 0  # changes up to this revision are forgotten
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    subscribers: list[list[Changed]] = field(default_factory=list)  # each watch's own queue
    _snapshots: dict[int, list[Stored]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.compacted = self.revision.now

    def put(self, place: Place, make: Callable[[int], Body]) -> Stored:
        """Write an object; `make` gets its revision."""
        kind = "MODIFIED" if place in self.objects else "ADDED"
        revision = self.revision.next()
        stored = Stored(revision, place, make(revision))
        self.objects[place] = stored
        self._record(Changed(kind, stored))
        return stored

    def delete(self, place: Place) -> bool:
        """Remove an object. Its last state goes into the event with the deletion's revision."""
        stored = self.objects.pop(place, None)
        if stored is None:
            return False
        revision = self.revision.next()
        self._record(Changed("DELETED", Stored(revision, place, _restamped(stored, revision))))
        return True

    def compact(self) -> None:
        """Forget history and snapshots: versions and tokens handed out so far have expired."""
        self.history.clear()
        self._snapshots.clear()
        self.compacted = self.revision.now

    def expire_tokens(self) -> None:
        """Forget snapshots only."""
        self._snapshots.clear()

    def page(self, *, limit: int, proceed: str, namespace: str | None) -> Page:
        """Read a page; raises GoneError for an expired token."""
        start: Place = ("", "")
        if proceed:
            revision, start = _read_token(proceed)
            if revision < 0:  # the inconsistent rest of an expired list
                return self._cut(self._snapshot(), self.revision.now, start, limit, namespace)
            if revision not in self._snapshots:
                raise GoneError(_make_token(-1, start))
            return self._cut(self._snapshots[revision], revision, start, limit, namespace)
        return self._cut(self._snapshot(), self.revision.now, start, limit, namespace)

    def since(self, revision: int) -> list[Changed]:
        """Changes after a revision; raises GoneError for one that is compacted."""
        if revision < self.compacted:
            raise GoneError
        low, high = 0, len(self.history)
        while low < high:
            middle = (low + high) // 2
            if self.history[middle].object.revision <= revision:
                low = middle + 1
            else:
                high = middle
        return self.history[low:]

    def _snapshot(self) -> list[Stored]:
        return [self.objects[place] for place in sorted(self.objects)]

    def _cut(
        self,
        snapshot: list[Stored],
        revision: int,
        start: Place,
        limit: int,
        namespace: str | None,
    ) -> Page:
        rest = [
            stored
            for stored in snapshot
            if stored.place > start and namespace in (None, stored.place[0])
        ]
        if not limit or len(rest) <= limit:
            return Page(rest, revision, "", 0)
        self._snapshots[revision] = snapshot
        items = rest[:limit]
        return Page(items, revision, _make_token(revision, items[-1].place), len(rest) - limit)

    def _record(self, change: Changed) -> None:
        self.history.append(change)
        for queue in self.subscribers:
            queue.append(change)
        self.wake()

    def wake(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


def _restamped(stored: Stored, revision: int) -> Body:
    try:
        obj = msgspec.json.decode(stored.encoded())
    except msgspec.DecodeError:
        return stored.body
    obj["metadata"]["resourceVersion"] = str(revision)
    return encode(obj)


def _make_token(revision: int, start: Place) -> str:
    return base64.urlsafe_b64encode(encode([revision, *start])).decode()


def _read_token(token: str) -> tuple[int, Place]:
    revision, namespace, name = msgspec.json.decode(base64.urlsafe_b64decode(token))
    return revision, (namespace, name)
