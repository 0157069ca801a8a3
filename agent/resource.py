"""What is listed and watched, who answers, and who takes what comes."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Raw, Struct

from agent.kubernetes import Query
from agent.state import Place
from agent.wire import Identity
from protocol.messages import KindState

METADATA = "application/json;as={};g=meta.k8s.io;v=v1"


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
        whole = "application/json"
        return f"{self.metadata(what)},{whole}" if self.metadata_only else whole

    def metadata(self, what: str) -> str:
        """The Accept header for metadata or nothing, for the same two."""
        return METADATA.format(what)

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


class Recollection(Protocol):
    """What is remembered of a resource's objects from before a restart."""

    async def holds(self) -> bool:
        """Tell whether anything is remembered that a list could be compared with."""

    async def recall(self, listed: Iterable[Identity]) -> list[Place]:
        """Take back what is as it was. Returns the others, which have to be read."""

    async def end(self) -> None:
        """Take note that a list is complete, and in the sink."""


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
