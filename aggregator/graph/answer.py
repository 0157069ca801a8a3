"""An answer on its way out: packed as the client can unpack it, with a tag for who asks again.

A dashboard that polls by GET sends the tag of its last answer, and where nothing has changed it is
told so in a few bytes. The tag is of what is answered, not of how it is packed, so it is weak.
"""

import asyncio
import hashlib
import math
import zlib
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

import msgspec
import zstandard
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from aggregator.graph.limits import PACKED_APART, PACKED_FROM
from aggregator.store.replica import Stand

JSON = "application/json"
AS_OF = "x-fleetwatch-as-of"  # the header that says how new the replica was that answered
GZIP_LEVEL = 4
ZSTD_LEVEL = 3
KNOWN = ("zstd", "gzip")  # the better first


async def respond(
    request: Request,
    body: bytes,
    status: int,
    *,
    tagged: bool = False,
    stand: Stand | None = None,
) -> Response:
    """Return the response for a body; `tagged` answers 304 where the client has it.

    `stand` is told with it: how new the replica was that answered. It is no part of the tag, which
    is the same whoever answers.
    """
    headers = {"vary": "accept-encoding", **_told(stand)}
    if tagged:
        headers["etag"] = tag = _tag(body)
        headers["vary"] = "accept-encoding, authorization"
        headers["cache-control"] = "private, no-cache"
        if _has(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
    if stand is not None:
        body = _with_extensions(body, stand)
    encoding = _encoding(request.headers.get("accept-encoding", ""))
    if encoding and len(body) >= PACKED_FROM:
        headers["content-encoding"] = encoding
        if len(body) > PACKED_APART:
            body = await asyncio.to_thread(_packed, body, encoding)
        else:
            body = _packed(body, encoding)
    return Response(body, status, headers, JSON)


async def stream(
    request: Request,
    chunks: AsyncIterator[bytes],
    media_type: str,
    *,
    stand: Stand | None = None,
) -> StreamingResponse:
    """Return the response for bytes that come in parts, packed as they come.

    `stand` is how new the replica was that answered the first of them.
    """
    headers = {"vary": "accept, accept-encoding", **_told(stand)}
    encoding = _encoding(request.headers.get("accept-encoding", ""))
    if encoding:
        headers["content-encoding"] = encoding
        chunks = _packing(chunks, encoding)
    return StreamingResponse(chunks, 200, headers, media_type)


async def _packing(chunks: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    packer: Any = zlib.compressobj(GZIP_LEVEL, wbits=31)
    if encoding == "zstd":
        packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
    async for chunk in chunks:
        packed = await asyncio.to_thread(packer.compress, chunk)
        if packed:
            yield packed
    yield packer.flush()


def _told(stand: Stand | None) -> dict[str, str]:
    return {AS_OF: _time(stand)} if stand is not None else {}


def _time(stand: Stand) -> str:
    return stand.as_of.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _with_extensions(body: bytes, stand: Stand) -> bytes:
    replica = {"asOf": _time(stand), "lagMs": math.ceil(stand.lag * 1000)}
    extensions = msgspec.json.encode({"replica": replica})
    return body[:-1] + b',"extensions":' + extensions + b"}"


def _tag(body: bytes) -> str:
    return f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def _has(given: str, tag: str) -> bool:
    """Whether a list of tags, as If-None-Match brings it, holds one; weak ones are equal too."""
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return "*" in tags or tag.removeprefix("W/") in tags


def _encoding(accepted: str) -> str:
    """Return the encoding that a client accepts and we know, "" for none."""
    weights: dict[str, float] = {}
    for one in accepted.lower().split(","):
        name, _, parameter = one.partition(";")
        _, _, weight = parameter.partition("q=")
        try:
            weights[name.strip()] = float(weight) if weight.strip() else 1.0
        except ValueError:
            continue
    usable = [(weights.get(name, weights.get("*", 0.0)), name) for name in KNOWN]
    most, best = max(usable, key=lambda each: each[0])
    return best if most > 0 else ""


def _packed(body: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return zlib.compress(body, GZIP_LEVEL, wbits=31)
