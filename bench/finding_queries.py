"""Questions about 100 million logical findings, warm and after a restart, through the GraphQL endpoint.

python -m bench.finding_queries [--size 1] [--rounds 100] [--keep FOLDER]

Goals of the ten operations: p99 of 50 ms warm, 300 ms for the first after Postgres has restarted,
page 200 within twice page one. The rest of the fast set and what lies outside of it follow.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aggregator.access.principal import Principal, Role, Scope
from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from aggregator.store.pool import Pool, open_pool
from bench.fleet import load

SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "16GB", "fsync": "off", "work_mem": "64MB"}
WARM_MS, COLD_MS, DEEP = 50.0, 300.0, 2.0
TIMEOUT = 60.0  # seconds
KEY = b"k" * 32  # of cursors, the same after a restart
DEEP_PAGE = 200
OTHER_ROUNDS = 5  # of questions that have no goal

NODES = (
    "{ id severity status score message namespace container occurrences state rule { key }"
    " cluster { name } subject { kind name } package { name installedVersion fixedVersion } }"
)
EVERYTHING = Principal("", "bench", Role.ADMIN, Scope())


@dataclass(frozen=True)
class Question:
    """A query; `variables` are taken in turn, so that no answer is the last one's again."""

    query: str
    variables: tuple[dict[str, Any], ...] = ({},)
    principal: Principal = EVERYTHING


@dataclass
class Taken:
    """Milliseconds of each answer, and what was told where there was none."""

    times: list[float] = field(default_factory=list)
    told: str = ""

    def percentile(self, part: float) -> float:
        """Return a percentile."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * part))]


def page(filter_: str = "", order: str = "", more: str = "") -> str:
    """Return a query for a page of findings."""
    chosen = ", ".join(
        part for part in ("first: 50", filter_ and f"filter: {{{filter_}}}", order, more) if part
    )
    return f"{{ findings({chosen}) {{ nodes {NODES} }} }}"


def groups(arguments: str, fields: str) -> str:
    """Return a query for groups of findings."""
    return (
        f"{{ findingGroups({arguments}) {{ nodes {{ {fields} findings occurrences clusters }} }} }}"
    )


async def questions(pool: Pool) -> dict[str, Question]:
    """Return the ten operations, about what is in the database."""
    clusters = [r[0] for r in await pool.fetch("SELECT name FROM cluster ORDER BY id LIMIT 50")]
    ids = [r[0] for r in await pool.fetch("SELECT id FROM cluster ORDER BY id")]
    rules = [
        r[0]
        for r in await pool.fetch(
            "SELECT key FROM rule WHERE category = 'VULNERABILITY' ORDER BY hashint4(id) LIMIT 50"
        )
    ]
    scoped = Principal("", "bench", Role.VIEWER, Scope(clusters=tuple(ids[7::100])))
    deep = await _cursor(GraphQL(pool, cursor_key=KEY, statement_timeout=TIMEOUT))
    return {
        "page by severity": Question(page()),
        "CVE lookup": Question(
            "query ($key: String!) { rule(key: $key) { key severity title score"
            f" findings(first: 50) {{ nodes {NODES} }} }} }}",
            tuple({"key": key} for key in rules),
        ),
        "groups by cluster and severity": Question(
            groups("by: [CLUSTER, SEVERITY], first: 100", "cluster { name } severity")
        ),
        "subject with findings": Question(
            "query ($cluster: String!) { subjects(filter: {cluster: {name: {eq: $cluster}},"
            ' name: {eq: "app-7"}}, first: 1) { nodes { kind name namespace labels'
            f" severities {{ critical high medium low }} findings(first: 50) {{ nodes {NODES} }} }} }} }}",
            tuple({"cluster": name} for name in clusters),
        ),
        "image with clusters": Question(
            "query ($name: String!) { images(filter: {repository: {eq: $name}}, first: 4) { nodes { name"
            " severities { critical high } clusters(first: 50) { nodes { name } } } } }",
            tuple({"name": f"acme/app-{n}"} for n in range(1, 21)),
        ),
        "deep page": Question(page(more=f'after: "{deep}"')),
        "filter without a match": Question(
            page('package: {eq: "none"}, severity: {in: [CRITICAL]}')
        ),
        "scoped user": Question(page(), principal=scoped),
        "nested three levels": Question(
            "query ($name: String!) { cluster(name: $name) { name subjects(first: 10) { nodes { name"
            " findings(first: 5) { nodes { severity rule { key title } } } } } } }",
            tuple({"name": name} for name in clusters),
        ),
        "small single object": Question(
            "query ($name: String!) { cluster(name: $name) { name state labels lastSeenAt } }",
            tuple({"name": name} for name in clusters),
        ),
    }


OTHERS = {
    "totalCount of all": "{ findings(first: 1) { totalCount } }",
    "critical and fixable": page("severity: {in: [CRITICAL]}, fixable: true"),
    "nothing: critical policies": page("category: {in: [POLICY]}, severity: {in: [CRITICAL]}"),
    "nothing: unknown cluster": page('cluster: {name: {eq: "none"}}'),
    "nothing: unknown namespace": page('namespace: {eq: "none"}'),
    "clusters by label": page('cluster: {labels: [{key: "region", in: ["region-3"]}]}'),
    "one cluster, high": page('cluster: {name: {eq: "cluster-5"}}, severity: {in: [HIGH]}'),
    "one namespace of all clusters": page('namespace: {eq: "ns-3"}'),
    "groups by category and status": groups("by: [CATEGORY, STATUS]", "category status"),
    "groups by label of clusters": groups('by: [CLUSTER_LABEL], labelKey: "region"', "label"),
    "groups by rule": groups("by: [RULE], first: 20", "rule { key }"),
    "groups by rule in a cluster": groups(
        'by: [RULE], first: 20, filter: {cluster: {name: {eq: "cluster-5"}}}', "rule { key }"
    ),
    "groups by package": groups("by: [PACKAGE], first: 20", "package"),
    "groups by image": groups("by: [IMAGE], first: 20", "image { name }"),
    "groups by namespace": groups("by: [NAMESPACE], first: 20", "namespace"),
    "by score": page(order="orderBy: {field: SCORE}"),
    "by first seen": page(order="orderBy: {field: FIRST_SEEN}"),
    "since yesterday": page('firstSeenAt: {last: "24h"}'),
    "rule contains": page('rule: {contains: "2021-1"}'),
    "package starts with": page('package: {startsWith: "package-12"}'),
    "rules by findings": "{ rules(first: 20, orderBy: {field: FINDINGS}) { nodes { key } } }",
    "rules by clusters": "{ rules(first: 20, orderBy: {field: CLUSTERS}) { nodes { key } } }",
    "images by critical": "{ images(first: 20, orderBy: {field: CRITICAL}) { nodes { name } } }",
    "images that nobody scanned": "{ images(first: 20, filter: {scanned: false}) { nodes { name } } }",
    "subjects by critical": "{ subjects(first: 20, orderBy: {field: CRITICAL}) { nodes { name } } }",
    "clusters by critical": "{ clusters(first: 20, orderBy: {field: CRITICAL}) { nodes { name } } }",
    "a package's clusters": (
        '{ packages(filter: {name: {eq: "package-12"}}, first: 5) { nodes { name version } } }'
    ),
    "the fleet": "{ fleet { severities { critical high medium low } } }",
    "or, across finding and place": page(
        'or: [{rule: {eq: "CVE-2016-1001"}}, {namespace: {eq: "none"}}]'
    ),
}


async def _cursor(graph: GraphQL) -> str:
    """Return the cursor at the end of the page before the deep one."""
    after = ""
    for _ in range((DEEP_PAGE - 1) * 50 // 1_000 + 1):
        given = f', after: "{after}"' if after else ""
        query = f"{{ findings(first: 1000{given}) {{ pageInfo {{ endCursor }} }} }}"
        answer = await graph.execute(GraphQLRequest(query), EVERYTHING)
        after = json.loads(answer.body)["data"]["findings"]["pageInfo"]["endCursor"]
    return after


async def ask(graph: GraphQL, question: Question, rounds: int, *, warm: int = 3) -> Taken:
    """Ask some times."""
    taken = Taken()
    for number in range(rounds + warm):
        variables = question.variables[number % len(question.variables)]
        started = time.perf_counter()
        answer = await graph.execute(GraphQLRequest(question.query, variables), question.principal)
        if number >= warm:
            taken.times.append((time.perf_counter() - started) * 1000)
        body = json.loads(answer.body)
        if not body.get("data"):
            taken.told = str(body["errors"][0]["message"])[:110]
            break
    return taken


async def measure(server: EmbeddedPostgres, rounds: int, only: str) -> int:
    """Print a line a question. Returns 1 where a goal is missed."""
    dsn = server.dsn()
    pool = await open_pool(dsn, size=2, statement_timeout=TIMEOUT, stateless=True)
    graph = GraphQL(pool, cursor_key=KEY, statement_timeout=TIMEOUT)
    ten = {name: one for name, one in (await questions(pool)).items() if only in name}
    warm = {name: await ask(graph, one, rounds) for name, one in ten.items()}
    for name, text in OTHERS.items():
        if only in name:
            taken = await ask(graph, Question(text), OTHER_ROUNDS, warm=1)
            figure = f"{statistics.median(taken.times):9.1f} ms" if taken.times else "            -"
            print(f"  {name:36} {figure} {taken.told}", flush=True)
    await pool.close()
    missed = False
    print(f"{'':38} {'p50':>8} {'p99':>8} {'cold':>8}")
    for name, one in ten.items():
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        pool = await open_pool(server.dsn(), size=2, statement_timeout=TIMEOUT, stateless=True)
        cold = await ask(GraphQL(pool, cursor_key=KEY, statement_timeout=TIMEOUT), one, 1, warm=0)
        await pool.close()
        if not warm[name].times or not cold.times:
            print(f"  {name:36} {warm[name].told or cold.told}")
            missed = True
            continue
        p50, p99, first = warm[name].percentile(0.5), warm[name].percentile(0.99), cold.times[0]
        over = p99 > WARM_MS or first > COLD_MS
        missed |= over
        print(f"  {name:36} {p50:8.1f} {p99:8.1f} {first:8.1f} {'over the goal' if over else ''}")
    if all(name in warm and warm[name].times for name in ("page by severity", "deep page")):
        ratio = warm["deep page"].percentile(0.5) / warm["page by severity"].percentile(0.5)
        missed |= ratio > DEEP
        print(f"  page {DEEP_PAGE} : page 1 = {ratio:.2f} (goal {DEEP:g})")
    return int(missed)


async def fill(dsn: str, size: float) -> None:
    """Fill a database."""
    await migrate(dsn)
    started = time.perf_counter()
    findings = await load(dsn, size=size)
    pool = await open_pool(dsn, size=1, statement_timeout=TIMEOUT)
    stored = await pool.fetchval("SELECT pg_database_size(current_database())")
    await pool.close()
    print(
        f"{findings:,} logical findings in {time.perf_counter() - started:.0f} s,"
        f" {stored / 2**20:,.0f} MiB, {stored / findings:.1f} bytes each"
    )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="keep the data here, and use what is there")
    parser.add_argument("--only", default="", help="questions whose name holds this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder / "data", settings=SETTINGS)
        known = not server.is_new
        with server:
            if not known:
                asyncio.run(fill(server.dsn(), given.size))
            return asyncio.run(measure(server, given.rounds, given.only))


if __name__ == "__main__":
    sys.exit(main())
