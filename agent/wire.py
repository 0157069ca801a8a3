"""Events and pages as the API server writes them, decoded no further than a reflector looks."""

import sys

import msgspec
from msgspec import Raw, Struct

from agent.kubernetes import Status
from agent.skim import Skim
from agent.state import Place


class Event(Struct, frozen=True):
    """A line of a watch."""

    type: str
    object: Raw


class Metadata(Struct, frozen=True):
    """What identifies an object."""

    name: str = ""
    namespace: str | None = None
    resourceVersion: str = ""  # noqa: N815 - as on the wire


class Head(Struct, frozen=True):
    """An object, as far as a reflector looks."""

    metadata: Metadata

    @property
    def place(self) -> Place:
        """Namespace and name."""
        # Of the namespace there is one text for all: places are what is held for ever.
        return (sys.intern(self.metadata.namespace or ""), self.metadata.name)


class Written(Struct, frozen=True):
    """An entry of managedFields: somebody wrote the object at this time."""

    time: str | None = None


class Identity(Metadata, frozen=True):
    """What tells an object in one version of it from any other."""

    uid: str = ""
    managedFields: list[Written] | None = None  # noqa: N815 - as on the wire

    @property
    def place(self) -> Place:
        """Namespace and name."""
        return (sys.intern(self.namespace or ""), self.name)


class Identified(Struct, frozen=True):
    """An object, as far as its version goes."""

    metadata: Identity


class Mark(Struct, frozen=True):
    """What a bookmark may carry."""

    annotations: dict[str, str] | None = None


class Bookmark(Struct, frozen=True):
    """The object of a BOOKMARK event."""

    metadata: Mark


class PageMetadata(Struct, frozen=True):
    """A page's version and the token of the next."""

    resourceVersion: str = ""  # noqa: N815 - as on the wire
    proceed: str | None = msgspec.field(default=None, name="continue")
    remainingItemCount: int | None = None  # noqa: N815


class Page(Struct):
    """A page of a list; `size` in bytes."""

    metadata: PageMetadata
    items: list[Raw] | None = None
    size: int = 0


decode_event = msgspec.json.Decoder(Event).decode
decode_head = msgspec.json.Decoder(Head).decode
decode_identified = msgspec.json.Decoder(Identified).decode
decode_bookmark = msgspec.json.Decoder(Bookmark).decode
decode_status = msgspec.json.Decoder(Status).decode
decode_page = msgspec.json.Decoder(Page).decode

NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
IDENTITY = (("metadata", "name"), ("metadata", "namespace"), ("metadata", "resourceVersion"))
IN_EVENT = (("type",), *(("object", *path) for path in IDENTITY))
IN_PAGE = (
    ("metadata", "continue"),
    ("metadata", "resourceVersion"),
    *(("items", "[]", *path) for path in IDENTITY),
)


def head(raw: Raw) -> Head | Skim:
    """Read what identifies an object, skimming what cannot be decoded."""
    try:
        return decode_head(raw)
    except NOT_JSON:
        skim = Skim(IDENTITY)
        skim.feed(bytes(raw))
        return skim
