"""Text that users see and that Postgres holds: what has to be made harmless, in one place.

Postgres has no way to store a NUL in text, so each becomes U+FFFD, the replacement character:
in context by `clean`, in contents by `without_nul` right before they are read. The content itself
keeps what the producer wrote, since its bytes are its name. Half a surrogate pair is not text in
any encoding; what holds one cannot be read.
"""

import re
from typing import Any

from sources.report import UnreadableError

REPLACEMENT = "\ufffd"
LONGEST_NUMBER = 2**63  # nobody means a longer one as a text

# An escaped NUL, unless its backslash is itself escaped: \\u0000 is a backslash and five characters.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_REPLACED = rb"\1" + REPLACEMENT.encode()


def clean(text: str | None) -> str:
    """Return text that UTF-8 and Postgres can hold, "" for None; `UnreadableError` if it cannot."""
    if not text:
        return ""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnreadableError(f"text with half a surrogate pair at {error.start}") from error
    return text.replace("\0", REPLACEMENT)


def written(value: Any) -> str:
    """Write out what was meant as text where YAML took it for something else: 1.16, true."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > LONGEST_NUMBER:
        return ""
    return str(value) if isinstance(value, int | float) else ""


def without_nul(content: bytes) -> bytes:
    """Replace the NULs in the texts of a JSON document."""
    return _ESCAPED_NUL.sub(_REPLACED, content) if rb"\u0000" in content else content


def joined(*texts: str | None) -> str | None:
    """Join what is not empty with line breaks; None where nothing is left."""
    return "\n".join(text for text in texts if text) or None
