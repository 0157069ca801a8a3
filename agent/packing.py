"""Contents and entries in the shape in which they are sent."""

from collections.abc import Iterator
from typing import TypeVar

import zstandard

from agent.state import Payload
from protocol import messages as m

COMPRESSION = 3  # zstd's level

Value = TypeVar("Value")
_compress = zstandard.ZstdCompressor(level=COMPRESSION).compress


def pack(content: Payload) -> m.Content:
    """Compress a content."""
    # zstd gives a shrunken buffer of the size of its input, and what it leaves behind is too small
    # for the next: a copy keeps 10,000 contents from costing 500 MB of holes.
    body = bytes(memoryview(_compress(content.body)))
    return m.Content(content.name, content.kind, content.format, len(content.body), body)


def failed(item: m.Item, reason: str) -> m.Item:
    """Turn an entry into a failure with the same fingerprint."""
    return m.Item(item.key, item.fingerprint, item.observed_at, m.Failure(reason, None))


def chunks(values: tuple[Value, ...], size: int) -> Iterator[tuple[Value, ...]]:
    """Cut into pieces of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))
