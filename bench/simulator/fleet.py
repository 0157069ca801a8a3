"""Many agents in one process, and what happens to fleets.

async with Fleet(url, tokens, seed=1, reports=1_000) as fleet:
    await fleet.consistent()
    await fleet.churn(steps=200)
    await fleet.update_database(images=50)
    await fleet.everywhere(Cluster.expire)
    fleet.cut()
    await fleet.consistent()
    fleet.expected(0)  # what the aggregator must hold of the first cluster
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from operator import add
from types import TracebackType
from typing import Self

import aiohttp

from bench.simulator import comparison
from bench.simulator.agent import Agent, Socket, Traffic
from bench.simulator.ledger import Event
from bench.simulator.world import Step, World
from protocol import messages as m

POLL = 0.05  # seconds between looks at whether all agents are done
AT_ONCE = 200  # agents that are fed at the same time


class InconsistentError(Exception):
    """Agents that are not done in time; the message says how many, and how one of them stands."""


class Fleet:
    """An agent for each token, with a cluster each, in the order of the tokens."""

    def __init__(
        self,
        url: str,
        tokens: Sequence[str],
        *,
        seed: int = 1,
        reports: int = 1_000,
        world: World | None = None,
    ) -> None:
        """Make clusters of so many reports, or take those of a world; making takes a while."""
        self.world = world or World(len(tokens), seed=seed, reports=reports)
        self.agents = [
            Agent(cluster, url, token)
            for cluster, token in zip(self.world.clusters, tokens, strict=True)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
        self._client = aiohttp.ClientSession(connector=connector, ws_response_class=Socket)
        self._tasks = [asyncio.create_task(agent.run(self._client)) for agent in self.agents]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    @property
    def traffic(self) -> Traffic:
        """What has crossed all sockets."""
        return reduce(add, (agent.traffic for agent in self.agents), Traffic())

    @property
    def entries_sent(self) -> int:
        """How many entries all agents have put in."""
        return sum(agent.entries_sent for agent in self.agents)

    @property
    def done(self) -> int:
        """How many agents are consistent now."""
        return sum(agent.consistent for agent in self.agents)

    @property
    def rejected(self) -> dict[tuple[int, str, m.Key], str]:
        """Entries that the aggregator did not take, by cluster, and why."""
        return {
            (number, *entry): reason
            for number, agent in enumerate(self.agents)
            for entry, reason in agent.rejected.items()
        }

    async def consistent(self, *, within: float = 60.0) -> None:
        """Wait until the aggregator holds all that the clusters hold; `within` so many seconds.

        Raises `InconsistentError`, and what has ended an agent for ever.
        """
        try:
            async with asyncio.timeout(within):
                while self.done < len(self.agents):
                    for task in self._tasks:
                        if task.done():
                            task.result()
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            late = next(agent for agent in self.agents if not agent.consistent)
            how = "is connected" if late.connected else f"has no connection ({late.failure})"
            raise InconsistentError(
                f"{len(self.agents) - self.done} of {len(self.agents)} agents are not consistent "
                f"after {within:.0f} s; that of {late.cluster.name} {how}"
            ) from error

    async def churn(self, *, steps: int, a_second: float | None = None) -> int:
        """Take steps in random clusters, so many a second or as fast as they can be sent.

        Returns the number of entries that changed.
        """
        loop = asyncio.get_running_loop()
        began, changed = loop.time(), 0
        for step in range(steps):
            if a_second is not None:
                await asyncio.sleep(began + step / a_second - loop.time())
            number, events = self.world.churn()
            changed += len(events)
            await self.agents[number].feed(events)
        return changed

    async def everywhere(self, step: Step) -> int:
        """Take a step in every cluster at once; returns the number of entries that changed."""
        return await self._feed(self.world.everywhere(step))

    async def update_database(
        self, *, images: int, among: Collection[tuple[int, int]] | None = None
    ) -> int:
        """Let the scanner know one vulnerability more in so many images, everywhere at once."""
        return await self._feed(self.world.update_database(images=images, among=among))

    async def withdraw(self) -> int:
        """Let the scanner forget the newest vulnerability of an update."""
        return await self._feed(self.world.withdraw())

    def cut(self, numbers: Iterable[int] | None = None) -> None:
        """Break the connections of these agents, or of all: a storm of reconnects."""
        for agent in self.agents if numbers is None else [self.agents[n] for n in numbers]:
            agent.cut()

    def expected(self, number: int) -> comparison.Rows:
        """Say what the aggregator must hold of a cluster."""
        return comparison.expected(self.world.clusters[number])

    async def _feed(self, steps: Iterable[tuple[int, list[Event]]]) -> int:
        """Feed all agents at once, as far as memory should go."""
        changed = 0
        free = asyncio.Semaphore(AT_ONCE)

        async def feed(number: int, events: list[Event]) -> None:
            try:
                await self.agents[number].feed(events)
            finally:
                free.release()

        async with asyncio.TaskGroup() as group:
            for number, events in steps:
                changed += len(events)
                await free.acquire()
                group.create_task(feed(number, events))
                await asyncio.sleep(0)  # the steps of a large fleet take long to make
        return changed
