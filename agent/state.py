"""What the agent remembers of the cluster: fingerprints, never objects.

A few hundred bytes an object: its namespace and name, and for each entry that it splits into the
sub-key and the 64-bit fingerprint. Feeders (reports, inventory) write it, the session reads roots,
buckets and entries from it to compare with the aggregator.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from protocol.fingerprint import bucket
from protocol.messages import BUCKETS, Content, Item, Key, KindState, KindSummary

Place = tuple[str, str]  # namespace and name of an object
Entries = tuple[tuple[str, int], ...]  # (sub-key, fingerprint) of each entry, by sub-key


class Payload(Struct, frozen=True):
    """A content on its way: its name, how to read it, and its canonical bytes."""

    name: bytes
    kind: str
    format: int
    body: bytes


class Change(Struct, frozen=True):
    """An entry that is new or changed, with the content it points at, if any, perhaps packed."""

    kind: str
    item: Item
    content: Payload | Content | None = None


class Outlet(Protocol):
    """Where feeders put what has changed; the uplink is one. Each call may wait: backpressure."""

    async def changed(self, change: Change) -> None:
        """Take a new or changed entry; `State` already knows it."""

    async def deleted(self, kind: str, keys: tuple[Key, ...], observed_at: int) -> None:
        """Take entries that are gone; `State` no longer knows them."""

    async def state_changed(self, kind: str) -> None:
        """Take note that `State.kinds[kind].state` changed."""


class Kind:
    """One kind's entries with the XOR of their fingerprints."""

    def __init__(self) -> None:
        self.state = KindState.LISTING
        self.message = ""
        self.count = 0
        self.root = 0
        self.newest_report_at: int | None = None  # ms since 1970
        self.scanner = ""
        self.objects: dict[Place, Entries] = {}

    def put(self, place: Place, entries: Entries) -> tuple[list[str], list[str]]:
        """Replace an object's entries. Returns the sub-keys that changed and those that went."""
        before = dict(self.objects.get(place, ()))
        after = dict(entries)
        if after:
            self.objects[place] = tuple(sorted(after.items()))
        else:
            self.objects.pop(place, None)
        for fingerprint in (*before.values(), *after.values()):
            self.root ^= fingerprint
        self.count += len(after) - len(before)
        changed = [sub for sub, fingerprint in after.items() if before.get(sub) != fingerprint]
        return changed, [sub for sub in before if sub not in after]

    def clear(self) -> list[Key]:
        """Forget every object. Returns the keys of all entries."""
        keys = [key for key, _ in self.entries()]
        self.objects.clear()
        self.count = self.root = 0
        return keys

    def entries(self) -> Iterator[tuple[Key, int]]:
        """Every entry as (key, fingerprint)."""
        for (namespace, name), entries in self.objects.items():
            for sub, fingerprint in entries:
                yield Key(namespace, name, sub), fingerprint

    def in_buckets(self, buckets: Iterable[int]) -> Iterator[tuple[Key, int]]:
        """Yield the entries of some buckets."""
        wanted = frozenset(buckets)
        return (entry for entry in self.entries() if bucket(entry[0]) in wanted)

    def bucket_fingerprints(self) -> tuple[int, ...]:
        """XOR of the fingerprints in each of the 256 buckets."""
        fingerprints = [0] * BUCKETS
        for key, fingerprint in self.entries():
            fingerprints[bucket(key)] ^= fingerprint
        return tuple(fingerprints)


class State:
    """All kinds, by the name they have in the protocol: "group/Kind" or "inventory/Workload"."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}

    def kind(self, name: str) -> Kind:
        """Return the kind, known from now on."""
        return self.kinds.setdefault(name, Kind())

    def summary(self, names: Iterable[str] | None = None) -> tuple[KindSummary, ...]:
        """How each kind stands; `names` None is all of them."""
        chosen = self.kinds if names is None else names
        return tuple(
            KindSummary(name, kind.state, kind.count, kind.root, kind.message)
            for name in chosen
            if (kind := self.kinds.get(name)) is not None
        )
