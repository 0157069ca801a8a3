"""Who brings which content: what many agents offer at once crosses the wire from one of them.

A session that is asked for a content claims it. What others send that points at it waits until it is
stored; where its bringer ends, or has not brought it in time, they bring it themselves. Pure: the time
comes from a clock that the caller gives.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

CLAIM = (
    10.0  # seconds after which an agent that owes contents and gets on with none is not waited for
)


class _Claim(Struct):
    """A content on its way; `here` once it has arrived and waits to be written."""

    bringer: object
    since: float
    here: bool = False


class Claims:
    """The contents on their way to one process, by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[bytes, _Claim] = {}
        self._owed: Counter[object] = Counter()  # contents asked for that have not come
        self._moved: dict[
            object, float
        ] = {}  # when contents of a session last came or were written

    def take(self, name: bytes, bringer: object) -> bool:
        """Say whether this session is to bring a content; another one may be at it."""
        if self.awaited(name, bringer):
            return False
        claim = self._claims.get(name)
        if claim is not None and claim.bringer is bringer and claim.here:
            return False
        self._put(name, _Claim(bringer, self._clock()))
        return True

    def arrive(self, name: bytes, bringer: object) -> bool:
        """Note a content that has come; whether it is the first of its name to wait here."""
        self._moved[bringer] = self._clock()
        claim = self._claims.get(name)
        if claim is not None and claim.here:
            return False
        self._put(name, _Claim(bringer, self._clock(), here=True))
        return True

    def awaited(self, name: bytes, bringer: object) -> bool:
        """Whether another session brings a content, or has brought it and it is not written."""
        claim = self._claims.get(name)
        if claim is None or claim.bringer is bringer:
            return False
        moved = max(claim.since, self._moved.get(claim.bringer, 0.0))
        return claim.here or self._clock() - moved < CLAIM

    def owes(self, bringer: object) -> bool:
        """Whether a session was asked for contents that have not come."""
        return self._owed[bringer] > 0

    def settle(self, names: Iterable[bytes], bringer: object) -> None:
        """Forget contents that a session has brought: they are written, or never will be."""
        if bringer in self._moved:
            self._moved[bringer] = self._clock()
        for name in names:
            claim = self._claims.get(name)
            if claim is not None and claim.bringer is bringer:
                self._drop(name)

    def leave(self, bringer: object) -> None:
        """Forget what an ended session was to bring."""
        self.settle([n for n, c in self._claims.items() if c.bringer is bringer], bringer)
        self._moved.pop(bringer, None)

    def _put(self, name: bytes, claim: _Claim) -> None:
        self._drop(name)
        self._claims[name] = claim
        if not claim.here:
            self._owed[claim.bringer] += 1

    def _drop(self, name: bytes) -> None:
        claim = self._claims.pop(name, None)
        if claim is not None and not claim.here:
            self._owed[claim.bringer] -= 1
            if not self._owed[claim.bringer]:
                del self._owed[claim.bringer]
