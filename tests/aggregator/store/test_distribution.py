"""Runtime events could be distributed by cluster: what Citus demands of a table holds in the catalogue.

Citus itself is not there. Functions of its names take its place, and look what they are called with.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import migrations
from aggregator.store import clusters, event_retention, removal
from aggregator.store.pool import Pool
from aggregator.store.runtime_events import COLUMNS
from tests.aggregator.store.fleet import add_cluster
from tests.aggregator.store.test_runtime_events import batch, bring, check_counts, numbers
from tests.aggregator.store.test_statements import statements

SCRIPT = Path(migrations.__file__).parent / "optional" / "citus.sql"
TABLES = ("runtime_event", "runtime_event_hour")
BY = "cluster_id"

# With the partitions of a table.
ALL = "SELECT $1::text::regclass UNION SELECT relid FROM pg_partition_tree($1::text::regclass)"
UNIQUE = f"""
SELECT i.indexrelid::regclass::text AS name, array(
    SELECT a.attname::text FROM unnest(i.indkey) AS k (number)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number) AS columns
FROM pg_index i WHERE i.indisunique AND i.indrelid IN ({ALL})
"""
FOREIGN = f"""
SELECT conname::text FROM pg_constraint
WHERE contype = 'f' AND (conrelid IN ({ALL}) OR confrelid IN ({ALL})) AND conparentid = 0
"""
STAND_IN = """
CREATE TABLE distributed (name text, by text, beside text);
CREATE FUNCTION create_distributed_table(name regclass, by text, colocate_with text) RETURNS void
LANGUAGE sql AS $$ INSERT INTO distributed VALUES ($1::text, $2, $3) $$
"""


@pytest.fixture
async def distributed(pool: Pool) -> Pool:
    """Return a database that the optional script has run on."""
    await pool.execute(STAND_IN)
    await pool.execute(SCRIPT.read_text())
    return pool


@pytest.mark.parametrize("table", TABLES)
async def test_what_is_unique_is_so_within_a_cluster(pool: Pool, table: str) -> None:
    indexes = await pool.fetch(UNIQUE, table)
    assert indexes
    assert [row["name"] for row in indexes if BY not in row["columns"]] == []


@pytest.mark.parametrize("table", TABLES)
async def test_no_event_belongs_to_a_row_elsewhere(distributed: Pool, table: str) -> None:
    assert await distributed.fetch(FOREIGN, table) == []


async def test_the_script_distributes_both_alike(distributed: Pool) -> None:
    rows = await distributed.fetch("SELECT * FROM distributed")
    assert [tuple(row) for row in rows] == [
        ("runtime_event", BY, "none"),
        ("runtime_event_hour", BY, "runtime_event"),
    ]


def test_every_row_is_brought_with_its_cluster() -> None:
    assert BY in COLUMNS


def test_what_is_written_is_written_by_cluster() -> None:
    """No statement that changes one of the tables leaves open whose rows these are."""
    changing = [
        (name, text)
        for name, text in statements()
        if re.match(rf"(INSERT INTO|UPDATE|DELETE FROM) ({'|'.join(TABLES)})\b", text)
    ]
    assert len(changing) >= 2
    for name, text in changing:
        if text.startswith("INSERT"):
            named = re.findall(r"\((\w+),", text)  # of the rows, and of what they conflict with
            assert named.count(BY) >= 2, name
        else:
            assert re.search(rf"\b{BY} = \$\d", text), name
        assert "ctid" not in text, name  # says nothing across shards


def test_what_a_removed_cluster_leaves_the_fleet_with_is_found_by_cluster() -> None:
    for statement in (clusters.LEAVE_FLEET_HOURS, clusters.LEAVE_FLEET_DAYS):
        assert re.search(rf"FROM runtime_event_hour WHERE {BY} = \$1", statement)
    assert set(TABLES) == set(removal.BY_HOUR)


async def test_without_the_foreign_key_all_goes_on(distributed: Pool) -> None:
    for name in ("stays", "goes"):
        cluster_id = await add_cluster(distributed, name)
        await bring(distributed, cluster_id, batch(0, 1))
    await check_counts(distributed)
    async with distributed.acquire() as connection, connection.transaction():
        assert await clusters.remove(connection, name="goes")
    assert sum([rows async for rows in removal.purge(distributed)])
    await distributed.execute("DELETE FROM runtime_event_fleet_hour WHERE events = 0")
    await distributed.execute("DELETE FROM runtime_event_fleet_day WHERE events = 0")
    await check_counts(distributed)
    assert await numbers(distributed) == [0, 1]

    later = datetime.now(UTC) + timedelta(days=60)
    await event_retention.drop_old(distributed, timedelta(days=30), now=later)
    assert await numbers(distributed) == []
    await check_counts(distributed)
