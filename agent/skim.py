"""Who an object is, read past its content: for objects too large or too broken to decode.

An object of 100 MB, or one with a lone surrogate that msgspec refuses, still has to become a
failed report under its own name. `Skim` takes JSON in pieces of any size, remembers the texts at
the few paths it is asked for, and keeps nothing else. It checks no syntax: what it finds in
malformed JSON is a best guess, and may be nothing. `lines` cuts a stream into lines with it.
"""

import re
from collections.abc import AsyncIterator, Iterable

import msgspec
from msgspec import Struct

Path = tuple[str, ...]  # keys from the top; "[]" stands for any item of a list

TEXT_BYTES = 4096  # longer texts are not names; they are dropped
DEPTH = 8  # keys are remembered so deep

_STRUCTURE = re.compile(rb'["{}\[\],]')
_TEXT_END = re.compile(rb'["\\]')


class Skim:
    """Reads JSON piece by piece. `found` holds the texts at the paths wanted, first ones win."""

    def __init__(self, wanted: Iterable[Path]) -> None:
        self.found: dict[Path, str] = {}
        self.size = 0  # bytes fed
        self._wanted = frozenset(wanted)
        self._keys: list[str] = []  # of the open objects and lists, as deep as DEPTH
        self._depth = 0
        self._objects = [False] * (DEPTH + 1)  # whether the open one at a depth is an object
        self._expects_key = False
        self._text: bytearray | None = None  # inside a text
        self._escaped = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        position, end = 0, len(piece)
        while position < end:
            if self._text is not None:
                position = self._in_text(piece, position)
                continue
            match = _STRUCTURE.search(piece, position)
            if match is None:
                return
            position = match.end()
            self._structure(match.group())

    def text(self, *path: str) -> str:
        """Return what was found at a path, "" for nothing."""
        return self.found.get(path, "")

    def _in_text(self, piece: bytes, position: int) -> int:
        assert self._text is not None  # noqa: S101 - the caller has looked
        if self._escaped:
            self._text += piece[position : position + 1]
            self._escaped = False
            return position + 1
        match = _TEXT_END.search(piece, position)
        stop = match.start() if match else len(piece)
        if len(self._text) <= TEXT_BYTES:
            self._text += piece[position : min(stop, position + TEXT_BYTES + 1)]
        if match is None:
            return len(piece)
        if match.group() == b"\\":
            self._escaped = True
            self._text += b"\\"
        else:
            self._end_text(bytes(self._text))
            self._text = None
        return match.end()

    def _end_text(self, raw: bytes) -> None:
        if self._depth > DEPTH or len(raw) > TEXT_BYTES:
            self._expects_key = False
            return
        if self._expects_key:
            self._keys[self._depth - 1] = _unescape(raw)
            self._expects_key = False
        elif (path := tuple(self._keys[: self._depth])) in self._wanted:
            self.found.setdefault(path, _unescape(raw))

    def _structure(self, mark: bytes) -> None:
        if mark == b'"':
            self._text = bytearray()
        elif mark in b"{[":
            self._depth += 1
            if self._depth <= DEPTH:
                self._objects[self._depth] = mark == b"{"
                self._keys[self._depth - 1 :] = ["[]"]
            self._expects_key = mark == b"{"
        elif mark in b"}]":
            self._depth = max(self._depth - 1, 0)
            self._expects_key = False
        else:  # a comma
            self._expects_key = self._depth <= DEPTH and self._objects[self._depth]


def _unescape(raw: bytes) -> str:
    try:
        return msgspec.json.decode(b'"' + raw + b'"', type=str)
    except msgspec.MsgspecError:
        return raw.decode(errors="replace")


class Oversize(Struct, frozen=True):
    """A line that was not kept, and what `Skim` found in it."""

    skim: Skim


async def lines(
    chunks: AsyncIterator[bytes], *, limit: int, wanted: Iterable[Path]
) -> AsyncIterator[bytes | Oversize]:
    """Cut chunks into lines; one longer than `limit` bytes is skimmed and never held whole.

    What follows the last line feed is a line cut off by the end of the connection: dropped.
    """
    held = bytearray()
    skim: Skim | None = None
    async for chunk in chunks:
        start = 0
        while start < len(chunk):
            feed = chunk.find(b"\n", start)
            end = feed if feed >= 0 else len(chunk)
            if skim is None and len(held) + end - start > limit:
                skim = Skim(wanted)
                skim.feed(bytes(held))
                held = bytearray()
            if skim is not None:
                skim.feed(chunk[start:end])
            else:
                held += chunk[start:end]
            start = end + 1
            if feed < 0:
                continue
            if skim is not None:
                yield Oversize(skim)
                skim = None
            elif held:
                yield bytes(held)
                held = bytearray()
