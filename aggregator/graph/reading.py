"""Whether the primary or a replica answers an operation.

Mutations, with what they answer, and everything over WebSockets are for the primary alone: a query
there may stand behind a subscription and has to see what that leaves out.
"""

import math
from typing import Any

from starlette.requests import Request

from aggregator.store.replica import Replica, Stand

READ = "x-fleetwatch-read"  # the header by which a client asks for the primary


def may_be_older(request: Request) -> bool:
    """Whether a client is content with the answer of a replica, which may be a little behind."""
    return request.headers.get(READ, "") != "primary"


class Reading:
    """How one operation reads: from a replica, until the primary had to answer for it.

    So what the pages of one export show never goes back in time.
    """

    def __init__(self, replica: Replica | None) -> None:
        """Begin; None reads from the primary."""
        self.replica = replica
        self.stand: Stand | None = None  # of the last answer; None is the primary's

    async def fetch(self, sql: str, values: list[Any], seconds: float) -> bytes | None:
        """Run a statement on the replica; None: ask the primary."""
        if self.replica is None:
            return None
        since = self.stand.began if self.stand is not None else -math.inf
        found = await self.replica.fetch(sql, values, timeout=seconds, since=since)
        if found is None:
            self.replica = self.stand = None
            return None
        answer, self.stand = found
        return answer
