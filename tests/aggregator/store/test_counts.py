"""Whatever happens to reports, every stored count equals one made from scratch."""

from datetime import timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from aggregator.store import grace, rereading, unused_contents
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.ingest import Entry, Write, write
from aggregator.store.pool import Pool, open_pool
from protocol.messages import Failure, Item, Key, KindState, KindSummary
from sources.report import Status
from tests.aggregator.store.fleet import KIND, add_cluster, content, item, report, workload
from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.apart import run_apart

CONTENTS = (
    content("CVE-1"),
    content("CVE-1", "CVE-2"),
    content("CVE-1", "CVE-1", salt="twice"),
    content("CVE-3", status=Status.PASS),
    content(),
)
NAMES = ("a", "b", "c")
WORKLOADS = "inventory/Workload"
ZERO = timedelta()


class Upsert(Struct, frozen=True):
    cluster: int
    name: str
    content: int
    workload: str
    superseded: bool


class Remove(Struct, frozen=True):
    cluster: int
    name: str


class Fail(Struct, frozen=True):
    cluster: int
    name: str


class Run(Struct, frozen=True):
    cluster: int
    workload: str
    pods: int  # 0 removes it


class Uninstall(Struct, frozen=True):
    cluster: int


class Reread(Struct, frozen=True):
    content: int
    rules: tuple[str, ...]


class Expire(Struct, frozen=True):
    cluster: int


class Drop(Struct, frozen=True):
    """Contents that nothing shows go."""


Step = Upsert | Remove | Fail | Run | Uninstall | Reread | Expire | Drop

clusters, names, workloads = st.integers(0, 1), st.sampled_from(NAMES), st.sampled_from("xy")
steps = st.one_of(
    st.builds(Upsert, clusters, names, st.integers(0, 4), workloads, st.booleans()),
    st.builds(Upsert, clusters, names, st.integers(0, 4), workloads, st.just(False)),
    st.builds(Remove, clusters, names),
    st.builds(Fail, clusters, names),
    st.builds(Run, clusters, workloads, st.integers(0, 3)),
    st.builds(Uninstall, clusters),
    st.builds(Reread, st.integers(0, 4), st.tuples(st.sampled_from(["CVE-1", "CVE-9"]))),
    st.builds(Expire, clusters),
    st.just(Drop()),
)


def fold(group: list[Step], number: int, cluster_id: int) -> Write:
    """The last word on each entry, as a session's part."""
    upserts: dict[Entry, Item] = {}
    deletes: dict[Entry, int | None] = {}
    states: tuple[KindSummary, ...] = ()
    for step in group:
        match step:
            case Upsert(cluster, name, which, runs, superseded) if cluster == number:
                made = report(CONTENTS[which], name, workload=runs, superseded=superseded)
                upserts[KIND, made.key] = made
                deletes.pop((KIND, made.key), None)
            case Fail(cluster, name) if cluster == number:
                made = item(KIND, Key("default", name), Failure("unreadable", 9))
                upserts[KIND, made.key] = made
                deletes.pop((KIND, made.key), None)
            case Remove(cluster, name) if cluster == number:
                upserts.pop((KIND, Key("default", name)), None)
                deletes[KIND, Key("default", name)] = None
            case Run(cluster, runs, pods) if cluster == number:
                made = workload(runs, pods=pods)
                upserts.pop((WORKLOADS, made.key), None)
                deletes.pop((WORKLOADS, made.key), None)
                if pods:
                    upserts[WORKLOADS, made.key] = made
                else:
                    deletes[WORKLOADS, made.key] = None
            case Uninstall(cluster) if cluster == number:
                states = (KindSummary(KIND, KindState.ABSENT, 0, 0),)
                for entry in [entry for entry in upserts if entry[0] == KIND]:
                    del upserts[entry]
            case _:
                pass
    return Write(
        cluster_id=cluster_id,
        session=1,
        contents=CONTENTS,
        upserts=upserts,
        deletes=deletes,
        states=states,
    )


async def reread(pool: Pool, step: Reread) -> None:
    """Read a content as another reader would."""
    found = content(*step.rules)
    async with pool.acquire() as connection, connection.transaction():
        name = CONTENTS[step.content].name
        content_id = await connection.fetchval("SELECT id FROM content WHERE digest = $1", name)
        if content_id is not None:
            await rereading.lock(connection, content_id)
            await rereading.replace(connection, content_id, replace(found, name=name, reader=2))


async def assert_history_says_what_shows(pool: Pool) -> None:
    """Each placement that shows something has it in its history, with times that rise."""
    wrong = await pool.fetch(
        """
        SELECT p.id, p.keysets, shown.keysets AS shown FROM placement p
        JOIN (SELECT pc.placement_id, array_agg(DISTINCT c.keyset_id ORDER BY c.keyset_id) AS keysets
              FROM placement_content pc JOIN content c ON c.id = pc.content_id
              WHERE pc.live + pc.absent > 0 GROUP BY 1) shown ON shown.placement_id = p.id
        WHERE p.keysets <> shown.keysets OR p.gone_at IS NOT NULL"""
    )
    assert wrong == []
    assert not await pool.fetchval(
        """
        SELECT bool_or(falls) FROM (
            SELECT at <= lag(at) OVER (PARTITION BY placement_id ORDER BY ctid) AS falls  -- as written
            FROM transition) t"""
    )


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    return postgres


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(groups=st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=8))
def test_counts_equal_a_recount_after_anything(
    server: EmbeddedPostgres, groups: list[list[Step]]
) -> None:
    run_apart(play(server, groups))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(
    max_examples=1_000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(groups=st.lists(st.lists(steps, min_size=1, max_size=12), min_size=1, max_size=20))
def test_counts_equal_a_recount_after_anything_for_long(
    server: EmbeddedPostgres, groups: list[list[Step]]
) -> None:
    run_apart(play(server, groups))


async def play(server: EmbeddedPostgres, groups: list[list[Step]]) -> None:
    admin = await asyncpg.connect(server.dsn())
    await admin.execute("DROP DATABASE IF EXISTS counts WITH (FORCE)")
    await admin.execute("CREATE DATABASE counts TEMPLATE template STRATEGY file_copy")
    pool = await open_pool(server.dsn("counts"), size=2, statement_timeout=30.0)
    try:
        ids = [await add_cluster(pool, "one"), await add_cluster(pool, "two")]
        for group in groups:
            await write(pool, [fold(group, number, id_) for number, id_ in enumerate(ids)])
            for step in group:
                if isinstance(step, Reread):
                    await reread(pool, step)
                elif isinstance(step, Expire):
                    await grace.expire(pool, ids[step.cluster], ZERO)
                elif isinstance(step, Drop):
                    await unused_contents.mark(pool)
                    await unused_contents.drop(pool, ZERO)
            await assert_counts_equal_a_recount(pool)
            await assert_history_says_what_shows(pool)
    finally:
        await pool.close()
        await admin.close()
