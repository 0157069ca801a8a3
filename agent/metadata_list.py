"""A list of metadata alone, of which only what is not as it was remembered is read in full.

Ten thousand reports of 50 kB are 500 MB to list and twenty seconds of CPU to split; their metadata
are a few per cent of that. Where most have changed, reading them one by one takes longer than a full list
(and costs the API server a request each): then, or where the server does not list metadata, the
caller makes a full one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from agent import wire
from agent.kubernetes import (
    ApiError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
)
from agent.pages import MAX_OBJECT_BYTES, Pages
from agent.resource import Recollection, Resource, Sink, Source
from agent.skim import Skim
from agent.state import Place

METADATA_ITEMS = 250  # of a page: a quarter to half a megabyte
FULL_LIST_SHARE = 0.5  # of the objects; where more have changed, a full list is cheaper
READS_AT_ONCE = 4  # objects read at the same time

log = logging.getLogger(__name__)


class FullListError(Exception):
    """A full list is needed; says why."""


class MetadataList:
    """Lists of one resource's metadata, for a sink and what is remembered of it."""

    def __init__(
        self, api: Source, resource: Resource, sink: Sink, recollection: Recollection
    ) -> None:
        self._api = api
        self._resource = resource
        self._sink = sink
        self._recollection = recollection

    async def bring(self, unseen: set[Place]) -> str:
        """List once, and take what is there out of `unseen`. Returns the version to watch from.

        Raises `FullListError`, when some may be taken back already, and `ApiError`.
        """
        if not await self._recollection.holds():
            raise FullListError("nothing is remembered")
        try:
            version, changed = await self._compare(unseen)
        except InvalidError as exc:
            raise FullListError(f"no list of metadata: {exc}") from exc
        try:
            await self._read(changed)
        except ForbiddenError as exc:
            raise FullListError(f"no single objects: {exc}") from exc
        log.info("%s: %d objects read, the others remembered", self._resource, len(changed))
        return version

    async def _compare(self, unseen: set[Place]) -> tuple[str, list[Place]]:
        """Return the list's version, and the objects that are not as they are remembered."""
        accept = self._resource.metadata("PartialObjectMetadataList")
        pages = Pages(self._api, self._resource, accept=accept, items=METADATA_ITEMS)
        changed: list[Place] = []
        listed = 0
        while (page := await pages.next()) is not None:
            if isinstance(page, Skim):
                raise FullListError(f"{page.size} bytes that are not metadata")
            identities = _identities(page)
            changed += await self._recollection.recall(identities)
            unseen.difference_update(one.place for one in identities)
            listed += len(identities)
            rest = 0 if not page.metadata.proceed else page.metadata.remainingItemCount
            if rest is not None and len(changed) > (listed + rest) * FULL_LIST_SHARE:
                raise FullListError(f"{len(changed)} of {listed} objects have changed")
            del page
        return pages.version, changed

    async def _read(self, changed: list[Place]) -> None:
        """Read objects a few at a time, until the first error."""
        waiting = iter(changed)
        errors: list[ApiError] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(min(READS_AT_ONCE, len(changed))):
                group.create_task(self._read_some(waiting, errors))
        if errors:
            raise errors[0]

    async def _read_some(self, waiting: Iterator[Place], errors: list[ApiError]) -> None:
        for place in waiting:
            if errors:
                return
            try:
                await self._read_one(place)
            except ApiError as exc:
                errors.append(exc)

    async def _read_one(self, place: Place) -> None:
        """Read an object. One that is gone meanwhile goes with the watch."""
        with contextlib.suppress(NotFoundError):
            try:
                path = self._resource.object_path(place)
                raw = await self._api.get(path, limit=MAX_OBJECT_BYTES)
            except TooLargeError:
                reason = f"larger than {MAX_OBJECT_BYTES} bytes"
                await self._sink.unreadable(place, reason, 0)
                return
            try:
                wire.decode_head(raw)
            except wire.NOT_JSON:
                await self._sink.unreadable(place, "not decodable as JSON", len(raw))
                return
            await self._sink.put(place, raw)


def _identities(page: wire.Page) -> list[wire.Identity]:
    try:
        return [wire.decode_identified(raw).metadata for raw in page.items or ()]
    except wire.NOT_JSON as exc:
        raise FullListError(f"metadata that cannot be decoded: {exc}") from exc
