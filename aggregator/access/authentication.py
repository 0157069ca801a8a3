"""From a bearer token to a Principal, without a statement a request and without stale answers.

Answers are cached for `TTL` and dropped by every replica the moment a change of credentials or
clusters commits (`store.credentials.listen`). While the listening connection is lost nothing is
cached. An answer read while a change came in is used once and not kept.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Self

from msgspec import Struct

from aggregator.access.principal import Principal, Role, Scope
from aggregator.access.token import digest, is_well_formed
from aggregator.metrics import ACCESS_LOOKUPS
from aggregator.store import credentials
from aggregator.store.pool import Pool

log = logging.getLogger(__name__)

TTL = 10.0  # seconds; bounds what a partition that hides a lost connection can cost
CACHE_SIZE = 10_000  # tokens
RETRY_MIN = 0.5  # seconds until listening is tried again, doubled up to RETRY_MAX
RETRY_MAX = 10.0


class DeniedError(Exception):
    """The caller may not; `status` is 401 (who are you?) or 403 (you may not)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def code(self) -> str:
        """The code of the error in a GraphQL answer."""
        return "UNAUTHENTICATED" if self.status == 401 else "FORBIDDEN"  # noqa: PLR2004 - HTTP's


class _Entry(Struct, frozen=True):
    principal: Principal
    until: float  # of the clock


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of an Authorization header."""
    header = headers.get("authorization")
    if header is None:
        raise DeniedError(401, "A token is needed: send the header `Authorization: Bearer fw_…`.")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not is_well_formed(token):
        raise DeniedError(401, "The Authorization header does not hold a token of fleetwatch.")
    return token


def accept(credential: credentials.Credential | None) -> Principal:
    """Make a principal of a credential that is valid now."""
    if credential is None:
        raise DeniedError(401, "This token is not known here.")
    if credential.revoked:
        raise DeniedError(401, f"The token {credential.name!r} is revoked.")
    if credential.expires_in is not None and credential.expires_in <= 0:
        raise DeniedError(401, f"The token {credential.name!r} has expired.")
    return Principal(
        credential_id=credential.id,
        name=credential.name,
        role=Role(credential.role),
        scope=Scope(credential.clusters, credential.namespaces, credential.hidden),
        cluster_id=credential.cluster_id,
    )


class Authenticator:
    """The cache in front of table credential. `changed` callbacks hear of every change of access."""

    def __init__(self, pool: Pool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._generation = 0
        self._listening = False
        self._task: asyncio.Task[None] | None = None
        self.changed: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="access changes")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._lost()

    @property
    def listening(self) -> bool:
        """Whether changes are heard of, and answers therefore cached."""
        return self._listening

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Return who sends these headers, or raise DeniedError."""
        name = digest(bearer(headers))
        entry = self._entries.get(name)
        if entry is not None and entry.until > self._clock():
            ACCESS_LOOKUPS.labels("cache").inc()
            return entry.principal
        ACCESS_LOOKUPS.labels("database").inc()
        return await self._look_up(name)

    async def _look_up(self, name: bytes) -> Principal:
        generation = self._generation
        asked_at = self._clock()
        credential = await credentials.find(self._pool, token_hash=name)
        principal = accept(credential)
        if credential is not None and self._listening and generation == self._generation:
            lifetime = min(TTL, TTL if credential.expires_in is None else credential.expires_in)
            self._entries[name] = _Entry(principal, asked_at + lifetime)
            self._entries.move_to_end(name)
            while len(self._entries) > CACHE_SIZE:
                self._entries.popitem(last=False)
        return principal

    async def _listen(self) -> None:
        delay = RETRY_MIN
        while True:
            try:
                await credentials.listen(self._pool, started=self._started, changed=self._forget)
            except credentials.DisconnectedError as error:
                if self._listening:
                    delay = RETRY_MIN
                self._lost()
                log.warning("%s; tokens are looked up for each request until it is back", error)
            await asyncio.sleep(delay)
            delay = min(2 * delay, RETRY_MAX)

    def _started(self) -> None:
        self._listening = True
        self._forget()

    def _lost(self) -> None:
        self._listening = False
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._entries.clear()
        for callback in self.changed:
            callback()
