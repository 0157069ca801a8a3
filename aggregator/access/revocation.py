"""Ending long connections whose credential no longer opens doors.

A request is checked when it comes; a WebSocket stays for days. Every open one is registered here
with its credential, and all of them are checked by one statement whenever access changes, and
every `CHECK_INTERVAL` for what lapses by the clock.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from aggregator.access.authentication import Authenticator
from aggregator.access.principal import Principal
from aggregator.store import credentials
from aggregator.store.pool import Pool, UnavailableError

log = logging.getLogger(__name__)

CHECK_INTERVAL = 30.0  # seconds; how late an expiry may end a connection


class Revocations:
    """The open connections by credential."""

    def __init__(self, pool: Pool, authenticator: Authenticator) -> None:
        self._pool = pool
        self._authenticator = authenticator
        self._open: dict[str, set[asyncio.Event]] = {}
        self._unchecked: set[str] = set()
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._authenticator.changed.append(self._changed)
        self._task = asyncio.create_task(self._watch(), name="revocations")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._authenticator.changed.remove(self._changed)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @contextmanager
    def watching(self, principal: Principal) -> Iterator[asyncio.Event]:
        """Yield an event that is set once the principal's credential is gone."""
        ended = asyncio.Event()
        self._open.setdefault(principal.credential_id, set()).add(ended)
        self._unchecked.add(principal.credential_id)  # it may have ended since it was looked up
        self._due.set()
        try:
            yield ended
        finally:
            events = self._open[principal.credential_id]
            events.discard(ended)
            if not events:
                del self._open[principal.credential_id]

    def _changed(self) -> None:
        self._unchecked.update(self._open)
        self._due.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(
                    CHECK_INTERVAL
                ):  # wait_for of 3.11 may lose a cancellation
                    await self._due.wait()
            except TimeoutError:
                self._unchecked.update(self._open)
            self._due.clear()
            unchecked, self._unchecked = self._unchecked, set()
            try:
                await self._check(unchecked & self._open.keys())
            except UnavailableError as error:
                log.warning("open connections could not be checked for revoked tokens: %s", error)

    async def _check(self, ids: set[str]) -> None:
        if not ids:
            return
        active = await credentials.active(self._pool, ids=sorted(ids))
        for credential_id in ids - active:
            for ended in self._open.get(credential_id, ()):
                ended.set()
