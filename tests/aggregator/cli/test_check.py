"""`fleetwatch check`, on a database and on the local `up`."""

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner

from aggregator.cli import main
from aggregator.cli.home import Home
from aggregator.store.pool import Pool
from tests.aggregator.store.fleet import add_cluster


async def fleetwatch(*arguments: str) -> tuple[int, str, str]:
    """Run a command, which has a loop of its own. Returns status, output and errors."""
    result = await asyncio.to_thread(CliRunner().invoke, main, ["check", *arguments])
    return result.exit_code, result.stdout, result.stderr


async def test_a_sound_database_is_said_to_be_sound(pool: Pool, dsn: str) -> None:
    await add_cluster(pool)

    status, output, errors = await fleetwatch("--database-url", dsn)

    assert (status, output) == (0, "")
    assert errors == "counting one\nAll counts of 1 clusters equal a recount.\n"


async def test_what_differs_is_reported_for_people_and_programs(pool: Pool, dsn: str) -> None:
    cluster = await add_cluster(pool)
    await pool.execute(
        "INSERT INTO usage (content_id, cluster_id, namespace, rows, placements, reports)"
        " VALUES (7, $1, 'web', 1, 2, 3)",
        cluster,
    )

    status, output, _ = await fleetwatch("--database-url", dsn)
    assert status == 1
    assert [line.split()[:3] for line in output.splitlines()] == [
        ["TABLE", "CLUSTER", "ROWS"],
        ["usage", "one", "1"],
    ]
    status, output, errors = await fleetwatch("--database-url", dsn, "--format", "json")
    assert (status, errors) == (1, "")
    [drift] = json.loads(output)["drift"]
    assert drift["examples"][0]["counted"] is None
    assert drift["examples"][0]["stored"]["reports"] == 3


async def test_the_database_of_the_local_up_is_found(pool: Pool, dsn: str, tmp_path: Path) -> None:
    await add_cluster(pool)

    status, _, errors = await fleetwatch("--home", str(tmp_path))
    assert status == 1
    assert "No `fleetwatch up` runs on" in errors
    with Home(tmp_path).announced("http://127.0.0.1:1", dsn):
        status, _, errors = await fleetwatch("--home", str(tmp_path), "--cluster", "one")
        assert (status, errors.splitlines()[0]) == (0, "counting one")
        status, _, errors = await fleetwatch("--home", str(tmp_path), "--cluster", "two")
        assert status == 1
        assert "There is no cluster named two." in errors
