"""Falco's events, from the HTTP of the agent to the rows of the aggregator."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.receiver_settings import ReceiverSettings
from agent.run import run
from tests.apart import free_port
from tests.e2e.conftest import Aggregator, serve
from tests.e2e.test_agent import deployment, pod, replica_set
from tests.fakes.kubernetes import FakeKubernetes

SECRET = "a-secret-of-the-tests"
WITHIN = 20.0  # seconds that a busy machine may take


def alert(number: int, **more: Any) -> dict[str, Any]:
    event = {
        "hostname": "node-1",
        "time": "2026-11-25T10:00:00.123456789Z",
        "rule": "Terminal shell in container",
        "priority": "Notice",
        "source": "syscall",
        "output": f"A shell was spawned | n={number}",
        "tags": ["container", "shell"],
        "output_fields": {
            "n": number,
            "evt.time": 1_764_064_800_123_456_789,
            "k8s.ns.name": "shop",
            "k8s.pod.name": "web-1-x",
            "container.name": "app",
            "proc.cmdline": "bash",
        },
    }
    return event | more


@pytest.fixture
async def kubernetes() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes() as fake:
        fake.put(deployment("web"))
        fake.put(replica_set("web"))
        fake.put(pod("web"))
        yield fake


@contextlib.asynccontextmanager
async def agent_of(
    aggregator: Aggregator, kubernetes: FakeKubernetes, token: str, home: Path, **more: Any
) -> AsyncIterator[str]:
    """Run an agent; yield where it takes events."""
    port = free_port()
    receiver = ReceiverSettings(address=("127.0.0.1", port), secret=SECRET, **more)
    file = kubernetes.write_kubeconfig(home / "kubeconfig")
    settings = aggregator.agent(token=token, home=home, kubeconfig=file, receiver=receiver)
    task = asyncio.create_task(run(settings))
    try:
        await until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}/falco/{SECRET}"
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def listens(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        except httpx.HTTPError:
            return False


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN):
        while not await condition():
            await asyncio.sleep(0.02)


async def stored(aggregator: Aggregator) -> list[int]:
    rows = await aggregator.pool.fetch("SELECT (fields ->> 'n')::int AS n FROM runtime_event")
    return sorted(row["n"] for row in rows)


async def test_an_alert_is_stored_with_its_workload_and_digest(
    dsn: str, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    async with serve(dsn, tmp_path / "home") as aggregator:
        token = await aggregator.add_cluster("c")
        (tmp_path / "agent").mkdir()
        async with agent_of(aggregator, kubernetes, token, tmp_path / "agent") as url:
            await until(lambda: workloads_known(aggregator))
            async with httpx.AsyncClient() as client:
                one = await client.post(url, json=alert(1))
                many = await client.post(url, json=[alert(2), alert(3)])
                lines = "\n".join(json.dumps(alert(n)) for n in (4, 5))
                packed = await client.post(
                    url, content=gzip.compress(lines.encode()), headers={"Content-Encoding": "gzip"}
                )
            assert [r.status_code for r in (one, many, packed)] == [200, 200, 200]
            await until(lambda: equal(aggregator, [1, 2, 3, 4, 5]))

        row = await aggregator.pool.fetchrow(
            "SELECT e.*, s.kind, s.name AS workload, i.name AS running FROM runtime_event e"
            " JOIN subject s ON s.id = e.subject_id JOIN image i ON i.id = e.image_id LIMIT 1"
        )
    assert row is not None
    assert (row["kind"], row["workload"]) == ("Deployment", "web")
    assert row["running"].endswith("@sha256:" + "ab" * 32)
    assert json.loads(row["fields"])["evt.time"] == 1_764_064_800_123_456_789


async def workloads_known(aggregator: Aggregator) -> bool:
    return bool(await aggregator.pool.fetchval("SELECT count(*) FROM running_image"))


async def equal(aggregator: Aggregator, numbers: list[int]) -> bool:
    return await stored(aggregator) == numbers


async def test_what_came_while_the_aggregator_was_away_is_stored_once(
    dsn: str, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "agent").mkdir()
    async with serve(dsn, tmp_path / "home", port=port) as aggregator:
        token = await aggregator.add_cluster("c")
        async with agent_of(aggregator, kubernetes, token, tmp_path / "agent") as url:
            async with httpx.AsyncClient() as client:
                await client.post(url, json=alert(1))
            await until(lambda: equal(aggregator, [1]))
    async with (
        agent_of(aggregator, kubernetes, token, tmp_path / "agent") as url,
        httpx.AsyncClient() as client,
    ):
        for number in (2, 3):
            assert (await client.post(url, json=alert(number))).status_code == 200
    async with (
        serve(dsn, tmp_path / "home", port=port) as aggregator,
        agent_of(aggregator, kubernetes, token, tmp_path / "agent"),
    ):
        await until(lambda: equal(aggregator, [1, 2, 3]))
        await until(lambda: silences(aggregator, 2))


async def silences(aggregator: Aggregator, number: int) -> bool:
    found = await aggregator.pool.fetchval(
        "SELECT count(*) FROM event_gap WHERE reason = 'RECEIVER_DOWN' AND ended_at > started_at"
    )
    return bool(found == number)


async def test_what_is_refused_says_why(
    dsn: str, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    (tmp_path / "agent").mkdir()
    async with (
        serve(dsn, tmp_path / "home") as aggregator,
        agent_of(
            aggregator,
            kubernetes,
            await aggregator.add_cluster("c"),
            tmp_path / "agent",
            body_bytes=5000,
        ) as url,
        httpx.AsyncClient() as client,
    ):
        bad = await client.post(url, content=b'{"rule": "x", ')
        assert (bad.status_code, "not JSON at character 14" in bad.text) == (400, True)
        large = await client.post(url, json=alert(1, output="x" * 6000))
        assert large.status_code == 413
        bomb = gzip.compress(json.dumps(alert(1, output="x" * 10_000_000)).encode())
        packed = await client.post(url, content=bomb, headers={"Content-Encoding": "gzip"})
        assert packed.status_code == 413
        broken = await client.post(url, content=b"nonsense", headers={"Content-Encoding": "gzip"})
        assert broken.status_code == 400
        assert (await client.post(url + "x", json=alert(1))).status_code == 404
        assert (await client.post(url.rpartition("/")[0], json=alert(1))).status_code == 404
        assert (await client.get(url)).status_code == 405
        assert (await client.post(url, json=alert(9))).status_code == 200
        await until(lambda: equal(aggregator, [9]))
        await until(lambda: too_large(aggregator))


async def too_large(aggregator: Aggregator) -> bool:
    events = await aggregator.pool.fetchval(
        "SELECT sum(events) FROM event_gap WHERE reason = 'TOO_LARGE'"
    )
    return bool(events == 2)


async def test_secrets_are_nowhere(dsn: str, kubernetes: FakeKubernetes, tmp_path: Path) -> None:
    planted = "hunter2hunter2"
    (tmp_path / "agent").mkdir()
    async with serve(dsn, tmp_path / "home") as aggregator:
        token = await aggregator.add_cluster("c")
        async with agent_of(aggregator, kubernetes, token, tmp_path / "agent") as url:
            event = alert(1, output=f"ran | cmd=mysql --password={planted} -h db")
            event["output_fields"]["proc.cmdline"] = f"mysql --password={planted} -h db"
            async with httpx.AsyncClient() as client:
                assert (await client.post(url, json=event)).status_code == 200
            await until(lambda: equal(aggregator, [1]))
            for path in (tmp_path / "agent").iterdir():
                assert planted.encode() not in path.read_bytes()
        row = await aggregator.pool.fetchrow("SELECT output, fields::text AS f FROM runtime_event")
    assert row is not None
    assert planted not in row["output"] + row["f"]
    assert set(json.loads(row["f"])["fleetwatch.redacted"]) == {"output", "proc.cmdline"}


async def test_a_pushed_file_is_stored_once(dsn: str, tmp_path: Path) -> None:
    from agent.push_events import push_events
    from agent.redaction import Redactor

    file = tmp_path / "falco.jsonl"
    lines = [json.dumps(alert(n)) for n in (1, 2, 3)]
    file.write_text("\n".join([lines[0], "not an event", *lines[1:]]))
    async with serve(dsn, tmp_path / "home") as aggregator:
        for _ in range(2):
            outcome = await push_events(aggregator.agent(cluster="files"), [file], Redactor())
            assert outcome.events == 3
            assert len(outcome.failures) == 1
            assert ":2: " in outcome.failures[0]
        assert await stored(aggregator) == [1, 2, 3]


COLUMNS = ("rule", "source", "output", "hostname", "tags")


def written(time: Any) -> str:
    """Write a time out, which gRPC clients give as seconds and nanoseconds."""
    if not isinstance(time, dict):
        return str(time)
    whole = datetime.fromtimestamp(time["seconds"], UTC).replace(tzinfo=None)
    return f"{whole.isoformat()}.{time['nanos']:09}"


def is_whole(event: dict[str, Any], node: dict[str, Any]) -> list[str]:
    """Return the keys of an event that are neither in a column nor in the fields."""
    fields = node["fields"]
    lost = [
        f"output_fields.{name}"
        for name, value in (event.get("output_fields") or {}).items()
        if fields.get(name, ...) != value
    ]
    for name, value in event.items():
        column = name in COLUMNS and sorted(node[name] or ()) == sorted(value)
        by_word = name == "priority" and node["priority"] == str(value).upper()
        in_time = name == "time" and node["time"].rstrip("0+:") == written(value).rstrip("Z0+:")
        kept = value in (fields.get(name, ...), fields.get(f"event.{name}", ...))
        if name != "output_fields" and not (column or by_word or in_time or kept):
            lost.append(name)
    return lost


async def test_real_events_arrive_whole(
    dsn: str, kubernetes: FakeKubernetes, tmp_path: Path, shared: Path
) -> None:
    files = [
        path
        for folder in ("falco", "falcosidekick")
        for path in sorted((shared / "fixtures/samples" / folder).iterdir())
        if not path.name.startswith(("internal-", "syscall-event-drop"))
    ]
    sent: list[dict[str, Any]] = []
    (tmp_path / "agent").mkdir()
    async with serve(dsn, tmp_path / "home") as aggregator:
        token = await aggregator.add_cluster("c")
        async with (
            agent_of(aggregator, kubernetes, token, tmp_path / "agent", redact=False) as url,
            httpx.AsyncClient() as client,
        ):
            for path in files:
                text = path.read_text()
                lines = text.splitlines() if path.suffix == ".jsonl" else [text]
                sent += [json.loads(line) for line in lines if line.strip()]
                assert (await client.post(url, content=text)).status_code == 200, path.name
            await until(lambda: counted(aggregator, len(sent)))
        data = await aggregator.query(
            "{ runtimeEvents(first: 1000) { nodes"
            " { time rule priority source output hostname tags fields } } }"
        )
    nodes = data["runtimeEvents"]["nodes"]
    for event in sent:
        found = [is_whole(event, node) for node in nodes]
        assert [] in found, (event["rule"], min(found, key=len))


async def counted(aggregator: Aggregator, number: int) -> bool:
    return bool(await aggregator.pool.fetchval("SELECT count(*) FROM runtime_event") == number)
