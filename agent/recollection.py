"""A report kind as it was before a restart, taken back object by object as a list confirms it.

What is taken back goes into the state only: the aggregator hears of differences when the kind is
compared, which follows each time that a kind becomes SYNCED. So a kind that is SYNCED already, and
lists again, takes nothing back: what its state lacks is read.
"""

import asyncio
import logging
from collections.abc import Iterable

from agent import wire
from agent.memory import Memory
from agent.outline import Outlined, stamp
from agent.reports import Reports, Watched
from agent.state import Place
from protocol.messages import KindState, Object

TOGETHER = 250  # subjects looked at together at the end of a list

log = logging.getLogger(__name__)


class Recollection:
    """What is remembered of one kind, on its way back into the state."""

    def __init__(self, watched: Watched, reports: Reports, memory: Memory) -> None:
        self._watched = watched
        self._reports = reports
        self._memory = memory
        self._kind = reports.writer.state.kind(watched.name)
        self._restored: dict[Place, bytes] = {}  # with their stamps, until a list ends
        self._concerned: set[Object] = set()  # subjects of which other reports may change

    async def holds(self) -> bool:
        """Tell whether anything is remembered that a list could be compared with."""
        return await self._memory.holds(self._watched.name)

    async def recall(self, listed: Iterable[wire.Identity]) -> list[Place]:
        """Take back what is as it was. Returns the others, which have to be read."""
        stamps = {one.place: stamp(one, self._watched.maker) for one in listed}
        known = {place: mark for place, mark in stamps.items() if mark is not None}
        found = await self._memory.find(self._watched.name, known)
        changed: list[Place] = []
        for place in stamps:
            if place not in found:
                changed.append(place)
            elif place not in self._kind.objects:  # else it is there as it was when it was put
                if await self._restore(place, found[place]):
                    self._restored[place] = known[place]
                else:
                    changed.append(place)
        return changed

    async def end(self) -> None:
        """End a list: forget what is gone, and take back once more what others supersede."""
        await self._memory.keep(self._watched.name, self._kind.objects)
        concerned, self._concerned = list(self._concerned), set()
        subjects = self._reports.subjects
        for start in range(0, len(concerned), TOGETHER):
            some = concerned[start : start + TOGETHER]
            stale = {
                place: self._restored[place]
                for name, place in subjects.changed(some)
                if name == self._watched.name and place in self._restored
            }
            found = await self._memory.find(self._watched.name, stale) if stale else {}
            for place, outlined in found.items():
                await self._restore(place, outlined)
            self._reports.touch(one for one in some if any(subjects.changed((one,))))
            await asyncio.sleep(0)
        self._restored.clear()

    async def _restore(self, place: Place, outlined: Outlined) -> bool:
        """Take an object back. Returns whether that could be."""
        await asyncio.sleep(0)  # thousands in a row must not starve the other tasks
        async with self._reports.alone(self._watched.name, place):
            if self._kind.state == KindState.SYNCED:
                return False
            try:
                self._concerned |= self._reports.restore(self._watched, place, outlined)
            except Exception:
                log.exception("%s %s/%s: a fault of the agent", self._watched.name, *place)
                return False
        return True
