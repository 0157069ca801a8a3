"""`make demo`: an aggregator on the embedded Postgres and three clusters with their agents."""

import asyncio
import json
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import click
import httpx

from aggregator.access import administration
from aggregator.access.principal import Principal, Role
from aggregator.cli.home import Home
from aggregator.cli.local import Running, running
from aggregator.cli.server import run, signals
from aggregator.settings import Address, parse_address
from demo.cluster import CLUSTERS, FIRST_ALERTS, LABELS, Cluster, watched

FED_WITHIN = 60.0  # seconds for all clusters to be there
POLL = 0.1  # seconds between looks whether they are
OPERATOR = Principal("00000000-0000-0000-0000-000000000000", "demo", Role.ADMIN)

QUESTION = """\
{
  rule(key: "CVE-2021-44228") {
    title
    fixedVersions
    clusterCount
    findings(first: 10) {
      nodes {
        severity
        cluster { name }
        namespace
        subject { kind name pods }
        image { name }
        package { name installedVersion fixedVersion }
      }
    }
  }
}"""

# What Falco saw, in which workload, and what of its running image is critical and can be mended.
RUNTIME_QUESTION = """\
{
  runtimeEvents(first: 3) {
    nodes {
      time
      rule
      priority
      cluster { name }
      pod
      subject { kind name }
      image {
        name
        findings(first: 2, filter: {severity: {in: [CRITICAL]}, fixable: true}) {
          nodes { rule { key } package { name fixedVersion } }
        }
      }
    }
  }
}"""
SUBSCRIPTION = """\
subscription { runtimeEvents { node { time cluster { name } priority rule pod output } } }"""


@click.command()
@click.option("--once", is_flag=True, help="Feed, ask one question, print the answer and exit.")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT")
def main(*, once: bool, listen: str) -> None:
    """Run fleetwatch with three clusters that change as you watch."""
    logging.basicConfig(level="ERROR")
    with tempfile.TemporaryDirectory(prefix="fleetwatch-demo-") as folder:
        run(_demo(Path(folder), parse_address(listen), once=once))


async def _demo(folder: Path, address: Address, *, once: bool) -> None:
    home = Home(folder / "home")
    with signals() as stop:
        click.echo("Starting Postgres, the aggregator and three clusters …")
        async with running(home, address) as local, _clusters(local, folder) as clusters:
            await _until_fed(local)
            await _first_alerts(local, clusters)
            for question in (QUESTION, RUNTIME_QUESTION):
                answer = await _ask(local, question)
                click.echo(f"\n{question}\n\n{json.dumps(answer, indent=2)}\n")
            if once:
                return
            _introduce(local, home)
            async with asyncio.TaskGroup() as group:
                lives = [group.create_task(cluster.live()) for cluster in clusters]
                await stop.wait()
                for life in lives:
                    life.cancel()


@asynccontextmanager
async def _clusters(local: Running, folder: Path) -> AsyncIterator[list[Cluster]]:
    """Add the clusters and run an agent beside each."""
    clusters = [Cluster(name) for name in CLUSTERS]
    async with AsyncExitStack() as stack, asyncpg.create_pool(local.database_url) as pool:
        for cluster in clusters:
            (folder / cluster.name).mkdir()
            added = await administration.add_cluster(
                pool, OPERATOR, name=cluster.name, labels=LABELS[cluster.name]
            )
            await stack.enter_async_context(
                watched(cluster, local.url, added.token, folder / cluster.name)
            )
        yield clusters


async def _until_fed(local: Running) -> None:
    """Wait until every kind of every cluster is complete."""
    connection = await asyncpg.connect(local.database_url)
    try:
        async with asyncio.timeout(FED_WITHIN):
            while await connection.fetchval(
                "SELECT count(*) FROM agent_session WHERE last_full_sync_at IS NOT NULL"
            ) < len(CLUSTERS):
                await asyncio.sleep(POLL)
    finally:
        await connection.close()


async def _first_alerts(local: Running, clusters: list[Cluster]) -> None:
    """Let each cluster's Falco see something, and wait until it is stored."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for cluster in clusters:
            for _ in range(FIRST_ALERTS):
                await cluster.alert(client)
    connection = await asyncpg.connect(local.database_url)
    try:
        async with asyncio.timeout(FED_WITHIN):
            while await connection.fetchval(
                "SELECT count(*) FROM runtime_event"
            ) < FIRST_ALERTS * len(clusters):
                await asyncio.sleep(POLL)
    finally:
        await connection.close()


async def _ask(local: Running, question: str) -> object:
    async with httpx.AsyncClient(timeout=30.0) as client:
        answer = await client.post(
            f"{local.url}/graphql",
            json={"query": question},
            headers={"Authorization": f"Bearer {local.token}"},
        )
    body = answer.json()
    if "errors" in body or not all(body["data"].values()):
        raise click.ClickException(f"the demo's own question failed: {body}")
    return body["data"]


def _introduce(local: Running, home: Home) -> None:
    click.echo(f"fleetwatch answers at {local.url}/graphql (a page to ask from, in a browser)")
    click.echo(f"Its token: {local.token}")
    click.echo("\nThe clusters change every few seconds. In another terminal, ask:\n")
    click.echo(f"  export FLEETWATCH_HOME={home.folder}")
    click.echo(
        "  .venv/bin/fleetwatch query --format table '{ findings(first: 20, orderBy: {field: SEVERITY})"
        " { nodes { severity rule { key } cluster { name } subject { name } firstSeenAt } } }'"
    )
    click.echo("\nFollow what Falco sees in all of them, as it happens:\n")
    click.echo(f"  .venv/bin/fleetwatch query '{SUBSCRIPTION}'")
    click.echo("\nStop with Ctrl-C.")


if __name__ == "__main__":
    main()
