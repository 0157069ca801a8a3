"""`fleetwatch query --format csv` against a running aggregator."""

import asyncio
import csv
import io
import json

from click.testing import CliRunner, Result

from aggregator.cli import main
from tests.e2e.conftest import Aggregator

NAMES = "{ clusters { nodes { name labels } } }"


async def run(aggregator: Aggregator, *arguments: str) -> Result:
    environment = {"FLEETWATCH_URL": aggregator.url, "FLEETWATCH_TOKEN": aggregator.token}
    runner = CliRunner()
    return await asyncio.to_thread(runner.invoke, main, ["query", *arguments], env=environment)


async def test_every_row_comes_as_a_table_or_as_lines(aggregator: Aggregator) -> None:
    names = [f"c{number:04}" for number in range(1_234)]
    await aggregator.pool.execute(
        "INSERT INTO cluster (name, ordinal) SELECT n, o FROM unnest($1::text[]) WITH ORDINALITY u(n, o)",
        names,
    )

    table = await run(aggregator, "--format", "csv", NAMES)
    lines = await run(aggregator, "--format", "ndjson", NAMES)

    assert (table.exit_code, lines.exit_code) == (0, 0), table.output
    rows = list(csv.DictReader(io.StringIO(table.stdout, newline="")))
    assert [row["name"] for row in rows] == names
    assert [json.loads(line)["name"] for line in lines.stdout.splitlines()] == names


async def test_errors_are_told_as_those_of_any_answer(aggregator: Aggregator) -> None:
    result = await run(aggregator, "--format", "csv", "{ fleet { reports } }")

    assert result.exit_code == 1
    assert "Rows are exported of one connection" in result.stderr
    assert result.stdout == ""
