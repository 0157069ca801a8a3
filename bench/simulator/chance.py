"""Draws that depend on a seed and a name alone, so that nothing depends on the order of drawing.

A generator with a state would give another fleet as soon as one cluster more is made, or one step
is taken earlier. Here every draw has a name, and the same name always draws the same.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


class Chance:
    """All draws of one seed."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(8, "big", signed=True)

    def number(self, *name: object) -> int:
        """Draw evenly from 64 bits."""
        digest = hashlib.blake2b(repr(name).encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big")

    def below(self, end: int, *name: object) -> int:
        """Draw evenly from 0 … end - 1."""
        return self.number(*name) % end

    def fraction(self, *name: object) -> float:
        """Draw evenly from [0, 1)."""
        return (self.number(*name) >> 11) / 2**53

    def pick(self, choices: Sequence[Choice], *name: object) -> Choice:
        """Draw evenly from a sequence."""
        return choices[self.number(*name) % len(choices)]

    def rank(self, end: int, *name: object) -> int:
        """Draw from 0 … end - 1, each about as often as 1 / (rank + 1): Zipf's law."""
        return min(end - 1, int(math.exp(self.fraction(*name) * math.log(end + 1))) - 1)

    def hex(self, characters: int, *name: object) -> str:
        """Draw hexadecimal digits, up to 64."""
        digest = hashlib.blake2b(repr(name).encode(), digest_size=32, key=self._key)
        return digest.hexdigest()[:characters]

    def uuid(self, *name: object) -> str:
        """Draw what looks like a random UUID."""
        text = self.hex(32, *name)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
