"""A small fleet against the real aggregator: every row is what the simulator says."""

from collections.abc import AsyncIterator

import pytest

from bench.simulator import comparison
from bench.simulator.check_reports import Configuration
from bench.simulator.clusters import Cluster
from bench.simulator.fleet import Fleet
from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.e2e.conftest import Aggregator

CLUSTERS = 5
REPORTS = 40


@pytest.fixture
async def fleet(aggregator: Aggregator) -> AsyncIterator[Fleet]:
    """Yield a fleet whose first sync is done."""
    tokens = [await aggregator.add_cluster(f"c{number}") for number in range(CLUSTERS)]
    async with Fleet(aggregator.url, tokens, seed=7, reports=REPORTS) as fleet:
        await fleet.consistent()
        yield fleet


async def assert_held(aggregator: Aggregator, fleet: Fleet) -> None:
    for number in range(CLUSTERS):
        held = await comparison.held(aggregator.pool, f"c{number}")
        assert comparison.differences(fleet.expected(number), held) == []


async def absent(aggregator: Aggregator) -> int:
    count = "SELECT count(*) FROM report WHERE state = 'ABSENT'"
    return int(await aggregator.pool.fetchval(count))


async def test_the_first_sync_brings_every_entry(aggregator: Aggregator, fleet: Fleet) -> None:
    assert fleet.rejected == {}
    await assert_held(aggregator, fleet)
    assert await aggregator.pool.fetchval("SELECT count(*) FROM report") == CLUSTERS * REPORTS
    assert fleet.traffic.contents >= len(fleet.world.contents)
    stored = await aggregator.pool.fetchval("SELECT count(*) FROM content")
    assert stored == len(fleet.world.contents)
    assert stored < CLUSTERS * REPORTS


async def test_churn_is_held_as_it_ends(aggregator: Aggregator, fleet: Fleet) -> None:
    assert await fleet.churn(steps=60) > 60

    await fleet.consistent()
    await assert_held(aggregator, fleet)
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_a_rollout_supersedes_until_it_is_finished(
    aggregator: Aggregator, fleet: Fleet
) -> None:
    for _ in range(3):
        await fleet.everywhere(Cluster.roll_out)
    await fleet.consistent()
    await assert_held(aggregator, fleet)
    count = "SELECT count(*) FROM report WHERE state = 'SUPERSEDED'"
    assert await aggregator.pool.fetchval(count) > 0

    await fleet.everywhere(Cluster.finish)
    await fleet.consistent()
    await assert_held(aggregator, fleet)
    assert await aggregator.pool.fetchval(count) == 0


async def test_a_scanner_that_deletes_and_scans_again_changes_no_history(
    aggregator: Aggregator, fleet: Fleet
) -> None:
    transitions = "SELECT count(*) FROM transition"
    before = await aggregator.pool.fetchval(transitions)

    expired = await fleet.everywhere(lambda cluster: cluster.expire(ttl=0))
    await fleet.consistent()
    await assert_held(aggregator, fleet)
    assert await absent(aggregator) == expired > 0

    assert await fleet.everywhere(Cluster.rescan) == expired
    await fleet.consistent()
    await assert_held(aggregator, fleet)
    assert await absent(aggregator) == 0
    assert await aggregator.pool.fetchval(transitions) == before


async def test_a_database_update_changes_many_images_at_once(
    aggregator: Aggregator, fleet: Fleet
) -> None:
    found = (
        "SELECT count(*) FROM finding f JOIN rule r ON r.id = f.rule_id"
        " JOIN content c ON c.id = f.content_id JOIN report p ON p.content_id = c.id"
        " WHERE r.key = $1"
    )
    changed = await fleet.update_database(images=10)
    rule = fleet.world.images.updates[0].name
    assert changed > 0
    await fleet.consistent()
    await assert_held(aggregator, fleet)
    assert await aggregator.pool.fetchval(found, rule) == changed

    assert await fleet.withdraw() == changed
    await fleet.consistent()
    await assert_held(aggregator, fleet)
    assert await aggregator.pool.fetchval(found, rule) == 0


async def test_an_unchanged_fleet_sends_next_to_nothing_after_a_storm(
    aggregator: Aggregator, fleet: Fleet
) -> None:
    before, sent = fleet.traffic, fleet.entries_sent
    fleet.cut()
    await fleet.consistent()

    assert fleet.entries_sent == sent
    assert fleet.traffic.connections == before.connections + CLUSTERS
    assert fleet.traffic.bytes_up - before.bytes_up < CLUSTERS * 2_000
    await assert_held(aggregator, fleet)


async def test_what_changes_while_connections_are_down_is_found_again(
    aggregator: Aggregator, fleet: Fleet
) -> None:
    fleet.cut()
    await fleet.churn(steps=40)

    await fleet.consistent()
    await assert_held(aggregator, fleet)


async def test_clocks_that_are_wrong_change_no_time(aggregator: Aggregator, fleet: Fleet) -> None:
    hour = 3_600_000
    for number, agent in enumerate(fleet.agents):
        agent.ahead = hour if number % 2 else -hour
    fleet.cut()
    await fleet.consistent()
    await fleet.everywhere(Cluster.roll_out)
    await fleet.consistent()

    await assert_held(aggregator, fleet)
    skews = "SELECT clock_skew_ms FROM agent_session ORDER BY cluster_id"
    for agent, row in zip(fleet.agents, await aggregator.pool.fetch(skews), strict=True):
        assert abs(row["clock_skew_ms"] - agent.ahead) < 60_000
    recent = (
        "SELECT bool_and(observed_at BETWEEN now() - interval '10 minutes' AND now()) FROM report"
    )
    assert await aggregator.pool.fetchval(recent)


async def test_a_difference_is_seen(aggregator: Aggregator, fleet: Fleet) -> None:
    await aggregator.pool.execute(
        "DELETE FROM report WHERE key IN (SELECT r.key FROM report r JOIN report_kind k ON k.id = r.kind_id"
        " WHERE k.kind = $1 LIMIT 1)",
        Configuration.kind.rpartition("/")[2],
    )

    found = [
        line
        for number in range(CLUSTERS)
        for line in comparison.differences(
            fleet.expected(number), await comparison.held(aggregator.pool, f"c{number}")
        )
    ]
    assert [line.partition(" ")[0] for line in found] == ["missing:"]
