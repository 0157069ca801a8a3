"""The canonical form of a content: what is hashed, sent and stored.

UTF-8 JSON with sorted keys, no insignificant space and numbers in their shortest form, so what
the API server put in which order, or how it wrote a number, never changes a content's name.
Text is not normalised. Lists of results are sorted by their own encoding with `sort_results`;
other lists stay as given.
"""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from sources import text
from sources.report import UnreadableError

MAX_EXACT_INTEGER = 2**53  # beyond it a float no longer tells neighbouring integers apart
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1  # what JSON readers other than Python's still hold

_encode = msgspec.json.Encoder(order="sorted").encode
_AS_IS = frozenset({str, bool, type(None), msgspec.Raw})


def encode(value: Any) -> bytes:
    """Encode plain JSON data, with sorted results anywhere inside.

    Raises `UnreadableError` for what has no canonical form: half a surrogate pair, a number that
    is not finite or an integer beyond 64 bits, a key that is not text, anything but JSON's types,
    and nesting beyond the interpreter's stack.
    """
    try:
        return _encode(_shortest(value))
    except UnicodeEncodeError as error:
        raise UnreadableError(_located(value, "text with half a surrogate pair")) from error
    except ValueError as error:
        raise UnreadableError(_located(value, str(error))) from error
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error


def sort_results(values: Iterable[Any]) -> list[msgspec.Raw]:
    """Order results by their own encoding, since producers give them in any order."""
    return [msgspec.Raw(encoded) for encoded in sorted(map(encode, values))]


def _shortest(value: Any) -> Any:
    """Write 7.0 as 7: JSON has one kind of number, decoders have two. Refuse what is not JSON."""
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is dict:
        return {_key(key): _shortest(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_shortest(item) for item in value]
    if kind is int:
        return _integer(value)
    if kind is float:
        return _number(value)
    raise ValueError(f"expected JSON, found {kind.__name__}")


def _key(key: Any) -> str:
    if type(key) is not str:
        raise ValueError(f"expected text as a key, found {type(key).__name__}")
    return key


def _integer(value: int) -> int:
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("an integer beyond 64 bits")
    return value


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return int(value) if value.is_integer() and abs(value) < MAX_EXACT_INTEGER else value


def _located(value: Any, fault: str) -> str:
    """Say where in a value the fault is, as far as the path to it is made of text."""
    path = ""
    while inner := _first_faulty(value):
        step, value = inner
        name = f"[{step}]" if isinstance(step, int) else f".{text.clean(step)}"
        path += name if path else name.removeprefix(".")
    return f"{path}: {fault}" if path else fault


def _first_faulty(value: Any) -> tuple[int | str, Any] | None:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for step, item in items:
        if _is_faulty(item) and not _is_faulty(step):
            return step, item
    return None


def _is_faulty(value: Any) -> bool:
    try:
        _encode(_shortest(value))
    except (ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        return True
    return False
