"""Objects are not held, so what else has to be said about one takes reading it again.

Two occasions: the inventory says something new about subjects (`touched`), or the aggregator lacks
entries (`resend`). A read takes place while nobody else writes the object's entries, so what it
brings is at least as new as all that the watch has brought before, and what the watch brings later
comes later.
"""

import asyncio
import logging
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from agent.kubernetes import ApiError, NotFoundError, TooLargeError
from agent.pages import MAX_OBJECT_BYTES
from agent.reports import Reports, Watched
from agent.resource import Source as Api
from agent.state import Place
from protocol.messages import Key, Object

READS_AT_ONCE = 4  # objects read at the same time
RETRY_SECONDS = 5.0  # until objects that could not be read are tried again
LIST_FROM = 200  # so many wanted objects of a kind are listed rather than read one by one
LIST_ITEMS = 25
LIST_BYTES = 8 * 2**20

log = logging.getLogger(__name__)

At = tuple[str, Place]  # a kind's name and an object of it


class _PageMetadata(Struct, frozen=True):
    proceed: str | None = msgspec.field(default=None, name="continue")


class _Page(Struct, frozen=True):
    metadata: _PageMetadata
    items: list[Raw] | None = None


class _Metadata(Struct, frozen=True):
    name: str
    namespace: str | None = None


class _Head(Struct, frozen=True):
    metadata: _Metadata


class Rereads:
    """Reads objects of the kinds in `watched` again. The watcher keeps `watched` up to date."""

    def __init__(self, api: Api, reports: Reports) -> None:
        self.watched: dict[str, Watched] = {}
        self._api = api
        self._reports = reports
        self._stale: dict[At, set[str]] = {}  # with the sub-keys to send in any case
        self._woken = asyncio.Event()

    async def touched(self, subjects: set[Object]) -> None:
        """Take note that the inventory may say something else about these subjects."""
        for at in self._reports.subjects.changed(subjects):
            self._stale.setdefault(at, set())
        if self._stale:
            self._woken.set()

    async def run(self) -> None:
        """Read stale objects again, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            stale, self._stale = self._stale, {}
            if not await self._read({at: frozenset(subs) for at, subs in stale.items()}):
                await asyncio.sleep(RETRY_SECONDS)
                self._woken.set()

    async def resend(self, name: str, keys: Iterable[Key]) -> None:
        """Send these entries again, changed or not; what is gone meanwhile is passed over."""
        watched = self.watched.get(name)
        if watched is None:
            return
        known = self._reports.writer.state.kind(name).objects
        wanted: dict[Place, set[str]] = {}
        for key in keys:
            place = (key.namespace, key.name)
            if place in known:
                wanted.setdefault(place, set()).add(key.sub)
        if len(wanted) >= LIST_FROM:
            await self._list(watched, wanted)
        # What could not be read becomes stale, and `run` sends it later.
        if not await self._read({(name, place): frozenset(s) for place, s in wanted.items()}):
            await asyncio.sleep(RETRY_SECONDS)
            self._woken.set()

    async def _read(self, wanted: dict[At, frozenset[str]]) -> bool:
        """Read objects and send these sub-keys of them. Returns whether all could be read."""
        waiting = iter(wanted.items())

        async def read() -> None:
            for at, again in waiting:
                await self._read_one(at, again)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(READS_AT_ONCE, len(wanted))):
                group.create_task(read())
        return not self._stale.keys() & wanted.keys()

    async def _read_one(self, at: At, again: frozenset[str]) -> None:
        name, place = at
        watched = self.watched.get(name)
        if watched is None:
            return
        path = watched.resource.object_path(place)
        async with self._reports.alone(name, place):
            try:
                raw = await self._api.get(path, limit=MAX_OBJECT_BYTES)
            except NotFoundError:
                return  # its deletion comes with the watch
            except TooLargeError:
                why = f"larger than {MAX_OBJECT_BYTES} bytes"
                await self._reports.fail(name, place, why, 0, again=again)
                return
            except ApiError as exc:
                log.info("%s %s/%s: not read again: %s", name, *place, exc)
                self._stale.setdefault(at, set()).update(again)
                return
            await self._reports.put(watched, place, raw, again=again)

    async def _list(self, watched: Watched, wanted: dict[Place, set[str]]) -> None:
        """Send what a list shows to be as it is known, and take it out of `wanted`.

        Later pages of a list are as old as its first one, so nothing else is taken from them.
        """
        proceed = ""
        while True:
            query = {"limit": str(LIST_ITEMS)} | ({"continue": proceed} if proceed else {})
            try:
                body = await self._api.get(watched.resource.path, query=query, limit=LIST_BYTES)
                page = msgspec.json.decode(body, type=_Page)
                for raw in page.items or ():
                    head = msgspec.json.decode(raw, type=_Head).metadata
                    place = (head.namespace or "", head.name)
                    if place in wanted and await self._send(watched, place, raw, wanted[place]):
                        del wanted[place]
            except (ApiError, msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
                log.info("%s: reading one by one: %s", watched.name, exc)
                return
            proceed = page.metadata.proceed or ""
            if not proceed or not wanted:
                return

    async def _send(self, watched: Watched, place: Place, raw: Raw, subs: set[str]) -> bool:
        async with self._reports.alone(watched.name, place):
            written = self._reports.unchanged(watched, place, raw)
            for sub in sorted(subs & written.keys()):
                body, payload = written[sub]
                await self._reports.writer.send(
                    watched.name, Key(*place, sub), body, payload=payload
                )
        return bool(written)
