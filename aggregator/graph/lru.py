"""A cache of bounded size that forgets what was used longest ago."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SHARE = 8  # of the weight: what weighs more than this part is not kept, as it would evict too much


class Lru(Generic[K, V]):
    """At most `size` entries of `weight` in all; a flood of new keys evicts instead of filling memory."""

    def __init__(self, size: int, weight: int) -> None:
        self._size = size
        self._weight = weight
        self._held = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the entry, making it the newest."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Add an entry, evicting the oldest when full."""
        if weight * SHARE > self._weight:
            return
        self._held += weight - self._entries.pop(key, (value, 0))[1]
        self._entries[key] = (value, weight)
        while len(self._entries) > self._size or self._held > self._weight:
            _, (_, gone) = self._entries.popitem(last=False)
            self._held -= gone

    def __len__(self) -> int:
        return len(self._entries)
