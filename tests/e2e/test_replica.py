"""An aggregator whose queries a standby answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from aggregator.store.embedded import EmbeddedPostgres
from tests.apart import run_apart
from tests.e2e.conftest import Aggregator, serve
from tests.standby import checkpointed, copied

SOON = 30.0  # seconds in which whatever is waited for has to come
CLUSTERS = "{ clusters { nodes { name } } }"
ADD = 'mutation { addCluster(input: {name: "%s"}) { cluster { name } } }'


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, standby: EmbeddedPostgres) -> str:
    run_apart(copied(postgres, standby, "asked"))
    return "asked"


@pytest.fixture
async def running(
    postgres: EmbeddedPostgres, standby: EmbeddedPostgres, database: str, tmp_path: Path
) -> AsyncIterator[Aggregator]:
    dsn = postgres.dsn(database)
    async with serve(dsn, tmp_path, query_database_url=standby.dsn(database)) as aggregator:
        await aggregator.pool.execute("DELETE FROM cluster")
        yield aggregator


@asynccontextmanager
async def paused(standby: EmbeddedPostgres) -> AsyncIterator[None]:
    """Let the standby stand still."""
    control = await asyncpg.connect(standby.dsn())
    try:
        await control.execute("SELECT pg_wal_replay_pause()")
        async with asyncio.timeout(SOON):
            while await control.fetchval("SELECT pg_get_wal_replay_pause_state()") != "paused":
                await asyncio.sleep(0.02)
        yield
    finally:
        await control.execute("SELECT pg_wal_replay_resume()")
        await control.close()


async def get(aggregator: Aggregator, query: str, **headers: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {aggregator.token}", **headers}
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"{aggregator.url}/graphql"
        if query.startswith("mutation"):
            return await client.post(url, json={"query": query}, headers=headers)
        return await client.get(url, params={"query": query}, headers=headers)


async def served(aggregator: Aggregator, query: str = CLUSTERS, **headers: str) -> httpx.Response:
    """Ask until the replica answers."""
    async with asyncio.timeout(SOON):
        while True:
            answer = await get(aggregator, query, **headers)
            assert answer.status_code in {200, 304}
            if "x-fleetwatch-as-of" in answer.headers:
                return answer
            await asyncio.sleep(0.05)


async def seen(aggregator: Aggregator, names: set[str]) -> httpx.Response:
    """Ask until the replica answers with these clusters."""
    async with asyncio.timeout(SOON):
        while True:
            answer = await served(aggregator)
            if {node["name"] for node in answer.json()["data"]["clusters"]["nodes"]} == names:
                return answer
            await asyncio.sleep(0.05)


async def test_an_answer_of_the_replica_says_so(running: Aggregator) -> None:
    await running.add_cluster("prod")
    answer = await seen(running, {"prod"})

    replica = answer.json()["extensions"]["replica"]
    assert answer.headers["x-fleetwatch-as-of"] == replica["asOf"]
    age = datetime.now(UTC) - datetime.fromisoformat(replica["asOf"])
    assert abs(age.total_seconds()) < SOON
    assert 0 <= replica["lagMs"] < 10_000
    primary = await get(running, CLUSTERS, **{"X-Fleetwatch-Read": "primary"})
    assert primary.json() == {"data": answer.json()["data"]}


async def test_a_tag_is_the_same_whoever_answers(running: Aggregator) -> None:
    await running.add_cluster("prod")
    answer = await seen(running, {"prod"})
    primary = await get(running, CLUSTERS, **{"X-Fleetwatch-Read": "primary"})
    again = await served(running, **{"If-None-Match": primary.headers["etag"]})

    assert answer.headers["etag"] == primary.headers["etag"]
    assert again.status_code == 304
    assert again.headers["x-fleetwatch-as-of"] >= answer.headers["x-fleetwatch-as-of"]


async def test_rows_for_elsewhere_say_so_too(running: Aggregator) -> None:
    await running.add_cluster("prod")
    await seen(running, {"prod"})
    rows = await served(running, Accept="text/csv")
    assert rows.text == "name\r\nprod\r\n"


async def test_who_changes_something_sees_it(
    running: Aggregator, standby: EmbeddedPostgres
) -> None:
    await served(running)
    async with paused(standby):
        made = await get(running, ADD % "mine")
        assert made.json() == {"data": {"addCluster": {"cluster": {"name": "mine"}}}}
        answer = await get(running, CLUSTERS)
        assert answer.json() == {"data": {"clusters": {"nodes": [{"name": "mine"}]}}}
    await seen(running, {"mine"})


async def test_a_change_by_another_replica_of_the_aggregator_is_seen(
    running: Aggregator, standby: EmbeddedPostgres, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    await served(running)
    async with paused(standby), serve(postgres.dsn("asked"), tmp_path) as other:
        await get(other, ADD % "theirs")
        async with asyncio.timeout(SOON):  # until Postgres has told of it: milliseconds
            while "extensions" in (answer := await get(running, CLUSTERS)).json():
                await asyncio.sleep(0.02)
        assert answer.json() == {"data": {"clusters": {"nodes": [{"name": "theirs"}]}}}


async def test_what_is_asked_behind_a_subscription_is_not_older_than_it(
    running: Aggregator, standby: EmbeddedPostgres
) -> None:
    await served(running)
    url = running.url.replace("http", "ws") + "/graphql"
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    async with paused(standby), connect(url, subprotocols=protocols, proxy=None) as socket:
        await running.pool.execute("INSERT INTO cluster (name, ordinal) VALUES ('new', 0)")

        async def send(**message: Any) -> None:
            await socket.send(json.dumps(message))

        payload = {"Authorization": f"Bearer {running.token}"}
        await send(type="connection_init", payload=payload)
        follow = {"query": "subscription { runtimeEvents { cursor } }"}
        await send(type="subscribe", id="1", payload=follow)
        await send(type="subscribe", id="2", payload={"query": CLUSTERS})
        messages = [json.loads(await socket.recv()) for _ in range(2)]
    assert messages[1]["payload"] == {"data": {"clusters": {"nodes": [{"name": "new"}]}}}


async def test_nobody_notices_that_the_replica_goes_away(
    running: Aggregator, standby: EmbeddedPostgres, postgres: EmbeddedPostgres
) -> None:
    await served(running)
    await checkpointed(postgres, standby)
    statuses: list[int] = []

    async def ask() -> None:
        while True:
            statuses.append((await get(running, CLUSTERS)).status_code)

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    await asyncio.sleep(0.3)
    await asyncio.to_thread(standby.kill)
    try:
        assert await ready(running, "away") == "ready\nreplica: away\n"
        await asyncio.sleep(0.3)
    finally:
        await asyncio.to_thread(standby.start)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    assert set(statuses) == {200}


async def test_health_and_metrics_tell_of_it(running: Aggregator) -> None:
    await served(running)
    assert (await ready(running, "serves")).startswith("ready\nreplica: serves, ")
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {running.token}"}
        metrics = (await client.get(f"{running.url}/metrics", headers=headers)).text
    assert 'fleetwatch_replica_queries_total{outcome="replica"}' in metrics
    lag = float(metrics.split("\nfleetwatch_replica_lag_seconds ")[1].split()[0])
    assert 0 <= lag < SOON


async def ready(aggregator: Aggregator, word: str) -> str:
    """Ask until the state of the replica is this."""
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(SOON):
        while True:
            answer = await client.get(f"{aggregator.url}/readyz")
            assert answer.status_code == 200
            if word in answer.text:
                return answer.text
            await asyncio.sleep(0.05)
