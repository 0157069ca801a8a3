"""How fresh clusters are: their states, by the clock alone, and what can be filtered by them."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aggregator.graph.limits import ONLINE_WITHIN, STALE_WITHIN
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import Pool, open_pool
from tests.aggregator.graph.conftest import Graph
from tests.conftest import _execute

MINUTE = 60
STATES = {"prod-eu": "ONLINE", "prod-us": "STALE", "staging": "PUSHED", "empty": "NEVER_SEEN"}
numbers = itertools.count()

OF_FINDINGS = "filter: {cluster: $cluster}"
# Each asks for what a ClusterFilter lets through; all that is said of it must be the same.
QUESTIONS = {
    "clusters": "clusters(filter: $cluster) { totalCount nodes { name } }",
    "fleet": "fleet(filter: $cluster) { clusters reports images workloads severities { total } }",
    "findings": f"findings({OF_FINDINGS}) {{ totalCount nodes {{ id cluster {{ name }} }} }}",
    "findingGroups": f"findingGroups(by: [CLUSTER, SEVERITY], {OF_FINDINGS}, orderBy: KEY_ASC)"
    " { nodes { cluster { name } severity findings occurrences } }",
    "subjects": f"subjects({OF_FINDINGS}) {{ totalCount nodes {{ id name }} }}",
    "images": f"images({OF_FINDINGS}) {{ totalCount nodes {{ id name }} }}",
    "packages": f"packages({OF_FINDINGS}) {{ totalCount nodes {{ name version }} }}",
    "reports": f"reports({OF_FINDINGS}) {{ totalCount nodes {{ id name }} }}",
    "failedReports": "failedReports(filter: $cluster) { totalCount nodes { name } }",
    "runtimeEvents": f"runtimeEvents({OF_FINDINGS}) {{ totalCount nodes {{ id }} }}",
    "runtimeEventGroups": f"runtimeEventGroups(by: [CLUSTER, PRIORITY], {OF_FINDINGS})"
    " { cluster { name } priority events }",
}


@pytest.fixture
async def pool(postgres: EmbeddedPostgres, fleet_dsn: str) -> AsyncIterator[Pool]:
    """Yield a copy of the small fleet, in which prod-us has been silent for a minute."""
    del fleet_dsn  # is there now
    name = f"fresh_{next(numbers)}"
    await _execute(postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE fleet STRATEGY file_copy")
    copy = await open_pool(postgres.dsn(name), size=2, statement_timeout=30.0)
    await silent(copy, "prod-us", MINUTE)
    yield copy
    await copy.close()
    await _execute(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


async def silent(pool: Pool, name: str, seconds: float) -> None:
    await pool.execute(
        "UPDATE agent_session SET last_seen_at = now() - $2 * interval '1 second'"
        " WHERE cluster_id = (SELECT id FROM cluster WHERE name = $1)",
        name,
        seconds,
    )


async def state(pool: Pool, name: str) -> Any:
    answer = await Graph(pool).ask(f'{{ cluster(name: "{name}") {{ state }} }}')
    return answer["cluster"]["state"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "ONLINE"),
        (ONLINE_WITHIN / 2, "ONLINE"),
        (ONLINE_WITHIN + 1, "STALE"),
        (STALE_WITHIN - MINUTE, "STALE"),
        (STALE_WITHIN + 1, "OFFLINE"),
        (10**8, "OFFLINE"),
    ],
)
async def test_a_silent_cluster_turns_stale_then_offline_by_itself(
    pool: Pool, seconds: float, expected: str
) -> None:
    await silent(pool, "prod-us", seconds)

    assert await state(pool, "prod-us") == expected


async def test_a_pushed_cluster_and_one_that_was_never_seen_have_their_own_states(
    pool: Pool,
) -> None:
    assert {name: await state(pool, name) for name in STATES} == STATES
    await silent(pool, "staging", 10**8)
    assert await state(pool, "staging") == "PUSHED"


@pytest.mark.parametrize("root", QUESTIONS)
async def test_answers_can_be_limited_to_states(pool: Pool, root: str) -> None:
    graph = Graph(pool)
    query = f"query ($cluster: ClusterFilter) {{ {QUESTIONS[root]} }}"

    async def ask(**cluster: Any) -> Any:
        return (await graph.ask(query, {"cluster": cluster}))[root]

    everything = await ask()
    by_state = {which: await ask(state=[which]) for which in STATES.values()}
    for name, which in STATES.items():
        assert by_state[which] == await ask(name={"eq": name}), which
    assert await ask(state=["ONLINE", "STALE"]) == await ask(name={"startsWith": "prod-"})
    assert await ask(state=list(STATES.values())) == everything
    assert len({str(answer) for answer in by_state.values()}) > 1

    await silent(pool, "prod-us", 2 * STALE_WITHIN)
    assert await ask(state=["OFFLINE"]) == by_state["STALE"]
    assert await ask(state=["STALE"]) == await ask(name={"eq": "nowhere"})


async def test_the_fleet_counts_clusters_by_state(pool: Pool) -> None:
    counts = " ".join(f"{which}: clusters(state: {which})" for which in STATES.values())

    answer = await Graph(pool).ask(f"{{ fleet {{ {counts} OFFLINE: clusters(state: OFFLINE) }} }}")

    assert answer["fleet"] == {**dict.fromkeys(STATES.values(), 1), "OFFLINE": 0}
