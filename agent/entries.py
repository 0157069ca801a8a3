"""Writes entries where they belong: into the state first, then to the outlet, only if changed.

The one place where a fingerprint is made and where observed-at is stamped.
"""

import time
from collections.abc import Iterable, Mapping

from agent.state import Change, Entries, Outlet, Payload, Place, State
from protocol.fingerprint import fingerprint
from protocol.messages import Body, Item, Key, KindState

DELETE_KEYS = 500  # of one call of the outlet

Written = dict[str, tuple[Body, Payload | None]]  # sub-key → what stands there


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Writer:
    """State and outlet, always in that order."""

    def __init__(self, state: State, outlet: Outlet) -> None:
        self.state = state
        self._outlet = outlet

    async def put(
        self, kind: str, place: Place, written: Written, *, again: frozenset[str] = frozenset()
    ) -> None:
        """Replace all entries of an object; those of `again` are sent even if unchanged."""
        known = self.state.kind(kind)
        before = dict(known.objects.get(place, ()))
        marks = {
            sub: fingerprint(kind, Key(*place, sub), body) for sub, (body, _) in written.items()
        }
        changed, went = known.put(place, tuple(marks.items()))
        pending = dict.fromkeys((*changed, *(again & marks.keys()), *went))
        observed_at = now()
        try:
            for sub in [sub for sub in pending if sub in marks]:
                body, payload = written[sub]
                item = Item(Key(*place, sub), marks[sub], observed_at, body)
                await self._outlet.changed(Change(kind, item, payload))
                del pending[sub]
            if went:
                await self._deleted(kind, [Key(*place, sub) for sub in went], observed_at)
        except BaseException:
            # What was not handed over is as it was before: the next list brings it again.
            kept = {sub: mark for sub, mark in marks.items() if sub not in pending}
            kept |= {sub: mark for sub, mark in before.items() if sub in pending}
            known.put(place, tuple(kept.items()))
            raise

    def restore(self, kind: str, place: Place, bodies: Mapping[str, Body]) -> None:
        """Replace all entries of an object and send nothing: a kind is compared once it is listed."""
        marks = {sub: fingerprint(kind, Key(*place, sub), body) for sub, body in bodies.items()}
        self.state.kind(kind).put(place, tuple(marks.items()))

    async def put_one(self, kind: str, place: Place, sub: str, body: Body | None) -> None:
        """Replace one entry and leave others of the same place alone; None takes it away."""
        entries: Entries = self.state.kind(kind).objects.get(place, ())
        others = tuple(entry for entry in entries if entry[0] != sub)
        key = Key(*place, sub)
        if body is None:
            _, went = self.state.kind(kind).put(place, others)
            if went:
                await self._deleted(kind, [key], now())
            return
        mark = fingerprint(kind, key, body)
        changed, _ = self.state.kind(kind).put(place, (*others, (sub, mark)))
        if changed:
            await self._outlet.changed(Change(kind, Item(key, mark, now(), body)))

    async def send(
        self, kind: str, key: Key, body: Body, *, payload: Payload | None = None
    ) -> None:
        """Send an entry that is as the state has it, though it has not changed."""
        place = (key.namespace, key.name)
        mark = fingerprint(kind, key, body)
        if (key.sub, mark) in self.state.kind(kind).objects.get(place, ()):
            await self._outlet.changed(Change(kind, Item(key, mark, now(), body), payload))

    def knows(self, kind: str, place: Place, written: Written) -> bool:
        """Whether the state has exactly these entries of an object."""
        marks = {
            sub: fingerprint(kind, Key(*place, sub), body) for sub, (body, _) in written.items()
        }
        return tuple(sorted(marks.items())) == self.state.kind(kind).objects.get(place, ())

    async def settle(self, kind: str, state: KindState, message: str) -> None:
        """Set a kind's state and tell, if it is another one."""
        known = self.state.kind(kind)
        if (known.state, known.message) != (state, message):
            known.state, known.message = state, message
            await self._outlet.state_changed(kind)

    async def clear(self, kind: str) -> None:
        """Delete all that is known of a kind."""
        await self._deleted(kind, self.state.kind(kind).clear(), now())

    async def _deleted(self, kind: str, keys: Iterable[Key], observed_at: int) -> None:
        ordered = list(keys)
        for start in range(0, len(ordered), DELETE_KEYS):
            batch = tuple(ordered[start : start + DELETE_KEYS])
            await self._outlet.deleted(kind, batch, observed_at)
