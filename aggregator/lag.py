"""How long the event loop is blocked: a task that asks to be woken and looks how late it is."""

import asyncio

from aggregator.metrics import LOOP_LAG

EVERY = 0.05  # seconds between two looks


async def watch() -> None:
    """Measure for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        LOOP_LAG.observe(max(0.0, loop.time() - due))
