"""A recount finds what differs, says where, and nothing else."""

import pytest

from aggregator.store import check
from aggregator.store.check import Drift, UnknownClusterError, drifts
from aggregator.store.ingest import Write, write
from aggregator.store.pool import Pool
from tests.aggregator.store.fleet import KIND, add_cluster, content, report, workload

# What makes each table wrong for cluster "one", and nothing else wrong.
FAULTS = {
    "placement_content": "UPDATE placement_content SET absent = 1 WHERE cluster_id = 1",
    "severity_count": "DELETE FROM severity_count WHERE cluster_id = 1",
    "cluster_severity_count": "UPDATE cluster_severity_count SET findings = 9 WHERE cluster_id = 1",
    "usage": "INSERT INTO usage (content_id, cluster_id, namespace, rows, placements, reports)"
    " VALUES (77, 1, 'default', 1, 1, 1)",
    "image_usage": "UPDATE image_usage SET pods = pods + 1 WHERE cluster_id = 1",
    "subject": "UPDATE subject SET scanned = false WHERE cluster_id = 1",
    "placement": "UPDATE placement SET keysets = '{}' WHERE cluster_id = 1",
    "sync_root": "UPDATE sync_root SET root = root # 1 WHERE cluster_id = 1 AND kind LIKE 'aqua%'",
    "runtime_event_hour": "UPDATE runtime_event_hour SET events = 2 WHERE cluster_id = 1",
    "content_count": "UPDATE content_count SET findings = findings + 1 WHERE content_id = 1",
    "runtime_event_fleet_hour": "DELETE FROM runtime_event_fleet_hour",
    "runtime_event_fleet_day": "UPDATE runtime_event_fleet_day SET events = 7",
}
FOLLOWING = {  # what is counted from a table that is wrong is wrong too
    "runtime_event_hour": {"runtime_event_fleet_hour", "runtime_event_fleet_day"}
}


async def found(pool: Pool, **which: str) -> list[Drift]:
    return [drift async for drift in drifts(pool, **which) if isinstance(drift, Drift)]


@pytest.fixture
async def fleet(pool: Pool) -> Pool:
    """Two clusters with reports, a workload and an event each."""
    brought = content("CVE-1", "CVE-2")
    item, runs = report(brought), workload()
    for name in ("one", "two"):
        cluster = await add_cluster(pool, name)
        part = Write(
            cluster_id=cluster,
            session=1,
            contents=(brought,),
            upserts={(KIND, item.key): item, ("inventory/Workload", runs.key): runs},
        )
        await write(pool, [part])
        await pool.execute(
            "INSERT INTO runtime_event (cluster_id, at, time, received_at, priority, rule, source,"
            " hostname, namespace, pod, container, output, tags, fields)"
            " VALUES ($1, now(), now(), now(), 'NOTICE', 'r', 's', '', '', '', '', '', '{}', '{}')",
            cluster,
        )
    await pool.execute(
        "INSERT INTO runtime_event_hour SELECT cluster_id, date_trunc('hour', at), '', rule, priority,"
        " source, 1 FROM runtime_event"
    )
    for unit in ("hour", "day"):
        await pool.execute(
            f"INSERT INTO runtime_event_fleet_{unit} SELECT date_trunc('{unit}', at), rule, priority,"
            " source, count(*) FROM runtime_event GROUP BY 1, 2, 3, 4"
        )
    return pool


async def test_a_fleet_without_fault_has_no_drift(fleet: Pool) -> None:
    assert [drift async for drift in drifts(fleet)] == ["one", "two"]


@pytest.mark.parametrize("table", FAULTS)
async def test_each_table_is_compared(fleet: Pool, table: str) -> None:
    await fleet.execute(FAULTS[table])

    wrong = await found(fleet)

    assert {drift.table for drift in wrong} == {table} | FOLLOWING.get(table, set())
    of_clusters = {one.table for one in check.OF_CLUSTER}
    assert {drift.cluster for drift in wrong if drift.table in of_clusters} <= {"one"}
    assert all(drift.rows for drift in wrong)


def test_every_check_has_a_fault() -> None:
    checks = (*check.OF_CLUSTER, *check.OF_CONTENTS, *check.OF_FLEET)
    assert {one.table for one in checks} == set(FAULTS)


async def test_an_example_shows_both_sides(fleet: Pool) -> None:
    await fleet.execute("UPDATE usage SET reports = 5 WHERE cluster_id = 2")

    [drift] = await found(fleet, cluster="two")

    assert (drift.table, drift.cluster, drift.rows) == ("usage", "two", 1)
    [example] = drift.examples
    assert example["stored"] == {**example["counted"], "reports": 5}
    assert await found(fleet, cluster="one") == []


async def test_examples_are_few(fleet: Pool) -> None:
    await fleet.execute(
        "INSERT INTO usage (content_id, cluster_id, namespace, rows, placements, reports)"
        " SELECT n, 1, 'x', 1, 1, 1 FROM generate_series(100, 199) n"
    )

    [drift] = await found(fleet)

    assert drift.rows == 100
    assert len(drift.examples) == check.EXAMPLES
    assert {example["counted"] for example in drift.examples} == {None}


async def test_a_cluster_that_does_not_exist_is_named(pool: Pool) -> None:
    with pytest.raises(UnknownClusterError, match="nowhere"):
        await found(pool, cluster="nowhere")
