"""Keeps a sink equal to what the API server holds of one resource: list, then watch, for ever.

Guarantees: each object that is there reaches the sink at least once per list and once per change,
in order, one at a time; the sink's wait is the server's wait (backpressure). Where objects are
remembered from before, a list brings those that are not as they were, a few at a time in any order
(`agent.metadata_list`). What a list does not contain is reported gone at its end, never before, so
a list that fails deletes nothing. Objects that are too large or not decodable are reported as such
and harm no neighbour. The sink hears of every change between SYNCED, FORBIDDEN, ABSENT and ERROR.

`step` makes one list or one watch and says how long to wait; `run` is the endless loop around it.

What the API was seen to do, and what follows:
- A streamed list ends with a bookmark marked as its end. Servers refuse the option (422), fail in
  the stream (500) or ignore it (silence without a mark): paged lists then, for all resources and
  for as long as the agent runs; after a stream that merely breaks off, for this resource.
- Too old a version: HTTP 410 on a list, HTTP 200 and an ERROR event with code 410 on a watch. The
  body of the former has a token for the rest at a newer version: the list goes on with it, and the
  watch starts at the version of the first page, which repeats what changed in between.
- A server never ends a watch because a right was taken away, and a dead connection may stay
  silent: watches are short.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from random import random
from typing import NoReturn

from msgspec import Raw

from agent import wire
from agent.backoff import Backoff
from agent.kubernetes import (
    ApiError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    until_silent,
)
from agent.metadata_list import FullListError, MetadataList
from agent.pages import MAX_OBJECT_BYTES, PAGE_ITEMS, Pages
from agent.resource import Recollection, Resource, Sink, Source
from agent.skim import Oversize, Skim, lines
from agent.state import Place
from protocol.messages import KindState

WATCH_SECONDS = 30.0  # a lost right is noticed so late; 35 watches then cost one request a second
WATCH_JITTER_SECONDS = 10.0  # added at random, so that watches do not end in step
SILENCE_SECONDS = 20.0  # beyond a watch's announced end: the connection is dead
LIST_SECONDS = 600.0  # the most of a streamed list, with what the sink makes it wait
INITIAL_SILENCE_SECONDS = 10.0  # in a streamed list: this server will never send the mark
DEAF_SECONDS = 600.0  # watches that brought no event and no bookmark for so long: list again
REFUSED_SECONDS = 15.0  # until a forbidden or absent resource is asked for again
SHORT_SECONDS = 1.0  # a watch that ends so soon without news counts as a failure
FAILURES_SHOWN = 2  # failures in a row before the resource counts as in error

INITIAL_EVENTS_END = "k8s.io/initial-events-end"

log = logging.getLogger(__name__)


class _NamelessError(ExpiredError):
    """Something stands where an object should be: only a new list can tell what is there."""


class _NotStreamedError(Exception):
    """This list was not streamed; `ever` tells a server that never does from one that stopped."""

    def __init__(self, message: str, *, ever: bool = False) -> None:
        super().__init__(message)
        self.ever = ever


class Lists:
    """What reflectors of one server share: how many list at a time, and whether it streams."""

    def __init__(self, at_once: int, *, streams: bool = True) -> None:
        self.turn = asyncio.Semaphore(at_once)
        self.streams = streams  # until the server shows otherwise


class Reflector:
    """One resource, reflected into one sink."""

    def __init__(
        self,
        api: Source,
        resource: Resource,
        sink: Sink,
        *,
        lists: Lists,
        recollection: Recollection | None = None,  # None remembers nothing: each list is a full one
        draw: Callable[[], float] = random,
    ) -> None:
        self.resource = resource
        self._api = api
        self._sink = sink
        self._recollection = recollection
        self._lists = lists
        self._draw = draw
        self._backoff = Backoff(draw=draw)
        self._version = ""  # to watch from; "" asks for a list
        self._streams = True  # until this resource shows otherwise
        self._synced = False
        self._heard_at = 0.0  # of the loop's clock: the last event or bookmark

    async def run(self) -> NoReturn:
        """Reflect for ever."""
        while True:
            wait = await self.step()
            await asyncio.sleep(wait)

    async def step(self) -> float:
        """List or watch once. Returns the seconds to wait before the next step."""
        try:
            if self._version:
                await self._watch()
            else:
                await self._list()
        except ApiError as exc:
            return await self._recover(exc)
        except Exception as exc:
            log.exception("%s: a fault of the agent", self.resource)
            self._version = ""  # what was being handled has to come again
            await self._settle(KindState.ERROR, f"a fault of the agent: {type(exc).__name__}")
            return self._backoff.next()
        return 0.0

    async def _recover(self, exc: ApiError) -> float:
        """Draw the conclusions from an error. Returns the seconds to wait."""
        if isinstance(exc, ExpiredError):
            log.info("%s: listing again: %s", self.resource, exc)
            self._version = ""
            first = not self._backoff.failures  # expiry is ordinary; only if it repeats, back off
            wait = self._backoff.next()
            return 0.0 if first else wait
        if isinstance(exc, ForbiddenError | NotFoundError):
            absent = isinstance(exc, NotFoundError)
            if absent:
                self._version = ""
            await self._settle(KindState.ABSENT if absent else KindState.FORBIDDEN, str(exc))
            return REFUSED_SECONDS * (1 + self._draw() / 10)
        wait = max(exc.retry_after or 0.0, self._backoff.next())
        await self._failed(exc)
        return wait

    async def _failed(self, exc: ApiError) -> None:
        log.info("%s: %s", self.resource, exc)
        if self._backoff.failures >= FAILURES_SHOWN:
            await self._settle(KindState.ERROR, str(exc))

    async def _settle(self, state: KindState, message: str) -> None:
        self._synced = state == KindState.SYNCED
        await self._sink.settled(state, message)

    # Lists

    async def _list(self) -> None:
        async with self._lists.turn:
            version, unseen = "", set(self._sink.known())
            if self._recollection is not None:
                metadata = MetadataList(self._api, self.resource, self._sink, self._recollection)
                try:
                    version = await metadata.bring(unseen)
                except FullListError as exc:
                    log.info("%s: a full list: %s", self.resource, exc)
            if not version and self._streams and self._lists.streams:
                try:
                    unseen = set(self._sink.known())
                    version = await self._list_streamed(unseen)
                except (_NotStreamedError, InvalidError) as exc:
                    log.info("%s: no streamed list: %s", self.resource, exc)
                    self._streams = False
                    if isinstance(exc, InvalidError) or exc.ever:
                        self._lists.streams = False
            if not version:
                unseen = set(self._sink.known())
                version = await self._list_pages(unseen)
            for place in unseen:
                await self._sink.gone(place)
            if self._recollection is not None:
                await self._recollection.end()
        self._version = version
        self._heard_at = asyncio.get_running_loop().time()
        await self._settle(KindState.SYNCED, "")

    async def _list_streamed(self, unseen: set[Place]) -> str:
        query = {
            "watch": "1",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": f"{LIST_SECONDS:.0f}",
        }
        accept = self.resource.accept("PartialObjectMetadata")
        clock = asyncio.get_running_loop().time
        heard_at = clock()
        async with self._api.stream(self.resource.path, query=query, accept=accept) as chunks:
            silence = until_silent(chunks, INITIAL_SILENCE_SECONDS)
            async for line in lines(silence, limit=MAX_OBJECT_BYTES, wanted=wire.IN_EVENT):
                event = self._decode(line)
                heard_at = clock()
                if isinstance(event, Skim):
                    unseen.discard(await self._skimmed(event, "object"))
                elif event.type == "BOOKMARK":
                    marks = wire.decode_bookmark(event.object).metadata.annotations or {}
                    if marks.get(INITIAL_EVENTS_END) == "true":
                        return wire.decode_head(event.object).metadata.resourceVersion
                elif event.type == "ERROR":
                    error = wire.decode_status(event.object).error(f"list {self.resource}")
                    if isinstance(error, UnavailableError | InvalidError):
                        raise _NotStreamedError(str(error), ever=True) from error
                    raise error
                else:
                    head = wire.head(event.object)
                    if isinstance(head, Skim):
                        unseen.discard(await self._skimmed(head, ""))
                    else:
                        unseen.discard(head.place)
                        await self._deliver(event.type, head.place, event.object)
        silent = clock() - heard_at >= INITIAL_SILENCE_SECONDS
        raise _NotStreamedError("the stream ended without the mark of its end", ever=silent)

    async def _list_pages(self, unseen: set[Place]) -> str:
        accept = self.resource.accept("PartialObjectMetadataList")
        pages = Pages(self._api, self.resource, accept=accept, items=PAGE_ITEMS)
        while (page := await pages.next()) is not None:
            if isinstance(page, Skim):
                with contextlib.suppress(_NamelessError):  # nothing can be said of it; go past it
                    unseen.discard(await self._skimmed(page, "items", "[]"))
                continue
            for raw in page.items or ():
                head = wire.head(raw)
                if isinstance(head, Skim):
                    unseen.discard(await self._skimmed(head, ""))
                    continue
                unseen.discard(head.place)
                await self._deliver("ADDED", head.place, raw)
            del page
        return pages.version

    # Watches

    async def _watch(self) -> None:
        """Watch once from the last version."""
        clock = asyncio.get_running_loop().time
        started = clock()
        seconds = WATCH_SECONDS + WATCH_JITTER_SECONDS * self._draw()
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": f"{seconds:.0f}",
        }
        accept = self.resource.accept("PartialObjectMetadata")
        heard = False
        async with self._api.stream(self.resource.path, query=query, accept=accept) as chunks:
            if not self._synced:
                await self._settle(KindState.SYNCED, "")
            alive = until_silent(chunks, seconds + SILENCE_SECONDS)
            async for line in lines(alive, limit=MAX_OBJECT_BYTES, wanted=wire.IN_EVENT):
                await self._event(line)
                self._heard_at = clock()
                heard = True
                self._backoff.reset()
        if not heard and clock() - started < SHORT_SECONDS:
            raise UnavailableError(f"watch {self.resource}: ended at once")
        self._backoff.reset()
        if clock() - self._heard_at > DEAF_SECONDS:
            raise ExpiredError(f"watch {self.resource}: nothing heard for {DEAF_SECONDS:.0f} s")

    async def _event(self, line: bytes | Oversize) -> None:
        event = self._decode(line)
        if isinstance(event, Skim):
            await self._skimmed(event, "object")
            return
        if event.type == "ERROR":
            raise wire.decode_status(event.object).error(f"watch {self.resource}")
        head = wire.head(event.object)
        if isinstance(head, Skim):
            await self._skimmed(head, "", deleted=event.type == "DELETED")
            return
        if event.type != "BOOKMARK":
            await self._deliver(event.type, head.place, event.object)
        self._version = head.metadata.resourceVersion or self._version

    def _decode(self, line: bytes | Oversize) -> wire.Event | Skim:
        if isinstance(line, Oversize):
            return line.skim
        try:
            return wire.decode_event(line)
        except wire.NOT_JSON:
            skim = Skim(wire.IN_EVENT)
            skim.feed(line)
            return skim

    # Objects

    async def _deliver(self, event: str, place: Place, raw: Raw) -> None:
        if event == "DELETED":
            await self._sink.gone(place)
        elif event in ("ADDED", "MODIFIED"):
            await self._sink.put(place, raw)
        else:
            log.info("%s: unknown event %r", self.resource, event)
        await asyncio.sleep(0)  # a full read buffer must not starve the other tasks

    async def _skimmed(self, skim: Skim, *at: str, deleted: bool = False) -> Place:
        """Report an object known by name only; `at` is where it stands in what was skimmed."""
        path = tuple(part for part in at if part)
        name = skim.text(*path, "metadata", "name")
        if not name:
            raise _NamelessError(f"{self.resource}: {skim.size} bytes that are not an object")
        place = (skim.text(*path, "metadata", "namespace"), name)
        if deleted or skim.text("type") == "DELETED":
            await self._sink.gone(place)
        else:
            reason = (
                f"larger than {MAX_OBJECT_BYTES} bytes"
                if skim.size > MAX_OBJECT_BYTES
                else "not decodable as JSON"
            )
            await self._sink.unreadable(place, reason, skim.size)
        if at[0] != "items":
            self._version = self._version and (
                skim.text(*path, "metadata", "resourceVersion") or self._version
            )
        return place
