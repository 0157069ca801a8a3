"""Ten operations over HTTP: our endpoint, the same by hand, PostGraphile 5 and Strawberry's executor.

    python -m bench.operations [--size 0.05] [--seconds 2] [--rounds 5] [--only NAME]

One database, a process for each server, 8 keep-alive connections on loopback. The servers are asked
in turn, half a second each, so that whatever else the machine does falls on all alike; what counts is
the median. Answers are compared before anything is measured. Read the ratios.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from aggregator.store.pool import Pool, open_pool
from bench import operations_by_hand as by_hand
from bench import operations_node as node
from bench import operations_postgraphile as postgraphile
from bench.finding_queries import Question
from bench.fleet import load
from bench.operations_client import CLIENTS, Measured, RefusedError, Request, ask, measure
from bench.operations_questions import operations, path, silence, slug
from bench.operations_servers import GRAPHILE, HAND, OURS, STRAWBERRY, Server, start

GOALS = {HAND: 0.8, GRAPHILE: 3.5, STRAWBERRY: 18.0}  # our requests/s in theirs, geometric means
DATABASE = "bench"
SLICE = 0.5  # seconds that a server is asked before the next one is


@dataclass
class Operation:
    """An operation, how each server is asked, and what was measured of each."""

    name: str
    requests: dict[str, list[Request]]
    slices: dict[str, list[Measured]] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)  # seconds of processor time
    told: dict[str, str] = field(default_factory=dict)  # why a server is not measured

    def rate(self, server: str) -> float | None:
        """Return the median of the slices."""
        slices = self.slices.get(server)
        return statistics.median(one.rate for one in slices) if slices else None

    def ratio(self, server: str) -> float | None:
        """Return our rate in a server's."""
        ours, theirs = self.rate(OURS), self.rate(server)
        return ours / theirs if ours and theirs else None

    def cost(self, server: str) -> float | None:
        """Return the milliseconds of processor time that a request takes."""
        asked = sum(len(one.times) for one in self.slices.get(server, ()))
        return self.spent[server] * 1000 / asked if asked else None


# ------------------------------------------------------------------ answers


def requests(name: str, question: Question, after: str) -> dict[str, list[Request]]:
    """Return an operation's requests to each server."""
    graphql = [
        Request(path(question), json.dumps({"query": question.query, "variables": each}).encode())
        for each in question.variables
    ]
    hand = [
        Request(slug(name), json.dumps(each).encode()) for each in by_hand.variables(name, question)
    ]
    return {
        OURS: graphql,
        HAND: hand,
        GRAPHILE: postgraphile.requests(name, question, after),
        STRAWBERRY: graphql,
    }


def comparable(value: Any, key: str = "") -> Any:
    """Return an answer without the freedom that JSON leaves: times as times."""
    if isinstance(value, dict):
        return {name: comparable(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if key.endswith("At") and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


async def compare(operation: Operation, servers: dict[str, Server]) -> None:
    """Ask every server every request once. Raises where one answers something else."""
    for number, request in enumerate(operation.requests[OURS]):
        answer = comparable(json.loads(await ask(servers[OURS].port, request)))
        for name, server in servers.items():
            if name == OURS or name in operation.told:
                continue
            try:
                body = await ask(server.port, operation.requests[name][number])
            except (RefusedError, TimeoutError) as error:
                if name != GRAPHILE:
                    raise
                operation.told[name] = f"{type(error).__name__}: {error}"
                continue
            theirs = (
                postgraphile.answered(operation.name, body)
                if name == GRAPHILE
                else json.loads(body)
            )
            if comparable(theirs) != answer:
                raise RuntimeError(f"{operation.name}: {name} answers something else.")


async def take(operation: Operation, servers: list[Server], slices: int, pool: Pool) -> None:
    """Measure an operation: every server for a moment, in turn, as often as asked."""
    for server in servers:
        await measure(server.port, operation.requests[server.name], SLICE)  # warms it
        operation.slices[server.name] = []
        operation.spent[server.name] = 0.0
    for _ in range(slices):
        for server in servers:
            before = await server.spent(pool)
            one = await measure(server.port, operation.requests[server.name], SLICE)
            operation.spent[server.name] += await server.spent(pool) - before
            operation.slices[server.name].append(one)


async def run(servers: dict[str, Server], dsn: str, options: argparse.Namespace) -> list[Operation]:
    """Measure every operation."""
    pool = await open_pool(dsn, size=1, statement_timeout=60)
    after = ""
    if GRAPHILE in servers:
        port = servers[GRAPHILE].port
        after = await postgraphile.cursor(lambda request: ask(port, request))
    measured = []
    slices = max(1, round(options.rounds * options.seconds / SLICE))
    for name, question in (await operations(pool)).items():
        if options.only not in name:
            continue
        operation = Operation(name, requests(name, question, after))
        await compare(operation, servers)
        answering = [server for server in servers.values() if server.name not in operation.told]
        await take(operation, answering, slices, pool)
        print(line(operation), flush=True)
        measured.append(operation)
    await pool.close()
    return measured


# ------------------------------------------------------------------ the report

SHOWN = (OURS, HAND, GRAPHILE, STRAWBERRY)
HEAD = (
    f"{'requests/s':32}{OURS:>7}{HAND:>9}{GRAPHILE:>14}{STRAWBERRY:>12}"
    f"   {'/hand':>6}{'/Graphile':>10}{'/Straw.':>9}   {'p50 ms':>7}{'p99 ms':>8}"
)
COSTS = (
    f"{'processor ms a request':32}{OURS:>7}{HAND:>9}{GRAPHILE:>14}{STRAWBERRY:>12}"
    f"   {'hand/':>6}{'Graphile/':>10}{'Straw./':>9}"
)


def line(operation: Operation) -> str:
    """Return an operation's figures."""
    ours, *theirs = (_figure(operation.rate(server), 0) for server in SHOWN)
    ratios = [_figure(operation.ratio(server), 2) for server in GOALS]
    every = Measured(times=[one for each in operation.slices[OURS] for one in each.times])
    told = "".join(f"\n    {server}: {why}" for server, why in operation.told.items())
    return (
        f"{operation.name:32}{ours:>7}{theirs[0]:>9}{theirs[1]:>14}{theirs[2]:>12}"
        f"   {ratios[0]:>6}{ratios[1]:>10}{ratios[2]:>9}"
        f"   {every.percentile(0.5):7.2f}{every.percentile(0.99):8.2f}{told}"
    )


def costs(operation: Operation) -> str:
    """Return what an operation costs, and theirs in ours."""
    found = [operation.cost(server) for server in SHOWN]
    ours, *theirs = (_figure(each, 2) for each in found)
    ratios = [_figure(each and found[0] and each / found[0], 2) for each in found[1:]]
    return (
        f"{operation.name:32}{ours:>7}{theirs[0]:>9}{theirs[1]:>14}{theirs[2]:>12}"
        f"   {ratios[0]:>6}{ratios[1]:>10}{ratios[2]:>9}"
    )


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def means(measured: list[Operation]) -> tuple[str, bool]:
    """Return the geometric means beside their goals, and whether one is missed."""
    lines, missed = [], False
    for server, goal in GOALS.items():
        ratios = [ratio for one in measured if (ratio := one.ratio(server))]
        if not ratios:
            lines.append(f"ours / {server}: not measured")
            continue
        mean = statistics.geometric_mean(ratios)
        missed |= mean < goal
        lines.append(
            f"ours / {server}: geometric mean of {len(ratios)} {mean:.2f}"
            f" (goal {goal:g}: {'met' if mean >= goal else 'MISSED'})"
        )
    return "\n".join(lines), missed


async def fill(postgres: EmbeddedPostgres, size: float) -> int:
    """Make the database, with the views that PostGraphile serves; return its logical findings."""
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    dsn = postgres.dsn(DATABASE)
    await migrate(dsn)
    findings = await load(dsn, size=size)
    await silence(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute((node.SOURCES / "views.sql").read_text())
    await connection.close()
    return findings


def main() -> int:
    """Measure on a Postgres of our own. Returns 1 where a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="operations whose name holds this")
    options = parser.parse_args()
    found = None
    try:
        found = node.prepare()
    except node.MissingError as error:
        print(f"PostGraphile is not measured, as Node or npm cannot be had: {error}")
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data") as postgres, ExitStack() as stack:
            findings = asyncio.run(fill(postgres, options.size))
            servers = start(stack, postgres, DATABASE, found)
            print(
                f"{findings:,} logical findings, {CLIENTS} connections, {options.rounds} rounds of"
                f" {options.seconds:g} s in slices of {SLICE:g} s, Node {found.version() if found else 'missing'}\n{HEAD}",
                flush=True,
            )
            measured = asyncio.run(run(servers, postgres.dsn(DATABASE), options))
    text, missed = means(measured)
    print("\n".join([COSTS, *map(costs, measured), text]))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
