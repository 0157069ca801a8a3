"""The command `fleetwatch` and its subcommands. Heavy imports stay inside the commands."""

import click

from aggregator.cli.check import check
from aggregator.cli.cluster import cluster
from aggregator.cli.query import query
from aggregator.cli.serve import migrate, serve
from aggregator.cli.token import token
from aggregator.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fleetwatch", prog_name="fleetwatch")
def main() -> None:
    """Fleetwatch: the security findings of every cluster in one graph.

    \b
    To begin:
      fleetwatch up                       run everything on this machine
      fleetwatch cluster add dev          add a cluster, get its agent's token
      fleetwatch query '{ fleet { clusters severities { critical } } }'

    The other commands speak to the server that FLEETWATCH_URL and FLEETWATCH_TOKEN name, or to the
    `fleetwatch up` that runs here.
    """  # noqa: D301 - click reads the backspace


for command in (up, serve, migrate, check, cluster, token, query):
    main.add_command(command)
