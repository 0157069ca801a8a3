"""The name of a content, by which both sides know that they mean the same bytes."""

import hashlib

NAME_BYTES = 32


def name(kind: str, format_version: int, content: bytes) -> bytes:
    r"""SHA-256 over `kind "/" format "\\n" content`, where content is in canonical form."""
    return hashlib.sha256(f"{kind}/{format_version}\n".encode() + content).digest()
