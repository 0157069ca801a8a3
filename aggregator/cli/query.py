"""`fleetwatch query`: a GraphQL client for the shell."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from aggregator.cli.client import AnswerError, Client, find_server, server_options
from aggregator.cli.follow import follow
from aggregator.cli.table import as_text, rows_of

ROWS = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_SUBSCRIPTION = re.compile(r"(?:\s|#[^\n]*\n)*subscription\b")
_TEXT_VARIABLE = r"\$%s\s*:\s*\[?\s*(?:String|ID|DateTime)\b"


@click.command()
@click.argument("text", metavar="QUERY", required=False)
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Read the query from a file; - is standard input.",
)
@click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable; repeatable. The value is JSON, or text as it stands.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["json", "table", "csv", "ndjson"]),
    default="json",
    show_default=True,
    help="json prints the whole answer; table the nodes of its first connection; csv and ndjson "
    "every row of the one connection asked for, on all pages, as they come.",
)
@server_options
def query(
    text: str | None, file: Path | None, variables: tuple[str, ...], style: str, **where: Any
) -> None:
    """Ask a GraphQL QUERY and print the answer; a subscription is followed until Ctrl-C.

    Exits with 1 if the answer holds errors; they go to standard error.

    \b
    Examples:
      fleetwatch query '{ fleet { clusters severities { critical high } } }'
      fleetwatch query --format table \\
        '{ findings(first: 20) { nodes { severity rule { key } cluster { name } } } }'
      fleetwatch query --format csv \\
        '{ findings { nodes { severity rule { key } cluster { name } } } }' > findings.csv
      fleetwatch query --var rule=CVE-2021-44228 \\
        'query ($rule: String!) { rule(key: $rule) { clusterCount findingCount } }'
      fleetwatch query 'subscription { runtimeEvents { cursor node { time rule pod } } }'
    """  # noqa: D301 - click reads the backspace
    if (text is None) == (file is None):
        raise click.UsageError("Give either a QUERY or -f FILE.")
    if file is not None:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    assert text is not None  # noqa: S101 - one of the two is given
    server = find_server(**where)
    if _SUBSCRIPTION.match(text):
        if style != "json":
            raise click.UsageError("A subscription is printed as JSON, a line an event.")
        follow(server, text, read_variables(variables, text))
        return
    client = Client(server)
    if style in ROWS:
        for part in client.rows(text, read_variables(variables, text), ROWS[style]):
            click.echo(part, nl=False)
        return
    try:
        answer = client.answer(text, read_variables(variables, text))
    except AnswerError as error:
        if style == "json":
            click.echo(json.dumps(error.answer, indent=2))
        raise
    if style == "json":
        click.echo(json.dumps(answer, indent=2))
        return
    rows = rows_of(answer["data"])
    if rows:
        click.echo(as_text(rows))
    else:
        click.echo("The answer holds no rows.", err=True)


def read_variables(items: tuple[str, ...], text: str) -> dict[str, Any]:
    """Read NAME=VALUE items. What the query declares as a text is never read as JSON: `1.10`."""
    variables: dict[str, Any] = {}
    for item in items:
        name, separator, value = item.partition("=")
        if not separator or not name:
            raise click.UsageError(f"--var {item!r} is not NAME=VALUE.")
        variables[name] = _value(value, is_text=_is_text(name, text))
    return variables


def _is_text(name: str, text: str) -> bool:
    return re.search(_TEXT_VARIABLE % re.escape(name), text) is not None


def _value(value: str, *, is_text: bool) -> Any:
    if is_text and value[:1] not in ("[", '"') and value != "null":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
