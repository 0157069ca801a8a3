"""What is listed and watched, who answers, and who takes what comes."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Raw, Struct

from agent.kubernetes import Query
from agent.state import Place
from protocol.messages import KindState

METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


class Resource(Struct, frozen=True):
    """What to list. `metadata_only` asks the server for no more than each object's metadata."""

    group: str
    version: str
    plural: str
    metadata_only: bool = False

    @property
    def path(self) -> str:
        """Of all objects in all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/{self.plural}"

    def object_path(self, place: Place) -> str:
        """Of one object."""
        namespace, name = place
        if not namespace:
            return f"{self.path}/{name}"
        head, _, plural = self.path.rpartition("/")
        return f"{head}/namespaces/{namespace}/{plural}/{name}"

    def accept(self, what: str) -> str:
        """The Accept header for "PartialObjectMetadata" or "PartialObjectMetadataList"."""
        return METADATA_ONLY.format(what) if self.metadata_only else "application/json"

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Sink(Protocol):
    """What a reflector feeds."""

    def known(self) -> Iterable[Place]:
        """Objects that a list has to confirm."""

    async def put(self, place: Place, raw: bytes | Raw) -> None:
        """Take an object as it is now. What this raises is the sink's fault, not the object's."""

    async def unreadable(self, place: Place, reason: str, size: int) -> None:
        """Take note of an object that is there and was not read."""

    async def gone(self, place: Place) -> None:
        """Forget an object."""

    async def settled(self, state: KindState, message: str) -> None:
        """Take note of how the resource stands; may repeat."""


class Source(Protocol):
    """What a reflector needs of `agent.kubernetes.Api`."""

    async def get(
        self, path: str, *, query: Query | None = None, accept: str = ..., limit: int = ...
    ) -> bytes:
        """Read a whole answer."""

    def stream(
        self, path: str, *, query: Query | None = None, accept: str = ...
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read an answer as it comes."""
