"""Who may ask now: operations of one token take turns, so that none holds every connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aggregator.graph.errors import TOO_MANY, GraphError
from aggregator.graph.limits import MAX_RUNNING, MAX_UNDER_WAY


@dataclass(slots=True)
class _Token:
    """The operations of one token."""

    running: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_RUNNING))
    under_way: int = 0


class Turns:
    """The operations under way, by token; what nobody asks with is forgotten."""

    def __init__(self) -> None:
        self._tokens: dict[str, _Token] = {}

    @asynccontextmanager
    async def turn(self, token: str) -> AsyncIterator[None]:
        """Wait for a turn, in the order of asking. Raises `GraphError` where too many wait."""
        asked = self._tokens.setdefault(token, _Token())
        if asked.under_way >= MAX_UNDER_WAY:
            raise GraphError(
                TOO_MANY,
                f"{asked.under_way} operations of this token are under way, the limit is"
                f" {MAX_UNDER_WAY}: wait for their answers.",
            )
        asked.under_way += 1
        try:
            async with asked.running:
                yield
        finally:
            asked.under_way -= 1
            if not asked.under_way:
                self._tokens.pop(token, None)
