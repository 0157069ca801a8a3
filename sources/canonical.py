"""The canonical form of a content: what is hashed, sent and stored.

UTF-8 JSON with sorted keys, no insignificant space and numbers in their shortest form, so what
the API server put in which order, or how it wrote a number, never changes a content's name.
Text is not normalised. Lists of results are sorted by their own encoding with `sort_results`;
other lists stay as given.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

MAX_EXACT_INTEGER = 2**53  # beyond it a float no longer tells neighbouring integers apart

_encode = msgspec.json.Encoder(order="sorted").encode


def _shortest(value: Any) -> Any:
    """Write 7.0 as 7: JSON has one kind of number, decoders have two."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < MAX_EXACT_INTEGER else value
    if isinstance(value, dict):
        return {key: _shortest(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortest(item) for item in value]
    return value


def encode(value: Any) -> bytes:
    """Encode plain JSON data, with sorted results anywhere inside.

    Raises `UnicodeEncodeError` for text that UTF-8 cannot hold, such as a lone surrogate.
    """
    return _encode(_shortest(value))


def sort_results(values: Iterable[Any]) -> list[msgspec.Raw]:
    """Order results by their own encoding, since producers give them in any order."""
    return [msgspec.Raw(encoded) for encoded in sorted(map(encode, values))]
