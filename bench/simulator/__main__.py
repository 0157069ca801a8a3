"""`python -m bench.simulator`: load a running aggregator with a fleet of simulated agents.

Without --url it is the `fleetwatch up` of this machine. Clusters of the same seed that are there
already are taken again: what has not changed since is not sent. Ctrl-C ends it.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from urllib.parse import quote

import click

from aggregator.cli.client import AnswerError, Client, find_server, server_options
from bench.simulator.agent import Traffic
from bench.simulator.clusters import Cluster
from bench.simulator.fleet import Fleet
from bench.simulator.world import World

ADD = """mutation ($input: AddClusterInput!) { addCluster(input: $input) { token } }"""
EVERY = 2.0  # seconds between two lines
PATIENCE = 3_600.0  # seconds that all may take to become consistent
CHURN_STEPS = 10  # steps between two looks at the clock

uplinks = logging.getLogger("agent.uplink")


def add_clusters(client: Client, world: World, *, seed: int) -> list[str]:
    """Add the clusters that are not there; return a token for the agent of each."""
    tokens = []
    for cluster in world.clusters:
        labels = {"env": cluster.environment, "simulated": str(seed)}
        variables = {"input": {"name": named(cluster, seed), "labels": labels}}
        try:
            tokens.append(client.graphql(ADD, variables)["addCluster"]["token"])
        except AnswerError as error:
            if error.answer["errors"][0].get("extensions", {}).get("code") != "CONFLICT":
                raise
            path = f"/admin/clusters/{quote(named(cluster, seed), safe='')}/tokens"
            tokens.append(client.post(path)["token"])
    return tokens


def named(cluster: Cluster, seed: int) -> str:
    """Name a cluster so that fleets of several seeds fit in one aggregator."""
    return f"{cluster.name}-{seed}"


class Progress:
    """Prints a line every so often."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._sent, self._traffic, self._at = 0, Traffic(), time.monotonic()

    async def run(self) -> None:
        """Print for ever."""
        while True:
            await asyncio.sleep(EVERY)
            self.show()

    def show(self) -> None:
        """Print what has happened since the last line."""
        sent, traffic, at = self._fleet.entries_sent, self._fleet.traffic, time.monotonic()
        seconds = max(at - self._at, 1e-9)
        click.echo(
            f"{self._fleet.done}/{len(self._fleet.agents)} consistent, "
            f"{(sent - self._sent) / seconds:,.0f} entries/s, "
            f"{(traffic.bytes_up - self._traffic.bytes_up) / seconds / 2**20:.2f} MiB/s up, "
            f"{sent:,} entries in {traffic.bytes_up / 2**20:,.1f} MiB, "
            f"{traffic.connections} connections, {len(self._fleet.rejected)} rejected"
        )
        self._sent, self._traffic, self._at = sent, traffic, at


async def settle(fleet: Fleet, progress: Progress, what: str) -> None:
    """Wait until all is held, and say how long it took."""
    began, before = time.monotonic(), fleet.traffic
    await fleet.consistent(within=PATIENCE)
    seconds = time.monotonic() - began
    progress.show()
    sent = (fleet.traffic.bytes_up - before.bytes_up) / 2**20
    click.echo(f"{what}: consistent after {seconds:.1f} s, {sent:.2f} MiB up")


async def load(fleet: Fleet, *, churn: float, storm: bool, update: int) -> None:
    """Sync, and then whatever else is asked for."""
    async with fleet:
        progress = Progress(fleet)
        lines = asyncio.create_task(progress.run())
        try:
            await settle(fleet, progress, "first sync")
            if update:
                await fleet.update_database(images=update)
                await settle(fleet, progress, f"one vulnerability more in {update} images")
            if storm:
                uplinks.setLevel(logging.ERROR)  # each would say that its connection broke
                fleet.cut()
                await settle(fleet, progress, "storm of reconnects")
                uplinks.setLevel(logging.NOTSET)
            while churn:
                await fleet.churn(steps=CHURN_STEPS, a_second=churn)
        finally:
            lines.cancel()


@click.command()
@click.option("--clusters", default=50, show_default=True, help="Clusters, each with its agent.")
@click.option("--reports", default=1_000, show_default=True, help="Reports of each at the start.")
@click.option("--seed", default=1, show_default=True, help="Equal seeds give equal fleets.")
@click.option("--churn", default=0.0, help="Steps a second afterwards, until Ctrl-C; 0 ends.")
@click.option("--storm", is_flag=True, help="Break all connections once all is held.")
@click.option("--update", default=0, help="Add a vulnerability to so many images, once.")
@click.option(
    "--at",
    type=click.DateTime(),
    default=lambda: datetime.now(UTC).strftime("%Y-%m-%d"),
    help="The clusters' clock at the start, UTC: part of all that is made.  [default: midnight]",
)
@server_options
def main(
    *,
    clusters: int,
    reports: int,
    seed: int,
    churn: float,
    storm: bool,
    update: int,
    at: datetime,
    **where: object,
) -> None:
    """Load an aggregator with simulated agents."""
    server = find_server(**where)  # type: ignore[arg-type] # what server_options adds
    began = time.monotonic()
    clock = int(at.replace(tzinfo=UTC).timestamp()) * 1_000
    world = World(clusters, seed=seed, reports=reports, at=clock)
    click.echo(
        f"{clusters} clusters, {world.reports:,} reports, {len(world.contents):,} contents of "
        f"{world.contents.canonical_bytes / 2**20:,.1f} MiB, "
        f"{world.contents.packed_bytes / 2**20:,.1f} MiB packed, "
        f"in {time.monotonic() - began:.1f} s"
    )
    tokens = add_clusters(Client(server), world, seed=seed)
    fleet = Fleet(server.url, tokens, world=world)
    asyncio.run(load(fleet, churn=churn, storm=storm, update=update))


if __name__ == "__main__":
    main()
