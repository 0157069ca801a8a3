"""`fleetwatch serve` and `migrate`: for production, on a Postgres of one's own."""

from collections.abc import Callable
from typing import Any

import click

from aggregator.cli import logs
from aggregator.cli.options import ACCESS_LOG, DATABASE_URL, LISTEN, Command, log_options
from aggregator.settings import Address, Settings


def _setting(name: str, kind: Any, text: str) -> Callable[[Command], Command]:
    """Make an option of a field of Settings, with its default."""
    return click.option(
        f"--{name.replace('_', '-')}",
        type=kind,
        envvar=f"FLEETWATCH_{name.upper()}",
        show_envvar=True,
        default=Settings.__dataclass_fields__[name].default,
        show_default=True,
        help=text,
    )


@click.command()
@DATABASE_URL
@LISTEN
@_setting(
    "query_database_url",
    str,
    "A streaming standby of the database that answers queries; its lag is told with each answer.",
)
@_setting(
    "query_max_lag",
    click.FloatRange(0.5),
    "Seconds that the standby may be behind; beyond, the primary answers.",
)
@_setting("query_connections", click.IntRange(1, 1000), "Connections to Postgres for queries.")
@_setting("query_timeout", click.FloatRange(0.1), "Seconds until a statement is given up.")
@_setting("ingest_connections", click.IntRange(1, 1000), "Connections to Postgres for agents.")
@_setting("ingest_timeout", click.FloatRange(0.1), "Seconds until a statement is given up.")
@_setting("events_retention", click.FloatRange(1), "Days that runtime events are kept.")
@_setting(
    "contents_retention",
    click.FloatRange(0),
    "Days that contents are kept which no report shows any more.",
)
@_setting(
    "events_rate",
    click.FloatRange(0),
    "Runtime events a second of one cluster; above it they wait in its spool. 0 is any number.",
)
@_setting(
    "events_budget",
    click.IntRange(0),
    "Runtime events a day of one cluster; above it they are lost, and a gap says so.",
)
@_setting("body_bytes", click.IntRange(1024), "Limit of a request's body.")
@_setting("frame_bytes", click.IntRange(65536), "Limit of an agent's message.")
@_setting("shutdown_grace", click.FloatRange(0), "Seconds for what is under way when stopping.")
@click.option(
    "--cursor-secret",
    envvar="FLEETWATCH_CURSOR_SECRET",
    show_envvar=True,
    default="",
    help="Signs the cursors of pages; the same for all replicas.  [default: made of DATABASE_URL]",
)
@ACCESS_LOG
@log_options(default="info")
def serve(database_url: str, listen: Address, log_level: str, log_format: Any, **rest: Any) -> None:
    """Run the server on a Postgres of yours, for production.

    Run `fleetwatch migrate` first. Any number of replicas may share a database. TLS is ended in
    front of it, by an ingress or a proxy.
    """
    from aggregator.cli.server import ListenError, run
    from aggregator.store.pool import UnavailableError

    logs.configure(level=log_level, style=log_format)
    try:
        run(_serve(Settings(database_url=database_url, **rest), listen))
    except ListenError as error:
        raise click.ClickException(
            f"{listen.host}:{listen.port} cannot be listened on: {error}"
        ) from error
    except UnavailableError as error:
        raise click.ClickException(f"{error}. Check DATABASE_URL.") from error


async def _serve(settings: Settings, address: Address) -> None:
    from aggregator.app import create_app
    from aggregator.cli.server import bind, bound_address, first_of, serving, signals

    with signals() as stop, bind(address) as listener:
        await _check_schema(settings.database_url)
        async with serving(create_app(settings), settings, listener) as server:
            click.echo(f"fleetwatch answers at {bound_address(listener).url}", err=True)
            await first_of(stop, server)


async def _check_schema(database_url: str) -> None:
    from aggregator.store.migrations import current, head, serves
    from aggregator.store.pool import answering, open_pool

    with answering():
        pool = await open_pool(database_url, size=1, statement_timeout=10.0)
        try:
            revision = await current(pool)
        finally:
            await pool.close()
    if not serves(revision):
        raise click.ClickException(
            f"The schema of the database is {revision or 'missing'}, this version needs {head()}: "
            "run `fleetwatch migrate`."
        )


@click.command()
@DATABASE_URL
def migrate(database_url: str) -> None:
    """Bring the database to the schema of this version.

    Safe to run at any time and by several at once. Give it a direct connection, not one through a
    transaction pooler: it holds a lock of the session.
    """
    from aggregator.cli.server import run
    from aggregator.store.migrations import migrate as bring_up_to_date
    from aggregator.store.pool import UnavailableError, answering

    try:
        with answering():
            before, after = run(bring_up_to_date(database_url))
    except UnavailableError as error:
        raise click.ClickException(f"{error}. Check DATABASE_URL.") from error
    if before == after:
        click.echo(f"The schema is up to date: {after}.")
    else:
        click.echo(f"The schema is brought from {before or 'nothing'} to {after}.")
