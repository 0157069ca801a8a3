"""Questions about 10 million runtime events over 30 days, warm, through the GraphQL endpoint.

python -m bench.event_queries [--millions 10] [--rounds 15]

First pages of `runtimeEvents` for every filter of the fast set (frequent values, rare ones, and values
that nothing has), and groups. Goals: 10 ms a first page, 100 ms the groups by hour over a day and by
rule over 30 days.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from aggregator.access.principal import Principal, Role, Scope
from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from aggregator.store.pool import Pool, open_pool

CLUSTERS = 200
DAYS = 30
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "16GB", "fsync": "off", "work_mem": "64MB"}
PAGE_MS = 10.0
GROUPS_MS = 100.0
WRITERS = 2

FILL = """
INSERT INTO runtime_event (cluster_id, at, "time", received_at, priority, rule, source, hostname,
    namespace, pod, container, subject_id, image_id, output, tags, fields)
SELECT 1 + floor({clusters} * power(r1, 2))::int, at, at, at,
    (CASE WHEN r2 < 0.45 THEN 'NOTICE' WHEN r2 < 0.85 THEN 'WARNING' WHEN r2 < 0.95 THEN 'INFORMATIONAL'
          WHEN r2 < 0.99 THEN 'ERROR' WHEN r2 < 0.9999 THEN 'CRITICAL' ELSE 'ALERT' END)::event_priority,
    'Rule ' || floor(60 * power(r3, 3))::int,
    CASE WHEN r4 < 0.9 THEN 'syscall' WHEN r4 < 0.9999 THEN 'k8s_audit' ELSE 'okta' END,
    'node-' || (r5 * 1000)::int, 'ns-' || (r6 * r6 * 300)::int, 'pod-' || (r7 * 200000)::int, 'app',
    1 + (r7 * 50000)::int, 1 + (r7 * 4000)::int,
    'A shell was spawned in a container with an attached terminal | evt_type=execve user=root process=bash '
        || 'command=bash terminal=34816 container_name=app k8s_pod_name=pod k8s_ns_name=ns ' || n,
    '{{container,shell,mitre_execution,T1059}}',
    jsonb_build_object('evt.time', n, 'proc.name', 'proc-' || (r3 * 50)::int, 'proc.cmdline', 'bash -c ' || n,
        'user.name', 'root', 'k8s.ns.name', 'ns', 'k8s.pod.name', 'pod', 'container.id', md5(n::text))
FROM (SELECT n, timestamptz '{day}' + (n * interval '1 day' / {count}) AS at, random() r1, random() r2,
             random() r3, random() r4, random() r5, random() r6, random() r7
      FROM generate_series(1, {count}) n) s
"""
HOURS = """
INSERT INTO runtime_event_hour
SELECT cluster_id, date_trunc('hour', at), namespace, rule, priority, source, count(*)
FROM runtime_event GROUP BY 1, 2, 3, 4, 5, 6
"""
FLEET = """
INSERT INTO runtime_event_fleet_hour
SELECT hour, rule, priority, source, sum(events) FROM runtime_event_hour GROUP BY 1, 2, 3, 4
"""
FLEET_DAYS = """
INSERT INTO runtime_event_fleet_day
SELECT date_trunc('day', hour), rule, priority, source, sum(events) FROM runtime_event_fleet_hour
GROUP BY 1, 2, 3, 4
"""
SUBJECTS = """
INSERT INTO subject (cluster_id, api_group, kind, namespace, name)
SELECT 1 + n % {clusters}, 'apps', 'Deployment', 'ns-' || n % 300, 'app-' || n
FROM generate_series(1, 50001) n
"""
IMAGES = """
INSERT INTO image (registry, repository, tag) SELECT 'docker.io', 'library/app-' || n, '1'
FROM generate_series(1, 4001) n
"""
NODES = "{ time rule priority output hostname tags namespace pod cluster { name } subject { name } image { name } }"
FILTERS = {
    "none": "",
    "time, last day": 'time: {last: "24h"}',
    "time, none there": 'time: {until: "2020-01-01T00:00:00Z"}',
    "cluster, frequent": 'cluster: {name: {eq: "c1"}}',
    "cluster, rare": 'cluster: {name: {eq: "c200"}}',
    "cluster, unknown": 'cluster: {name: {eq: "none"}}',
    "cluster, by label of 20": 'cluster: {labels: [{key: "ring", in: ["3"]}]}',
    "cluster, by label of all": 'cluster: {labels: [{key: "ring", exists: true}]}',
    "rule, frequent": 'rule: {eq: "Rule 0"}',
    "rule, rare": 'rule: {eq: "Rule 59"}',
    "rule, unknown": 'rule: {eq: "none"}',
    "rule, of five": 'rule: {in: ["Rule 0", "Rule 1", "Rule 30", "Rule 59", "none"]}',
    "priority, at least WARNING": "priority: {atLeast: WARNING}",
    "priority, rare": "priority: {in: [ALERT]}",
    "priority, none there": "priority: {in: [EMERGENCY]}",
    "source, frequent": 'source: {eq: "syscall"}',
    "source, rare": 'source: {eq: "okta"}',
    "source, unknown": 'source: {eq: "none"}',
    "namespace, frequent": 'namespace: {eq: "ns-0"}',
    "namespace, rare": 'namespace: {eq: "ns-299"}',
    "namespace, unknown": 'namespace: {eq: "none"}',
    "pod": 'pod: {eq: "pod-77"}',
    "pod, unknown": 'pod: {eq: "none"}',
    "image": 'image: {eq: "docker.io/library/app-77:1"}',
    "image, unknown": 'image: {eq: "none"}',
    "subject": 'subject: {name: {eq: "app-77"}}',
    "subject, unknown": 'subject: {name: {eq: "none"}}',
    "cluster and rule, both frequent": 'cluster: {name: {eq: "c1"}}, rule: {eq: "Rule 0"}',
    "rule and priority, both frequent": 'rule: {eq: "Rule 0"}, priority: {in: [NOTICE]}',
    "pod and rule": 'pod: {eq: "pod-77"}, rule: {eq: "Rule 0"}',
}
GROUPS = {
    "by hour over a day": '(by: [TIME], interval: HOUR, filter: {time: {last: "24h"}}) { time events }',
    "by rule over 30 days": '(by: [RULE], filter: {time: {last: "30d"}}) { rule events }',
    "by day and priority over 30 days": "(by: [TIME, PRIORITY], interval: DAY) { time priority events }",
    "by hour over a day, one cluster": (
        '(by: [TIME], interval: HOUR, filter: {time: {last: "24h"}, cluster: {name: {eq: "c1"}}})'
        " { time events }"
    ),
    "by cluster over a day": '(by: [CLUSTER], filter: {time: {last: "24h"}}) { cluster { name } events }',
}
GROUP_GOALS = ("by hour over a day", "by rule over 30 days")
SCOPED = {"scope of 1 % of clusters": "", "… and a rule": 'rule: {eq: "Rule 0"}'}


async def fill(pool: Pool, millions: float) -> None:
    """Fill the tables with SQL."""
    await pool.execute(
        "INSERT INTO cluster (ordinal, name, labels) SELECT n, 'c' || n,"
        " jsonb_build_object('ring', (n % 10)::text) FROM generate_series(1, $1::int) n",
        CLUSTERS,
    )
    await pool.execute("INSERT INTO agent_session (cluster_id) SELECT id FROM cluster")
    await pool.execute(SUBJECTS.format(clusters=CLUSTERS))
    await pool.execute(IMAGES)
    await pool.execute("SELECT runtime_event_make_partitions(now()::date - 31, now()::date + 1)")
    days = [
        row[0]
        for row in await pool.fetch(
            "SELECT (now() - (n || ' days')::interval)::text FROM generate_series(1, $1) n", DAYS
        )
    ]
    count = int(millions * 1_000_000 / DAYS)
    limit = asyncio.Semaphore(WRITERS)

    async def write(day: str) -> None:
        async with limit:
            statement = FILL.format(clusters=CLUSTERS, day=day, count=count)
            await pool.execute(statement, timeout=3600)

    await asyncio.gather(*map(write, days))
    for statement in (HOURS, FLEET, FLEET_DAYS, "VACUUM ANALYZE"):
        await pool.execute(statement, timeout=3600)


async def timed(graph: GraphQL, query: str, principal: Principal, rounds: int) -> tuple[float, str]:
    """Return the median of some answers in milliseconds, and what was answered."""
    times = []
    told = ""
    for number in range(rounds + 2):
        started = time.perf_counter()
        answer = await graph.execute(GraphQLRequest(query), principal)
        if number > 1:  # warm
            times.append((time.perf_counter() - started) * 1000)
        body = json.loads(answer.body)
        told = "" if body.get("data") else str(body["errors"][0]["message"])
    return statistics.median(times), told


async def measure(dsn: str, rounds: int) -> int:
    """Print a line a question. Returns 1 where a goal is missed."""
    pool = await open_pool(dsn, size=2, statement_timeout=60, stateless=True)
    graph = GraphQL(pool, statement_timeout=60)
    everything = Principal("", "bench", Role.ADMIN, Scope())
    scoped = Principal("", "bench", Role.VIEWER, Scope(clusters=(7, 150)))
    missed = 0
    pages = [(name, text, everything) for name, text in FILTERS.items()]
    pages += [(name, text, scoped) for name, text in SCOPED.items()]
    for name, text, principal in pages:
        chosen = f", filter: {{{text}}}" if text else ""
        query = f"{{ runtimeEvents(first: 50{chosen}) {{ nodes {NODES} }} }}"
        taken, told = await timed(graph, query, principal, rounds)
        missed |= taken > PAGE_MS
        print(f"{name:40} {taken:8.1f} ms {'over the goal' if taken > PAGE_MS else ''} {told}")
    for name, text in GROUPS.items():
        taken, told = await timed(graph, f"{{ runtimeEventGroups{text} }}", everything, rounds)
        over = taken > GROUPS_MS and name in GROUP_GOALS
        missed |= over
        print(f"{name:40} {taken:8.1f} ms {'over the goal' if over else ''} {told}")
    await pool.close()
    return int(missed)


async def run(dsn: str, *, millions: float, rounds: int) -> int:
    """Fill a database and ask it."""
    await migrate(dsn)
    pool = await open_pool(dsn, size=WRITERS + 1, statement_timeout=3600)
    started = time.perf_counter()
    await fill(pool, millions)
    size = await pool.fetchval(
        "SELECT pg_size_pretty(sum(pg_total_relation_size(inhrelid))) FROM pg_inherits"
        " WHERE inhparent = 'runtime_event'::regclass"
    )
    hours = await pool.fetchval("SELECT count(*) FROM runtime_event_hour")
    print(
        f"{millions:g} M events over {DAYS} days in {CLUSTERS} clusters: {size},"
        f" {hours:,} rows of hours; filled in {time.perf_counter() - started:.0f} s"
    )
    await pool.close()
    return await measure(dsn, rounds)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--millions", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="keep the data here, and use what is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetwatch-bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder / "data", settings=SETTINGS)
        known = not server.is_new
        with server:
            if known:
                return asyncio.run(measure(server.dsn(), given.rounds))
            return asyncio.run(run(server.dsn(), millions=given.millions, rounds=given.rounds))


if __name__ == "__main__":
    sys.exit(main())
