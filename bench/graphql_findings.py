"""findings(first: 100) with fourteen fields over HTTP, against what one writes by hand.

    python -m bench.graphql_findings [--size 0.025] [--seconds 4]

One database, one server process, 8 connections on loopback, the servers in turn and in rounds, so
that whatever else the machine does falls on all alike. The goal is 0.6 of the fastest.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from subprocess import DEVNULL, Popen

import asyncpg
import msgspec

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from bench.fleet import load
from bench.graphql_floor import QUERY

PORT = 18_734
CONNECTIONS = 8
ROUNDS = 4
GOAL = 0.6
SERVERS = ("graphql", "row_to_json", "json_build_object", "python")


class Client:
    """One keep-alive connection that posts the query and reads the answer."""

    def __init__(self, path: str) -> None:
        body = msgspec.json.encode({"query": QUERY, "variables": {"first": 100}})
        head = (
            f"POST /{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self.answers = 0

    async def run(self, until: float) -> bytes:
        """Ask until a time; return the last answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        body = b""
        while time.perf_counter() < until:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head!r} {body[:500]!r}")
            self.answers += 1
        writer.close()
        return body


async def measure(path: str, seconds: float) -> tuple[float, bytes]:
    """Return the requests a second of a server, and an answer."""
    clients = [Client(path) for _ in range(CONNECTIONS)]
    begin = time.perf_counter()
    bodies = await asyncio.gather(*(client.run(begin + seconds) for client in clients))
    took = time.perf_counter() - begin
    return sum(client.answers for client in clients) / took, bodies[0]


async def run(dsn: str, *, size: float = 0.025, seconds: float = 3.0) -> str:
    """Load a migrated, empty database and measure; return the report."""
    findings = await load(dsn, size=size)
    server = Popen(  # noqa: ASYNC220 - before anything else runs
        [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "bench.graphql_floor:app",
            "--port",
            str(PORT),
            "--log-level",
            "warning",
            "--no-access-log",
            "--loop",
            "uvloop",
            "--http",
            "httptools",
        ],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=DEVNULL,
    )
    try:
        await _answering(server)
        rates: dict[str, list[float]] = {name: [] for name in SERVERS}
        answers = {}
        for name in SERVERS:
            _, answers[name] = await measure(name, 0.5)
        for _ in range(ROUNDS):
            for name in SERVERS:
                rate, _ = await measure(name, seconds)
                rates[name].append(rate)
    finally:
        server.terminate()
        server.wait(20)
    return report(rates, answers, findings)


async def _answering(server: "Popen[bytes]") -> None:
    for _ in range(200):
        if server.poll() is not None:
            raise RuntimeError("The server ended.")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise RuntimeError("The server does not answer.")


def report(rates: dict[str, list[float]], answers: dict[str, bytes], findings: int) -> str:
    """Return the figures as text."""
    decoded = {
        name: [
            {**node, "observedAt": None, "score": None}
            for node in msgspec.json.decode(answer)["data"]["findings"]["nodes"]
        ]
        for name, answer in answers.items()
    }
    for name, nodes in decoded.items():
        if nodes != decoded["graphql"]:
            raise RuntimeError(f"{name} answers something else.")
    median = {name: statistics.median(values) for name, values in rates.items()}
    fastest = max(value for name, value in median.items() if name != "graphql")
    lines = [
        (
            f"findings(first: 100), 14 fields, {CONNECTIONS} connections,"
            f" {findings:,} logical findings, {len(answers['graphql']):,} bytes an answer:"
        ),
        *(
            f"  {name:<18} {value:7.0f} requests/s  {value / fastest:5.2f} of the fastest by hand"
            for name, value in median.items()
        ),
        (
            f"  goal: graphql at least {GOAL} of the fastest:"
            f" {'met' if median['graphql'] / fastest >= GOAL else 'MISSED'}"
        ),
    ]
    return "\n".join(lines)


async def _create(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE DATABASE bench")
    await connection.close()


def main() -> None:
    """Measure on a Postgres of our own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=0.025)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data") as postgres:
            asyncio.run(_create(postgres.dsn()))
            asyncio.run(migrate(postgres.dsn("bench")))
            print(
                asyncio.run(run(postgres.dsn("bench"), size=options.size, seconds=options.seconds))
            )


if __name__ == "__main__":
    main()
