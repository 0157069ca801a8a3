"""Clusters: dense ordinals, and nothing left behind."""

import asyncio

import pytest

from aggregator.ingest import maintenance
from aggregator.ingest.maintenance import Maintenance
from aggregator.store import clusters, removal
from aggregator.store.pool import Pool

# Tables with a column cluster_id that go by themselves when the cluster's row goes.
CASCADES = {"agent_session"}


async def add(pool: Pool, name: str) -> int:
    async with pool.acquire() as connection, connection.transaction():
        return await clusters.add(connection, name=name, labels={})


async def remove(pool: Pool, name: str) -> bool:
    async with pool.acquire() as connection, connection.transaction():
        return await clusters.remove(connection, name=name)


async def purge(pool: Pool) -> int:
    """Delete what is left of removed clusters. Returns how many batches that took."""
    return len([rows async for rows in removal.purge(pool)])


async def ordinals(pool: Pool) -> list[int]:
    return [row["ordinal"] for row in await pool.fetch("SELECT ordinal FROM cluster ORDER BY 1")]


async def test_ordinals_are_dense_though_many_add_at_once(pool: Pool) -> None:
    await asyncio.gather(*(add(pool, f"c{number}") for number in range(12)))

    assert await ordinals(pool) == list(range(12))


async def test_a_freed_ordinal_is_given_out_again(pool: Pool) -> None:
    for name in ("a", "b", "c"):
        await add(pool, name)
    await remove(pool, "b")
    await purge(pool)
    await add(pool, "d")
    assert await pool.fetchval("SELECT ordinal FROM cluster WHERE name = 'd'") == 1

    await remove(pool, "a")
    await purge(pool)
    await add(pool, "e")
    assert await pool.fetchval("SELECT ordinal FROM cluster WHERE name = 'e'") == 0


async def test_a_taken_name_leaves_the_transaction_usable(pool: Pool) -> None:
    await add(pool, "a")
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(clusters.NameTakenError):
            await clusters.add(connection, name="a", labels={})
        assert await clusters.find(connection, name="a") is not None


async def test_every_table_of_clusters_is_emptied_by_a_removal(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT c.table_name FROM information_schema.columns c JOIN pg_class k"
        " ON k.oid = c.table_name::regclass AND NOT k.relispartition"
        " WHERE c.column_name = 'cluster_id' AND c.table_schema = 'public'"
    )

    tables = {row["table_name"] for row in rows}
    assert tables - CASCADES == set(removal.CLUSTER_TABLES)


async def test_a_removal_takes_what_was_reported_and_spares_the_others(pool: Pool) -> None:
    for name in ("gone", "kept"):
        cluster_id = await add(pool, name)
        await fill(pool, cluster_id)

    assert await remove(pool, "gone")
    assert not await remove(pool, "gone")
    assert await pool.fetchval("SELECT events FROM runtime_event_fleet_hour") == 1  # at once
    await purge(pool)

    kept = await pool.fetchval("SELECT id FROM cluster WHERE name = 'kept'")
    for table in (*removal.CLUSTER_TABLES, *CASCADES):
        found = await pool.fetch(f"SELECT DISTINCT cluster_id FROM {table}")
        assert [row["cluster_id"] for row in found] in ([kept], []), table
    assert await pool.fetchval("SELECT count(*) FROM running_image") == 1
    assert await pool.fetchval("SELECT count(*) FROM placement_content") == 1
    assert await pool.fetchval("SELECT events FROM runtime_event_fleet_hour") == 1


async def test_a_name_and_uid_are_free_before_the_rows_are_gone(pool: Pool) -> None:
    first = await add(pool, "prod")
    await pool.execute("UPDATE cluster SET uid = 'u'")
    await fill(pool, first)
    await remove(pool, "prod")

    second = await add(pool, "prod")

    await pool.execute("UPDATE cluster SET uid = 'u' WHERE id = $1", second)
    assert await clusters.find(pool, name="prod") == second
    assert await clusters.find(pool, name=f"#{first}") is None
    await purge(pool)
    assert [row["id"] for row in await pool.fetch("SELECT id FROM cluster")] == [second]


async def test_a_removal_goes_in_batches(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_id = await add(pool, "gone")
    await pool.execute(
        "INSERT INTO usage (content_id, cluster_id, namespace, rows, placements, reports)"
        " SELECT n, $1, 'a', 1, 1, 1 FROM generate_series(1, 25) n",
        cluster_id,
    )
    await remove(pool, "gone")
    monkeypatch.setattr(removal, "ROWS", 10)

    batches = [rows async for rows in removal.purge(pool) if rows]

    assert batches == [10, 10, 5]
    assert await pool.fetchval("SELECT count(*) FROM cluster") == 0


async def test_maintenance_goes_on_with_a_removal_in_its_next_round(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(pool, await add(pool, "gone"))
    await remove(pool, "gone")
    tasks = Maintenance(pool)
    monkeypatch.setattr(maintenance, "PURGE", 0.0)
    await tasks.round()
    assert await pool.fetchval("SELECT count(*) FROM cluster") == 1
    monkeypatch.setattr(maintenance, "PURGE", 60.0)

    await tasks.round()

    assert await pool.fetchval("SELECT count(*) FROM cluster") == 0


FILL = """
    WITH i AS (
        INSERT INTO image (registry, repository) VALUES ('r', $1::text) RETURNING id
    ), s AS (
        INSERT INTO subject (cluster_id, api_group, kind, namespace, name)
        VALUES ($1::int, 'apps', 'Deployment', 'a', 'b') RETURNING id
    ), p AS (
        INSERT INTO placement (cluster_id, subject_id, namespace, source)
        SELECT $1, s.id, 'a', 'x' FROM s RETURNING id
    ), pc AS (
        INSERT INTO placement_content
            (placement_id, content_id, cluster_id, live, absent, superseded, since, observed_at)
        SELECT p.id, 1, $1, 1, 0, 0, now(), now() FROM p
    ), t AS (
        INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)
        SELECT p.id, $1, now(), now(), '{}', '{}' FROM p
    )
    INSERT INTO running_image (cluster_id, subject_id, container, image_id, pods)
    SELECT $1, s.id, 'c', i.id, 1 FROM s, i
"""


async def fill(pool: Pool, cluster_id: int) -> None:
    await pool.execute(FILL.replace("$1::text", f"'{cluster_id}'"), cluster_id)
    await pool.execute(
        "INSERT INTO usage (content_id, cluster_id, namespace, rows, placements, reports) "
        "VALUES (1, $1, 'a', 1, 1, 1)",
        cluster_id,
    )
    await pool.execute(
        "INSERT INTO runtime_event_hour VALUES ($1, date_trunc('hour', now()), 'a', 'r', 'NOTICE', 's', 1)",
        cluster_id,
    )
    await pool.execute(
        "INSERT INTO runtime_event_fleet_hour AS h SELECT hour, rule, priority, source, events"
        " FROM runtime_event_hour WHERE cluster_id = $1"
        " ON CONFLICT (hour, rule, priority, source) DO UPDATE SET events = h.events + 1",
        cluster_id,
    )
