"""Checking that JSON has the shape a source expects, in words that a user understands.

Shapes are msgspec Structs. An object is checked before it is split, and the content that comes of
it is read with the same shapes, so whatever `split` writes, `read` understands. Fields that a
shape does not name are ignored: producers add fields without a new version.
"""

import re
from typing import Any, TypeVar

import msgspec

from sources import text
from sources.report import UnreadableError

Shape = TypeVar("Shape")

_WORDS = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "array": "list",
    "object": "object",
    "null": "nothing",
}
_EXPECTED = re.compile(r"Expected `([^`]*)`(?:, got `([^`]*)`)?")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_PLACE = re.compile(r" - at (`key` in )?`\$\.?(.*)`$")


def conform(value: Any, shape: type[Shape]) -> Shape:
    """Check decoded JSON against a shape; `UnreadableError` says what was expected where."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise UnreadableError(_reason(str(error))) from error
    except UnicodeEncodeError as error:
        raise UnreadableError("a key with half a surrogate pair") from error
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error


def decode(content: bytes, shape: type[Shape]) -> Shape:
    """Read a content; never fails for what `conform` let through with the same shapes."""
    try:
        return msgspec.json.decode(text.without_nul(content), type=shape)
    except msgspec.ValidationError as error:
        raise UnreadableError(_reason(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not a content: {error}") from error


def _reason(message: str) -> str:
    """Turn "Expected `str | null`, got `int` - at `$.a[3].b`" into "a[3].b: expected text, …"."""
    place = _PLACE.search(message)
    path = place[2] if place else ""
    if missing := _MISSING.match(message):
        return f"{path}.{missing[1]}: missing" if path else f"{missing[1]}: missing"
    what = message[: place.start()] if place else message
    if expected := _EXPECTED.match(message):
        what = f"expected {_words(expected[1])}"
        if expected[2]:
            what += f", found {_words(expected[2])}"
        if place and place[1]:
            what += " as a key"
    return f"{path or 'the object'}: {what}"


def _words(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_WORDS.get(name, name) for name in names)
