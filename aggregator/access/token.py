"""Tokens: 256 random bits, shown once, kept as their SHA-256.

A hash without salt is enough, as there is nothing to guess; it makes a token one index look-up.
"""

import hashlib
import re
import secrets

PREFIX = "fw_"  # so that people and secret scanners recognise one
RANDOM_BYTES = 32
_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def generate() -> str:
    """Make a new token."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> bytes:
    """Under which name a token is stored."""
    return hashlib.sha256(token.encode()).digest()


def is_well_formed(token: str) -> bool:
    """Whether a text can be a token at all; what cannot is never looked up."""
    return _SHAPE.fullmatch(token) is not None
