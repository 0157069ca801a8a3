"""How long the event loop was blocked, as /metrics tells it."""

import asyncio
import time

from aggregator import lag
from aggregator.metrics import REGISTRY


def longer_than(seconds: float) -> float:
    """How often it was blocked for longer."""
    name = "fleetwatch_event_loop_lag_seconds_bucket"
    all_, shorter = (REGISTRY.get_sample_value(name, {"le": le}) for le in ("+Inf", str(seconds)))
    return (all_ or 0.0) - (shorter or 0.0)


async def test_a_loop_that_is_blocked_is_seen() -> None:
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    before = longer_than(0.1)
    time.sleep(0.2 + lag.EVERY)  # noqa: ASYNC251 - what must not happen
    await asyncio.sleep(lag.EVERY / 2)
    watching.cancel()

    assert longer_than(0.1) > before
