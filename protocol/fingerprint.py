"""Fingerprints of entries, and the bucket that an entry belongs to.

A fingerprint covers the entry's key, so equal bodies under two keys do not cancel out when
fingerprints are combined by XOR.
"""

import hashlib

from protocol.messages import BUCKETS, Body, Key, encode

FINGERPRINT_BYTES = 8


def fingerprint(kind: str, key: Key, body: Body) -> int:
    """64 bits of BLAKE2b over kind, key and body; never 0, which stands for "nothing"."""
    digest = hashlib.blake2b(encode((kind, key, body)), digest_size=FINGERPRINT_BYTES).digest()
    return int.from_bytes(digest, "big") or 1


def bucket(key: Key) -> int:
    """0 … 255, from the key alone: an entry never changes its bucket."""
    text = f"{key.namespace}\0{key.name}\0{key.sub}".encode()
    return hashlib.blake2b(text, digest_size=1).digest()[0] % BUCKETS
