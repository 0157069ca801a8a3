"""A list read page by page, each bounded in bytes.

A page that is too large, or holds what cannot be decoded, is asked for again with half the items,
until the culprit stands alone. A token that has expired goes on with the one that the server
offers instead: what follows is then newer than the first page, whose version is the list's.
"""

import asyncio

from agent import wire
from agent.kubernetes import ExpiredError, TooLargeError, UnavailableError, until_silent
from agent.resource import Resource, Source
from agent.skim import Skim

PAGE_ITEMS = 50  # pages of 500 raise the peak
PAGE_BYTES = 2**20  # a larger page is asked for again with half the items: 12 reports of 50 kB
SMALL_PAGE_BYTES = PAGE_BYTES // 4  # after a smaller one the next may have twice the items
MAX_OBJECT_BYTES = 8 * 2**20  # five times what etcd takes; larger objects become failed reports
PAGE_SILENCE_SECONDS = 20.0  # within a page of one item: the connection is dead


class Pages:
    """One list. `version` is the one to watch from, once the first page is there."""

    def __init__(self, api: Source, resource: Resource, *, accept: str, items: int) -> None:
        """`items` is the most of a page."""
        self.version = ""
        self._api = api
        self._resource = resource
        self._accept = accept
        self._most = self._items = items
        self._proceed: str | None = ""  # the token of the next page; None after the last

    async def next(self) -> wire.Page | Skim | None:
        """Read the next page; a `Skim` is one of a single item that cannot be decoded."""
        while self._proceed is not None:
            query = {"limit": str(self._items)}
            if self._proceed:
                query["continue"] = self._proceed
            try:
                page = await self._page(query)
            except ExpiredError as exc:
                if not exc.proceed or exc.proceed == self._proceed:
                    raise
                self._proceed = exc.proceed
            except TooLargeError:
                self._items = max(self._items // 2, 1)
            else:
                self._turn(page)
                return page
        return None

    def _turn(self, page: wire.Page | Skim) -> None:
        if isinstance(page, Skim):
            self._proceed = page.text("metadata", "continue") or None
            self.version = self.version or page.text("metadata", "resourceVersion")
            return
        self._proceed = page.metadata.proceed or None
        self.version = self.version or page.metadata.resourceVersion
        if page.size < SMALL_PAGE_BYTES:
            self._items = min(self._items * 2, self._most)

    async def _page(self, query: dict[str, str]) -> wire.Page | Skim:
        """Read a page. One of many items that is too large or broken is `TooLargeError`."""
        path, accept = self._resource.path, self._accept
        alone = query["limit"] == "1"
        if alone:
            body = await self._alone(query)
            if isinstance(body, Skim):
                return body
        else:
            body = await self._api.get(path, query=query, accept=accept, limit=PAGE_BYTES)
        try:
            page = wire.decode_page(body)
        except wire.NOT_JSON as exc:
            if not alone:
                raise TooLargeError(f"list {self._resource}: {exc}") from exc
            skim = Skim(wire.IN_PAGE)
            skim.feed(body)
            return self._complete(skim)
        page.size = len(body)
        return page

    async def _alone(self, query: dict[str, str]) -> bytes | Skim:
        """Read a page of one item, however large."""
        held, skim = bytearray(), None
        async with self._api.stream(
            self._resource.path, query=query, accept=self._accept
        ) as chunks:
            async for chunk in until_silent(chunks, PAGE_SILENCE_SECONDS):
                if skim is None and len(held) + len(chunk) > MAX_OBJECT_BYTES:
                    skim = Skim(wire.IN_PAGE)
                    skim.feed(bytes(held))
                    held.clear()
                if skim is not None:
                    skim.feed(chunk)
                    await asyncio.sleep(0)
                else:
                    held += chunk
        return bytes(held) if skim is None else self._complete(skim)

    def _complete(self, skim: Skim) -> Skim:
        """Refuse a page that was cut off: the list's own version stands after the items."""
        if not skim.text("metadata", "resourceVersion"):
            message = f"list {self._resource}: {skim.size} bytes that are not a list"
            raise UnavailableError(message)
        return skim
