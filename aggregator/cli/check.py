"""`fleetwatch check`: whether every stored count equals a recount."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from aggregator.cli.client import home_option
from aggregator.cli.table import as_text

if TYPE_CHECKING:
    from aggregator.store.check import Drift


@click.command()
@click.option("--cluster", metavar="NAME", help="Count this cluster alone.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--database-url",
    envvar="DATABASE_URL",
    show_envvar=True,
    help="The Postgres to look into.  [default: that of the local `fleetwatch up`]",
)
@home_option
@click.pass_context
def check(
    context: click.Context,
    *,
    cluster: str | None,
    style: str,
    database_url: str | None,
    home: Path,
) -> None:
    """Count again everything that is stored as a count, and report what differs.

    Works on the database itself, reads only, and may run while agents report: each cluster is counted
    within one snapshot. Exits with 1 if anything differs.

    \b
    Examples:
      fleetwatch check
      fleetwatch check --cluster prod-eu --format json
    """  # noqa: D301 - click reads the backspace
    address = database_url or _local(home)
    clusters, drifts = _look(address, cluster, progress=style == "text")
    if style == "json":
        found = [msgspec.to_builtins(drift) for drift in drifts]
        click.echo(json.dumps({"clusters": clusters, "drift": found}, indent=2))
    elif drifts:
        click.echo(as_text([_row(drift) for drift in drifts]))
    else:
        click.echo(f"All counts of {clusters} clusters equal a recount.", err=True)
    context.exit(1 if drifts else 0)


def _local(home: Path) -> str:
    from aggregator.cli.home import Home

    address = Home(home).running_database()
    if address is None:
        raise click.ClickException(
            f"No `fleetwatch up` runs on {home}: start it, or give --database-url or DATABASE_URL."
        )
    return address


def _look(database_url: str, cluster: str | None, *, progress: bool) -> tuple[int, "list[Drift]"]:
    from aggregator.cli.server import run
    from aggregator.store.check import TIMEOUT, UnknownClusterError, drifts
    from aggregator.store.pool import UnavailableError, answering, open_pool

    async def look() -> "tuple[int, list[Drift]]":
        found: list[Drift] = []
        clusters = 0
        with answering():
            pool = await open_pool(database_url, size=1, statement_timeout=TIMEOUT)
            try:
                async for step in drifts(pool, cluster=cluster):
                    if not isinstance(step, str):
                        found.append(step)
                        continue
                    clusters += 1
                    if progress:
                        click.echo(f"counting {step}", err=True)
            finally:
                await pool.close()
        return clusters, found

    try:
        return run(look())
    except UnknownClusterError as error:
        raise click.ClickException(f"There is no cluster named {error}.") from error
    except UnavailableError as error:
        raise click.ClickException(f"{error}. Check DATABASE_URL.") from error


def _row(drift: "Drift") -> dict[str, Any]:
    example = drift.examples[0]
    return {
        "table": drift.table,
        "cluster": drift.cluster or "(fleet)",
        "rows": drift.rows,
        "stored": json.dumps(example["stored"]),
        "counted": json.dumps(example["counted"]),
    }
