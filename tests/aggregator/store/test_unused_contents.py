"""Contents that nothing shows go after their time, and never under a report that is being written."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from aggregator.ingest.maintenance import Maintenance
from aggregator.store import contents, unused_contents
from aggregator.store.contents import NewContent
from aggregator.store.ingest import Write, Written, write
from aggregator.store.pool import Pool
from protocol.messages import Item
from sources.report import Package
from tests.aggregator.store.fleet import KIND, add_cluster, content, report
from tests.aggregator.store.recount import assert_counts_equal_a_recount

AT_ONCE = timedelta()
A_DAY = timedelta(days=1)
WITHIN = 20.0  # seconds


async def send(pool: Pool, cluster: int, item: Item, *brought: NewContent) -> Written:
    part = Write(cluster_id=cluster, session=1, contents=brought, upserts={(KIND, item.key): item})
    [written] = await write(pool, [part])
    return written


async def remove(pool: Pool, cluster: int, item: Item) -> None:
    await write(pool, [Write(cluster_id=cluster, session=1, deletes={(KIND, item.key): 9_000})])


async def stored(pool: Pool) -> list[bytes]:
    return [row[0] for row in await pool.fetch("SELECT digest FROM content ORDER BY id")]


async def marked(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM unused_content")
    return count


async def until_somebody_waits(pool: Pool) -> None:
    async with asyncio.timeout(WITHIN):
        while not await pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)


async def test_a_content_goes_with_its_findings_and_history_stays(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    packages = ((b"p" * 16, Package(name="curl", version="1")),)
    gone = replace(content("CVE-1", "CVE-2"), packages=packages)
    kept = content("CVE-3")
    await send(pool, cluster, report(gone), gone)
    await send(pool, cluster, report(kept, "other", workload="db"), kept)
    await send(pool, cluster, report(kept), kept)  # rescanned: two findings are fixed
    transitions = await pool.fetch("SELECT * FROM transition ORDER BY placement_id, at")
    keysets = await pool.fetch("SELECT * FROM keyset ORDER BY id")

    await unused_contents.mark(pool)
    assert await unused_contents.drop(pool, A_DAY) is None
    assert await unused_contents.drop(pool, AT_ONCE) == 1

    assert await stored(pool) == [kept.name]
    assert await pool.fetchval("SELECT count(*) FROM finding") == 1
    assert await pool.fetchval("SELECT count(*) FROM content_package") == 0
    assert await pool.fetchval("SELECT count(*) FROM rule") == 3  # the catalogue stays
    assert await marked(pool) == 0
    assert await pool.fetch("SELECT * FROM transition ORDER BY placement_id, at") == transitions
    assert await pool.fetch("SELECT * FROM keyset ORDER BY id") == keysets
    await assert_counts_equal_a_recount(pool)


async def test_a_mark_goes_when_the_content_is_shown_or_offered_again(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    shown, wanted = content("CVE-1"), content("CVE-2")
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(shown, wanted))])
    await unused_contents.mark(pool, batch=1)
    assert await marked(pool) == 2

    await send(pool, cluster, report(shown))
    await unused_contents.mark(pool, batch=1)
    assert await marked(pool) == 1
    async with pool.acquire() as connection:
        assert await contents.offered(connection, [wanted.name, b"unknown"]) == {wanted.name}

    assert await marked(pool) == 0
    assert await unused_contents.drop(pool, AT_ONCE) is None


async def test_a_content_that_is_shown_again_before_it_is_marked_so_stays(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(found,))])
    await unused_contents.mark(pool)
    await send(pool, cluster, report(found))

    assert await unused_contents.drop(pool, AT_ONCE) == 0

    assert await stored(pool) == [found.name]
    assert await marked(pool) == 0


async def test_a_deletion_is_bounded_by_findings(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unused_contents, "DROPPED", 3)
    cluster = await add_cluster(pool)
    sizes = (5, 2, 1, 1)
    made = [
        content(*(f"CVE-{n}" for n in range(size)), salt=str(i)) for i, size in enumerate(sizes)
    ]
    await write(pool, [Write(cluster_id=cluster, session=1, contents=tuple(made))])
    await unused_contents.mark(pool)
    await pool.execute(  # the largest for the longest time
        "UPDATE unused_content u SET since = since - findings * interval '1 s'"
        " FROM content_count c WHERE c.content_id = u.content_id"
    )

    dropped = []
    while (count := await unused_contents.drop(pool, AT_ONCE)) is not None:
        dropped.append(count)

    assert dropped == [1, 2, 1]
    assert await pool.fetchval("SELECT count(*) FROM finding") == 0


async def test_an_upsert_under_way_keeps_its_content(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(found,))])
    await unused_contents.mark(pool)
    async with pool.acquire() as connection:
        in_the_way = connection.transaction()  # the upsert stops at its subject
        await in_the_way.start()
        await connection.execute(
            "INSERT INTO subject (cluster_id, api_group, kind, namespace, name)"
            " VALUES ($1, 'apps', 'Deployment', 'default', 'web')",
            cluster,
        )
        upsert = asyncio.create_task(send(pool, cluster, report(found)))
        await until_somebody_waits(pool)

        assert await unused_contents.drop(pool, AT_ONCE) is None

        await in_the_way.rollback()
        assert (await upsert).missing == ()
    assert await unused_contents.drop(pool, AT_ONCE) == 0
    assert await pool.fetchval("SELECT count(*) FROM finding") == 1
    await assert_counts_equal_a_recount(pool)


async def test_an_upsert_that_comes_during_the_deletion_is_asked_for_again(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    item = report(found)
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(found,))])
    await unused_contents.mark(pool)
    async with pool.acquire() as connection:
        deletion = connection.transaction()
        await deletion.start()
        [row] = await connection.fetch(
            unused_contents.LOCK, AT_ONCE, unused_contents.CANDIDATES, unused_contents.DROPPED
        )
        upsert = asyncio.create_task(send(pool, cluster, item))
        await until_somebody_waits(pool)
        assert await connection.fetchval(unused_contents.DROP, [row["id"]]) == 1
        assert not upsert.done()
        await deletion.commit()

    assert (await upsert).missing == ((KIND, item.key),)
    assert await pool.fetchval("SELECT count(*) FROM report") == 0
    assert (await send(pool, cluster, item, found)).missing == ()
    assert await pool.fetchval("SELECT count(*) FROM finding") == 1
    await assert_counts_equal_a_recount(pool)


async def test_deletions_and_upserts_of_many_contents_meet_without_harm(pool: Pool) -> None:
    clusters = [await add_cluster(pool, name) for name in ("one", "two")]
    made = [content(f"CVE-{n}") for n in range(12)]

    async def churn(cluster: int) -> None:
        for turn in range(6):
            for number, found in enumerate(made):
                item = report(found, f"r{number}", workload=f"w{number}")
                while (await send(pool, cluster, item)).missing:
                    await send(pool, cluster, item, found)
                if (turn + number) % 2:
                    await remove(pool, cluster, item)

    async def drop() -> None:
        while True:
            await unused_contents.mark(pool)
            await unused_contents.drop(pool, AT_ONCE)

    dropping = asyncio.create_task(drop())
    try:
        await asyncio.gather(*map(churn, clusters))
    finally:
        dropping.cancel()
        await asyncio.gather(dropping, return_exceptions=True)

    assert (
        await pool.fetchval(
            "SELECT count(*) FROM report r LEFT JOIN content c ON c.id = r.content_id WHERE c.id IS NULL"
        )
        == 0
    )
    await assert_counts_equal_a_recount(pool)


async def test_maintenance_drops_what_has_been_unused_for_long_enough(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    old, new = content("CVE-1"), content("CVE-2")
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(old, new))])
    maintenance = Maintenance(pool)
    await maintenance.round()
    await pool.execute(
        "UPDATE unused_content SET since = since - interval '25 hours'"
        " FROM content c WHERE c.id = content_id AND c.digest = $1",
        old.name,
    )

    await maintenance.round()

    assert await stored(pool) == [new.name]
