"""Events a second from Falco's POST to a committed row, and how soon GraphQL shows them.

python -m bench.events [--events 50000] [--rounds 3] [--seconds 20]

Agent, aggregator, Postgres and the sender are processes of their own on the same cores. The floor is
COPY of the very same rows into the same table, without counts and without anything in between; the
peer a receiver that inserts a row a request. Goals: 0.4 of the floor, p99 under 500 ms at half of what
was reached, flat memory.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import websockets
from websockets.asyncio.client import connect

from bench.event_floor import SIZES, clear, floor, until, verify
from bench.event_load import HIDDEN_EVERY
from tests.apart import free_port
from tests.e2e.processes import Processes
from tests.fakes.kubernetes import FakeKubernetes

CONNECTIONS = 64  # as of 64 nodes
BODY_EVENTS = 50  # of a POST, as of a log pipeline
FLOOR_GOAL = 0.4
P99_GOAL = 0.5  # seconds
POSTGRES = {"listen_addresses": "127.0.0.1", "shared_buffers": "512MB", "max_wal_size": "4GB"}
FOLLOW = "subscription { runtimeEvents { node { fields } } }"


async def load(
    url: str, events: int, rate: float, folder: Path, *, together: int = 1
) -> dict[str, Any]:
    """Send events from a process of its own."""
    output = folder / "load.json"
    command = [sys.executable, "-m", "bench.event_load", url, str(events), str(CONNECTIONS)]
    process = await asyncio.create_subprocess_exec(*command, str(rate), str(output), str(together))
    if await process.wait():
        raise SystemExit("the sender failed")
    result: dict[str, Any] = json.loads(output.read_text())
    return result


class Usage:
    """What the processes use: memory in samples, CPU seconds in sum."""

    def __init__(self, processes: Processes) -> None:
        self._processes = {n: psutil.Process(processes.pid(n)) for n in ("agent", "aggregator")}
        self._postgres = psutil.Process(processes.postgres_pid)
        self.memory: dict[str, list[float]] = {name: [] for name in self._processes}
        self._before = self._cpu()

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            for name, process in self._processes.items():
                self.memory[name].append(process.memory_info().rss / 2**20)
            await asyncio.sleep(0.2)

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each so far, and those that nobody used."""
        return {name: now - self._before[name] for name, now in self._cpu().items()}

    def _cpu(self) -> dict[str, float]:
        used = {name: sum(one.cpu_times()[:2]) for name, one in self._processes.items()}
        servers = (self._postgres, *self._postgres.children())
        used["Postgres"] = sum(sum(server.cpu_times()[:2]) for server in servers)
        times = psutil.cpu_times()
        used["nobody"] = times.idle + getattr(times, "iowait", 0.0)
        return used


async def throughput(
    processes: Processes,
    pool: "asyncpg.Pool[asyncpg.Record]",
    events: int,
    folder: Path,
    *,
    together: int = 1,
) -> float:
    """Print and return events a second from the first POST to the last commit."""
    await clear(pool)
    await load(processes.events_url, 2_000, 0, folder)  # warm
    await until(pool, 2_000)
    await clear(pool)
    usage = Usage(processes)
    sampling = asyncio.create_task(usage.run())
    sent = await load(processes.events_url, events, 0, folder, together=together)
    ended = await until(pool, events)
    sampling.cancel()
    used = {**usage.cpu(), "the sender": sent["cpu"]}
    await verify(pool, events, len(range(0, events, HIDDEN_EVERY)))
    seconds = ended - sent["started"]
    print(
        f"pipeline, {together} a POST: {events:,} events in {seconds:.1f} s, {events / seconds:,.0f}/s"
        f" (answered within {sent['seconds']:.1f} s)"
    )
    spent = ", ".join(f"{name} {cpu / events * 1e6:.0f}" for name, cpu in used.items())
    print(f"    microseconds of CPU an event: {spent}")
    for name, samples in usage.memory.items():
        fifth = max(1, len(samples) // 5)
        first, last = statistics.mean(samples[:fifth]), statistics.mean(samples[-fifth:])
        print(
            f"    memory of the {name}: {first:.0f} MiB in the first fifth, {last:.0f} in the last,"
            f" {max(samples):.0f} at most"
        )
    return float(events / seconds)


async def peer(dsn: str, pool: "asyncpg.Pool[asyncpg.Record]", events: int, folder: Path) -> float:
    """Print and return events a second of a receiver that inserts a row a request."""
    await clear(pool)
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.event_peer", dsn, str(port)])  # noqa: ASYNC220
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.1)
        sent = await load(f"http://127.0.0.1:{port}/", events, 0, folder)
    finally:
        process.kill()
        process.wait()
    rate = events / float(sent["seconds"])
    print(f"peer: an INSERT a request: {rate:,.0f}/s")
    return float(rate)


async def follow(processes: Processes, seen: dict[int, float]) -> None:
    """Note when the subscription tells of each event."""
    url = processes.url.replace("http", "ws") + "/graphql"
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    async with connect(url, subprotocols=protocols, proxy=None, max_size=None) as socket:
        payload = {"Authorization": f"Bearer {processes.admin_token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        asked = {"query": FOLLOW}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": asked}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "next":
                seen[message["payload"]["data"]["runtimeEvents"]["node"]["fields"]["n"]] = (
                    time.time()
                )


async def latency(
    processes: Processes,
    pool: "asyncpg.Pool[asyncpg.Record]",
    rate: float,
    *,
    seconds: float,
    folder: Path,
) -> float:
    """Print p50 and p99 from the 200 to what a subscription shows; return p99."""
    await clear(pool)
    seen: dict[int, float] = {}
    following = asyncio.create_task(follow(processes, seen))
    await asyncio.sleep(2.0)
    events = int(rate * seconds)
    sent = await load(processes.events_url, events, rate, folder)
    for _ in range(300):
        if len(seen) >= events:
            break
        await asyncio.sleep(0.1)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    waits = sorted(seen[int(n)] - at for n, at in sent["answered"].items() if int(n) in seen)
    p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    print(
        f"at {events / sent['seconds']:,.0f}/s, from the 200 to the subscription:"
        f" p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms ({len(waits):,} of {events:,} events seen)"
    )
    return float(p99)


async def rounds(
    processes: Processes,
    pool: "asyncpg.Pool[asyncpg.Record]",
    folder: Path,
    *,
    events: int,
    count: int,
) -> tuple[float, float]:
    """Print rates of each round, and medians. Returns events a second, and the part of the floor.

    A machine is not as fast in one minute as in the next, so each round has a floor of its own.
    """
    one_by_one: list[tuple[float, float]] = []
    together: list[tuple[float, float]] = []
    for number in range(count):
        print(f"round {number + 1}")
        reached = await throughput(processes, pool, events, folder)
        copied = await floor(pool)
        for name, rate in copied.items():
            print(f"floor: COPY of the same rows {name}: {rate:,.0f}/s")
        best = max(copied[f"by {size:,}"] for size in SIZES)
        batched = await throughput(processes, pool, events, folder, together=BODY_EVENTS)
        one_by_one.append((reached / best, reached))
        together.append((batched / best, batched))
    for what, measured in (("an event", one_by_one), (f"{BODY_EVENTS} events", together)):
        ratio = statistics.median(ratio for ratio, _ in measured)
        rate = statistics.median(rate for _, rate in measured)
        print(
            f"{what} a POST : floor = {ratio:.2f} (goal {FLOOR_GOAL}; from {min(measured)[0]:.2f} to"
            f" {max(measured)[0]:.2f}), {rate:,.0f}/s"
        )
    return (
        statistics.median(rate for _, rate in one_by_one),
        statistics.median(ratio for ratio, _ in one_by_one),
    )


async def run(folder: Path, *, events: int, seconds: float, count: int) -> int:
    """Run all parts. Returns 1 where a goal is missed."""
    async with FakeKubernetes() as kubernetes:
        kubeconfig = kubernetes.write_kubeconfig(folder / "kubeconfig")
        processes = Processes(
            folder, kubeconfig, postgres=POSTGRES, aggregator={"FLEETWATCH_EVENTS_RATE": "0"}
        )
        try:
            await processes.start()
            await processes.until_ready()
            async with asyncpg.create_pool(processes.dsn, min_size=1, max_size=2) as pool:
                reached, ratio = await rounds(processes, pool, folder, events=events, count=count)
                inserted = await peer(processes.dsn, pool, min(events, 10_000), folder)
                print(f"an event a POST : peer = {reached / inserted:.1f}")
                p99 = await latency(processes, pool, reached / 2, seconds=seconds, folder=folder)
                await latency(processes, pool, 500, seconds=seconds, folder=folder)
        finally:
            await asyncio.to_thread(processes.stop)
    return int(ratio < FLOOR_GOAL or p99 > P99_GOAL)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=50_000, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measure of latency")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as folder:
        return asyncio.run(
            run(Path(folder), events=given.events, seconds=given.seconds, count=given.rounds)
        )


if __name__ == "__main__":
    sys.exit(main())
