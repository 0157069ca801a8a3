"""What is left of an object once its contents are let go: all that its entries are made from.

An outline depends on the object alone, never on the inventory, so it can be kept for the next
start: with what the inventory says then, it gives the entries that the object itself would give.
A stamp says what an outline was made from and by what: the object in one version of it, and the
code that split it. Where the stamps are equal, the outline is what reading the object would give.

The resource version alone would not do: an etcd restored from a backup gives its numbers out again.
So the newest time at which anyone wrote the object is part of the stamp.
"""

import hashlib
from importlib.metadata import version as version_of

import msgspec
from msgspec import Raw, Struct

from agent import redact, wire
from protocol import content
from protocol.messages import Failure
from sources.report import ImageRef, Kind, Part, Ref, Source

STAMP_BYTES = 16
SPLITTING = 1  # raised when an object's outline becomes another one within a version of the agent


class Outline(Struct, frozen=True, array_like=True):
    """One report of an object: a `Part` with the name of its content in the content's place."""

    content: bytes
    source: str
    subject: Ref
    sub_key: str
    container: str
    image: ImageRef | None
    scanner: str
    scanner_version: str
    reported_at: int | None
    labels: dict[str, str]


class Outlined(Struct, frozen=True, array_like=True):
    """An object: its reports, or why it cannot be read."""

    uid: str
    outlines: tuple[Outline, ...] = ()
    failure: Failure | None = None


def outline(part: Part) -> Outline:
    """Name a part's content and let go of it."""
    return Outline(
        content.name(part.content_kind, part.format, part.content),
        part.source,
        part.subject,
        part.sub_key,
        part.container,
        part.image,
        part.scanner,
        part.scanner_version,
        part.reported_at,
        part.labels,
    )


def maker(kind: Kind, source: Source, version: str) -> bytes:
    """Name all but the object that an outline depends on: what splits it, in which version.

    `version` is the one that the object is read in.
    """
    formats = sorted((one.name, one.format) for one in source.contents)
    parts = (
        (SPLITTING, version_of("fleetwatch"), redact.PATTERNS),
        (kind.group, kind.kind, version, source.name, formats),
    )
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=STAMP_BYTES).digest()


def stamp(identity: wire.Identity, made_by: bytes) -> bytes | None:
    """Name what an outline is made from; None where the object does not say which one it is."""
    if not identity.uid or not identity.resourceVersion:
        return None
    written_at = max((one.time or "" for one in identity.managedFields or ()), default="")
    parts = (made_by, identity.uid, identity.resourceVersion, written_at)
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=STAMP_BYTES).digest()


def stamp_of(raw: bytes | Raw, made_by: bytes) -> bytes | None:
    """Return the stamp of an object as it was read."""
    try:
        return stamp(wire.decode_identified(raw).metadata, made_by)
    except wire.NOT_JSON:
        return None


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Outlined).decode
