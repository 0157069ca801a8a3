"""A fleet of clusters without any network: what they share, and what happens to all of them.

Pure and deterministic: equal seeds, sizes and calls give equal entries and contents.
"""

import itertools
from collections.abc import Callable, Collection, Iterator

from bench.simulator.chance import Chance
from bench.simulator.clusters import START, Cluster
from bench.simulator.contents import Contents
from bench.simulator.images import Images
from bench.simulator.ledger import Event

APPS = 100  # of any fleet
APPS_A_CLUSTER = 3  # more
STEP = 60_000  # ms that pass in a cluster with each of its steps

Step = Callable[[Cluster], list[Event]]


class World:
    """Clusters that share apps, images, the scanner's database and contents."""

    def __init__(self, clusters: int, *, seed: int = 1, reports: int, at: int = START) -> None:
        """Make clusters of so many reports each; `at` is their clock, ms since 1970."""
        self.chance = Chance(seed)
        self.images = Images(self.chance, apps=APPS + APPS_A_CLUSTER * clusters)
        self.contents = Contents(self.images)
        self.clusters = [
            Cluster(number, self.images, self.contents, reports=reports, at=at)
            for number in range(clusters)
        ]
        self._steps = itertools.count()

    @property
    def reports(self) -> int:
        """How many reports there are in all."""
        return sum(len(cluster.ledger) for cluster in self.clusters)

    def churn(self) -> tuple[int, list[Event]]:
        """Let some cluster take a step of those that come all the time.

        Returns the cluster's number and what its agent has to send.
        """
        number = self.chance.below(len(self.clusters), "churn", next(self._steps))
        cluster = self.clusters[number]
        cluster.pass_time(STEP)
        return number, cluster.step()

    def everywhere(self, step: Step) -> Iterator[tuple[int, list[Event]]]:
        """Let every cluster take a step, such as `Cluster.rescan`."""
        for number, cluster in enumerate(self.clusters):
            cluster.pass_time(STEP)
            yield number, step(cluster)

    def update_database(
        self, *, images: int, among: Collection[tuple[int, int]] | None = None
    ) -> Iterator[tuple[int, list[Event]]]:
        """Let the scanner know one vulnerability more in so many images, and scan those again."""
        self.images.add_vulnerability(images=images, among=among)
        yield from self.everywhere(Cluster.take_database)

    def withdraw(self) -> Iterator[tuple[int, list[Event]]]:
        """Let the scanner forget the newest vulnerability of an update, and scan again."""
        self.images.withdraw_vulnerability()
        yield from self.everywhere(Cluster.take_database)
