"""`fleetwatch up`: everything on this machine, until Ctrl-C."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import logs
from aggregator.cli.client import home_option
from aggregator.cli.home import Home, LockedError
from aggregator.cli.options import ACCESS_LOG, LISTEN, log_options
from aggregator.settings import Address

if TYPE_CHECKING:
    from aggregator.cli.local import Running


@click.command()
@LISTEN
@home_option
@ACCESS_LOG
@log_options(default="warning")
def up(*, listen: Address, home: Path, access_log: bool, log_level: str, log_format: Any) -> None:
    """Run all of fleetwatch on this machine, with its own Postgres.

    The first start makes the administrator's token, shows it once and keeps it in the file
    admin-token of the home folder, where the other commands find it. Data stays between runs.
    Ctrl-C ends it.

    \b
    Example, in two terminals:
      fleetwatch up
      fleetwatch cluster add dev
    """  # noqa: D301 - click reads the backspace
    from aggregator.cli.server import ListenError, run
    from aggregator.store.embedded import PostgresError

    logs.configure(level=log_level, style=log_format)
    folder = Home(home)
    try:
        run(_up(folder, listen, access_log=access_log))
    except LockedError as error:
        raise click.ClickException(
            f"Another `fleetwatch up`, process {error}, already runs on {folder.folder}. Stop it, or "
            "choose another folder with --home."
        ) from error
    except ListenError as error:
        raise click.ClickException(
            f"{listen.host}:{listen.port} cannot be listened on: {error}. "
            "Choose another address with --listen HOST:PORT."
        ) from error
    except PostgresError as error:
        raise click.ClickException(f"{error}\nIts log is {folder.data}/server.log.") from error
    except PermissionError as error:
        raise click.ClickException(
            f"The home folder cannot be used: {error}. Choose another with --home."
        ) from error


async def _up(home: Home, address: Address, *, access_log: bool) -> None:
    from aggregator.cli.local import running
    from aggregator.cli.progress import Progress
    from aggregator.cli.server import first_of, signals

    with signals() as stop, Progress() as progress:
        async with running(home, address, progress=progress.step, access_log=access_log) as local:
            progress.done()
            _introduce(local)
            await first_of(stop, local.server)
            progress.step("stopping")


def _introduce(local: "Running") -> None:
    click.echo(f"fleetwatch answers at {local.url}")
    if local.new_token is not None:
        click.echo(f"The administrator's token, shown this once:\n\n  {local.new_token}\n")
    click.echo(f"The administrator's token is kept in {local.token_file}")
    click.echo("Add a cluster: fleetwatch cluster add NAME. Stop with Ctrl-C.")
    sys.stdout.flush()
