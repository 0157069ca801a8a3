"""Every setting and command is documented, and agent and aggregator look at the same places."""

from collections.abc import Iterator
from pathlib import Path

import click
import platformdirs
import pytest

from agent.cli import main as agent
from agent.settings import data_folder
from aggregator.cli import main as aggregator
from aggregator.cli.home import default_home

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from walk(child, f"{name} {child.name}")


COMMANDS = [*walk(aggregator, "fleetwatch"), *walk(agent, "fleetwatch-agent")]
VARIABLES = sorted(
    {
        str(option.envvar)
        for _, command in COMMANDS
        for option in command.params
        if option.envvar is not None
    }
)


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_has_a_row(variable: str) -> None:
    assert f"| `{variable}` |" in OPERATIONS.read_text()


LEAVES = [name for name, command in COMMANDS if not isinstance(command, click.Group)]


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_is_described(name: str) -> None:
    assert f"| `{name}" in OPERATIONS.read_text()


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_and_option_helps(name: str, command: click.Command) -> None:
    assert command.help, name
    for option in command.params:
        if isinstance(option, click.Option) and not isinstance(option.type, click.Choice):
            assert option.help, f"{name} {option.opts}"


def test_the_agent_looks_for_the_local_up_where_it_is() -> None:
    assert data_folder("fleetwatch") == default_home() == platformdirs.user_data_path("fleetwatch")
