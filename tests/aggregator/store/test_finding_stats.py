"""Counts of the whole fleet equal a recount whenever they are taken."""

from datetime import timedelta

import pytest

from aggregator.store import finding_stats, ingest
from aggregator.store.contents import NewContent
from aggregator.store.ingest import Write
from aggregator.store.pool import Pool
from bench import fleet
from tests.aggregator.store.fleet import KIND, add_cluster, content, report

PLACES = """
FROM placement_content pc JOIN cluster c ON c.id = pc.cluster_id
JOIN finding f ON f.content_id = pc.content_id
WHERE pc.live + pc.absent > 0
GROUP BY 1, 2, 3, 4, 5
"""
COUNTED = """
SELECT {key}, f.category::text, f.severity::text, f.status::text, f.fixed_version IS NOT NULL,
    count(*), sum(pc.live + pc.absent)::bigint, array_agg(DISTINCT c.ordinal ORDER BY c.ordinal)
"""
TAKEN = """
SELECT {key}, category::text, severity::text, status::text, fixable, findings, occurrences,
    ARRAY(SELECT n FROM generate_series(0, length(clusters) - 1) n WHERE get_bit(clusters, n) = 1)
FROM {table}
"""


async def assert_equal_to_a_recount(pool: Pool) -> None:
    for table, key, at in (
        ("rule_stat", "rule_id", "f.rule_id"),
        ("package_stat", "package", "coalesce(f.package, '')"),
        ("image_stat", "image_id", "coalesce(pc.image_id, 0)"),
    ):
        expected = await pool.fetch((COUNTED + PLACES).format(key=at))
        actual = await pool.fetch(TAKEN.format(key=key, table=table))
        assert sorted(map(tuple, actual)) == sorted(map(tuple, expected)), table
    spread = "SELECT image_id, count(DISTINCT cluster_id) FROM image_usage GROUP BY 1 ORDER BY 1"
    actual = await pool.fetch("SELECT * FROM image_spread ORDER BY 1")
    assert [*map(tuple, actual)] == [*map(tuple, await pool.fetch(spread))]


async def test_a_fleet_is_counted(pool: Pool, dsn: str) -> None:
    await fleet.load(dsn, size=0.0005)

    await finding_stats.take(pool)

    for table in ("rule_stat", "package_stat", "image_stat", "image_spread"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") > 50
    await assert_equal_to_a_recount(pool)


async def test_what_changes_and_goes_is_counted_anew(pool: Pool) -> None:
    one, two = await add_cluster(pool, "one"), await add_cluster(pool, "two")
    first, second = content("CVE-1", "CVE-2"), content("CVE-2", "CVE-3")
    await ingest.write(pool, [write(one, first), write(two, first)])
    await finding_stats.take(pool)
    await assert_equal_to_a_recount(pool)
    before = await pool.fetch("SELECT xmin::text, * FROM rule_stat ORDER BY rule_id")

    await finding_stats.take(pool)
    assert await pool.fetch("SELECT xmin::text, * FROM rule_stat ORDER BY rule_id") == before

    three = await add_cluster(pool, "three")  # the bits get longer
    await ingest.write(pool, [write(two, second), write(three, second)])
    await finding_stats.take(pool)
    await assert_equal_to_a_recount(pool)

    await pool.execute("DELETE FROM usage; DELETE FROM placement_content")
    await finding_stats.take(pool)
    assert await pool.fetchval("SELECT count(*) FROM rule_stat") == 0
    await assert_equal_to_a_recount(pool)


def write(cluster_id: int, found: NewContent) -> Write:
    item = report(found)
    return Write(
        cluster_id=cluster_id, session=1, contents=(found,), upserts={(KIND, item.key): item}
    )


@pytest.mark.parametrize(
    ("ago", "seconds", "due"),
    [(59, 0.1, False), (61, 0.1, True), (61, 10, False), (199, 10, False), (201, 10, True)],
)
async def test_they_are_taken_as_often_as_they_cost_little(
    pool: Pool, ago: int, seconds: float, *, due: bool
) -> None:
    assert await finding_stats.due(pool)
    await pool.execute(
        "INSERT INTO finding_stats_taken (at, seconds) VALUES (now() - $1::interval, $2)",
        timedelta(seconds=ago),
        seconds,
    )
    assert await finding_stats.due(pool) is due


async def test_an_empty_fleet_has_none(pool: Pool) -> None:
    await finding_stats.take(pool)

    assert await pool.fetchval("SELECT count(*) FROM rule_stat") == 0
    assert await pool.fetchval("SELECT count(*) FROM finding_stats_taken") == 1
