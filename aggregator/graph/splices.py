"""Contents in an answer: Postgres hands out their zstd bytes, the text is put in afterwards.

Postgres cannot decompress zstd. The statement writes `"<mark><base64>"` where a content belongs; the
mark is random for each request, so that nothing a report says can pass for one.
"""

import base64
import re
import secrets
from typing import cast

import zstandard

from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import INTERNAL, LIMIT_EXCEEDED, GraphError
from aggregator.graph.limits import MAX_CONTENT_BYTES
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Bindings, Row

_MARK = "content mark"


def mark(bindings: Bindings) -> str:
    """Return the request's mark."""
    if _MARK not in bindings.memo:
        bindings.memo[_MARK] = f"content-{secrets.token_hex(16)}-"
    return cast("str", bindings.memo[_MARK])


def content(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the expression that stands for a report's content."""
    del field
    compilation.splices = True
    alias = compilation.statement.alias("ct")
    bound = compilation.statement.bind(mark, "text")
    return (
        f"(SELECT {bound} || translate(encode({alias}.body, 'base64'), E'\\n', '')"
        f" FROM content {alias} WHERE {alias}.id = {row.fill('{rp.content_id}')})"
    )


def splice(answer: bytes, bindings: Bindings) -> bytes:
    """Return the answer with its contents."""
    left = [MAX_CONTENT_BYTES]

    def put(match: re.Match[bytes]) -> bytes:
        return _decompress(base64.b64decode(match[1]), left)

    return re.sub(rb'"' + mark(bindings).encode() + rb'([A-Za-z0-9+/=]*)"', put, answer)


def _decompress(body: bytes, left: list[int]) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            text = reader.read(left[0] + 1)
    except zstandard.ZstdError as error:
        raise GraphError(INTERNAL, "A stored content cannot be read.") from error
    left[0] -= len(text)
    if left[0] < 0:
        raise GraphError(
            LIMIT_EXCEEDED,
            f"The contents exceed {MAX_CONTENT_BYTES:,} bytes: ask for fewer reports.",
        )
    return text
