"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from aggregator.cli import logs
from aggregator.settings import Address, BadSettingError, parse_address

Command = TypeVar("Command", bound=Callable[..., Any])

DATABASE_URL = click.option(
    "--database-url",
    envvar="DATABASE_URL",
    show_envvar=True,
    required=True,
    help="The Postgres to use, 15 or newer: postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
)


class AddressType(click.ParamType[Address]):
    """HOST:PORT."""

    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Read an address."""
        if isinstance(value, Address):
            return value
        try:
            return parse_address(value)
        except BadSettingError as error:
            self.fail(str(error), param, ctx)


LISTEN = click.option(
    "--listen",
    type=AddressType(),
    envvar="FLEETWATCH_LISTEN",
    show_envvar=True,
    default="127.0.0.1:8080",
    show_default=True,
    help="Where to take requests; port 0 lets the system choose.",
)
ACCESS_LOG = click.option(
    "--access-log/--no-access-log",
    envvar="FLEETWATCH_ACCESS_LOG",
    show_envvar=True,
    default=False,
    help="Log every request; refused and failed ones are logged in any case.",
)


def log_options(default: str) -> Callable[[Command], Command]:
    """Add the options on logs."""

    def add(command: Command) -> Command:
        command = click.option(
            "--log-format",
            type=click.Choice(logs.FORMATS),
            envvar="FLEETWATCH_LOG_FORMAT",
            show_envvar=True,
            default="text",
            show_default=True,
        )(command)
        return click.option(
            "--log-level",
            type=click.Choice(logs.LEVELS),
            envvar="FLEETWATCH_LOG_LEVEL",
            show_envvar=True,
            default=default,
            show_default=True,
        )(command)

    return add
