"""The ingest transaction: rows, roots, counts and history after each kind of change."""

import time
from typing import NoReturn, cast

import asyncpg
import pytest

from aggregator.store import ingest, reports, sessions, sync
from aggregator.store.ingest import Write, write
from aggregator.store.pool import Pool, UnavailableError
from protocol.messages import KindNews, KindState, KindSummary
from tests.aggregator.store.fleet import KIND, add_cluster, content, report, workload
from tests.aggregator.store.recount import assert_counts_equal_a_recount

WORKLOADS = "inventory/Workload"
TAKEN = """
SELECT sequencename, last_value FROM pg_sequences
WHERE data_type <> 'bigint'::regtype AND last_value IS NOT NULL ORDER BY 1
"""


async def test_a_report_is_stored_with_its_findings(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1", "CVE-2")
    item = report(found)

    [result] = await write(
        pool,
        [Write(cluster_id=cluster, session=1, contents=(found,), upserts={(KIND, item.key): item})],
    )

    assert not result.stale
    assert result.missing == ()
    assert await pool.fetchval("SELECT count(*) FROM finding") == 2
    assert await pool.fetchval("SELECT sum(findings) FROM severity_count") == 2
    async with pool.acquire() as connection:
        assert await sync.roots(connection, cluster, [KIND]) == {KIND: (1, item.fingerprint)}
        assert await sync.entries(connection, cluster, KIND, range(256)) == {
            item.key: item.fingerprint
        }
    assert await pool.fetchval("SELECT count(*) FROM transition") == 1
    await assert_counts_equal_a_recount(pool)


async def test_what_is_written_again_takes_no_new_ids(pool: Pool) -> None:
    """Those of 32 bits would run out within a year of rescans."""
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    items = {(KIND, each.key): each for each in (report(found), report(found, "other"))}
    items |= {(WORKLOADS, each.key): each for each in (workload(), workload("db"))}
    batch = Write(cluster_id=cluster, session=1, contents=(found,), upserts=items)

    await write(pool, [batch])
    taken = await pool.fetch(TAKEN)
    assert len(taken) >= len(("subject", "placement", "content"))
    for _ in range(3):
        await write(pool, [batch])

    assert await pool.fetch(TAKEN) == taken


async def test_a_stale_session_writes_nothing_and_harms_no_other(pool: Pool) -> None:
    one, two = await add_cluster(pool, "one"), await add_cluster(pool, "two")
    found = content("CVE-1")
    item = report(found)
    stale = Write(cluster_id=one, session=0, contents=(found,), upserts={(KIND, item.key): item})
    current = Write(cluster_id=two, session=1, contents=(found,), upserts={(KIND, item.key): item})

    results = await write(pool, [stale, current])

    assert [result.stale for result in results] == [True, False]
    assert [row[0] for row in await pool.fetch("SELECT cluster_id FROM report")] == [two]


class LosingPool:
    """Hands out nothing: its connection is lost at the very moment that it is used."""

    def acquire(self) -> NoReturn:
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2)")


async def test_a_connection_lost_as_it_is_used_is_tried_again_later() -> None:
    with pytest.raises(UnavailableError, match="Postgres does not answer: cannot switch"):
        await write(cast("Pool", LosingPool()), [])


async def test_an_upsert_without_its_content_is_named_and_the_rest_is_written(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    known, unknown = content("CVE-1"), content("CVE-2")
    good, bad = report(known, "good"), report(unknown, "bad")

    [result] = await write(
        pool,
        [
            Write(
                cluster_id=cluster,
                session=1,
                contents=(known,),
                upserts={(KIND, good.key): good, (KIND, bad.key): bad},
            )
        ],
    )

    assert result.missing == ((KIND, bad.key),)
    assert await pool.fetchval("SELECT name FROM report") == "good"
    async with pool.acquire() as connection:
        assert await sync.roots(connection, cluster, [KIND]) == {KIND: (1, good.fingerprint)}


async def test_a_deleted_report_of_a_running_subject_turns_absent(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    item, runs = report(found), workload()
    first = Write(
        cluster_id=cluster,
        session=1,
        contents=(found,),
        upserts={(KIND, item.key): item, (WORKLOADS, runs.key): runs},
    )
    await write(pool, [first])

    await write(pool, [Write(cluster_id=cluster, session=1, deletes={(KIND, item.key): 2_000})])

    assert await pool.fetchval("SELECT state FROM report") == "ABSENT"
    assert await pool.fetchval("SELECT findings FROM severity_count") == 1
    assert await pool.fetchval("SELECT count(*) FROM transition") == 1
    async with pool.acquire() as connection:
        assert await sync.roots(connection, cluster, [KIND]) == {KIND: (0, 0)}
    await assert_counts_equal_a_recount(pool)

    await write(pool, [first])  # rescanned
    assert await pool.fetchval("SELECT state FROM report") == "LIVE"
    assert await pool.fetchval("SELECT count(*) FROM transition") == 1

    gone = Write(
        cluster_id=cluster,
        session=1,
        deletes={(KIND, item.key): 3_000, (WORKLOADS, runs.key): 3_000},
    )
    await write(pool, [gone])  # the subject is gone: at once
    assert await pool.fetchval("SELECT count(*) FROM report") == 0
    assert await pool.fetchval("SELECT count(*) FROM severity_count") == 0
    assert await pool.fetchval("SELECT count(*) FROM usage") == 0
    assert await pool.fetchval("SELECT present FROM subject") is False
    await assert_counts_equal_a_recount(pool)


async def test_a_deleted_report_of_which_nothing_is_known_goes_at_once(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    item = report(found)
    await write(
        pool,
        [Write(cluster_id=cluster, session=1, contents=(found,), upserts={(KIND, item.key): item})],
    )

    await write(pool, [Write(cluster_id=cluster, session=1, deletes={(KIND, item.key): 2_000})])

    assert await pool.fetchval("SELECT count(*) FROM report") == 0
    assert await pool.fetchval("SELECT gone_at IS NOT NULL FROM placement")
    assert await pool.fetchval("SELECT count(*) FROM transition") == 1  # waits for grace


async def test_a_rollout_in_one_write_is_one_transition(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    old, new = content("CVE-1", "CVE-2"), content("CVE-2", "CVE-3")
    before = report(old, "web-1")
    await write(
        pool,
        [
            Write(
                cluster_id=cluster, session=1, contents=(old,), upserts={(KIND, before.key): before}
            )
        ],
    )
    superseded, after = report(old, "web-1", superseded=True), report(new, "web-2")

    await write(
        pool,
        [
            Write(
                cluster_id=cluster,
                session=1,
                contents=(new,),
                upserts={(KIND, before.key): superseded, (KIND, after.key): after},
            )
        ],
    )

    assert await pool.fetchval("SELECT count(*) FROM transition") == 2
    assert await pool.fetchval("SELECT sum(findings) FROM severity_count") == 2
    await assert_counts_equal_a_recount(pool)


async def test_equal_keys_in_another_content_are_no_transition(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    one, same = content("CVE-1"), content("CVE-1", salt="another score")
    for found in (one, same):
        item = report(found)
        await write(
            pool,
            [
                Write(
                    cluster_id=cluster,
                    session=1,
                    contents=(found,),
                    upserts={(KIND, item.key): item},
                )
            ],
        )

    assert await pool.fetchval("SELECT count(*) FROM transition") == 1


async def test_another_format_is_no_transition(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    for found in (content("CVE-1"), content("CVE-1", "CVE-2", format_version=2)):
        item = report(found)
        await write(
            pool,
            [
                Write(
                    cluster_id=cluster,
                    session=1,
                    contents=(found,),
                    upserts={(KIND, item.key): item},
                )
            ],
        )

    assert await pool.fetchval("SELECT count(*) FROM transition") == 1
    assert await pool.fetchval("SELECT format FROM placement") == 2


async def test_a_kind_whose_crd_is_gone_goes_at_once(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    item, runs = report(found), workload()
    upserts = {(KIND, item.key): item, (WORKLOADS, runs.key): runs}
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(found,), upserts=upserts)])

    state = KindSummary(KIND, KindState.ABSENT, 0, 0)
    await write(pool, [Write(cluster_id=cluster, session=1, states=(state,))])

    assert await pool.fetchval("SELECT count(*) FROM report") == 0
    async with pool.acquire() as connection:
        assert await sync.roots(connection, cluster, [KIND]) == {KIND: (0, 0)}
    assert await pool.fetchval("SELECT state FROM sync_root WHERE kind = $1", KIND) == "ABSENT"
    await assert_counts_equal_a_recount(pool)


async def test_a_flood_of_rules_meets_its_limit_and_harms_no_other(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "RULES_A_DAY", 3)
    one, two = await add_cluster(pool, "one"), await add_cluster(pool, "two")
    flood, more, shared = content("A", "B", "C"), content("D"), content("A")
    first = Write(cluster_id=one, session=1, contents=(flood,))
    [within] = await write(pool, [first])
    item, known = report(more, "more"), report(flood, "known")
    upserts = {(KIND, item.key): item, (KIND, known.key): known}
    over = Write(cluster_id=one, session=1, contents=(more, flood), upserts=upserts)
    other = Write(cluster_id=two, session=1, contents=(shared,))

    refused, taken = await write(pool, [over, other])

    assert within.refused == ()
    assert refused.refused == (more.name,)
    assert refused.missing == ((KIND, item.key),)
    assert taken.refused == ()
    assert await pool.fetchval("SELECT count(*) FROM rule") == 3
    assert await pool.fetchval("SELECT string_agg(name, ',') FROM report") == "known"
    await assert_counts_equal_a_recount(pool)


async def test_a_format_that_came_without_news_does_not_swallow_the_next_news(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    contents = (
        content("CVE-1"),
        content("CVE-1", format_version=2),
        content("CVE-1", "CVE-2", format_version=2),
    )
    for found in contents:
        item = report(found)
        upserts = {(KIND, item.key): item}
        await write(
            pool, [Write(cluster_id=cluster, session=1, contents=(found,), upserts=upserts)]
        )

    assert await pool.fetchval("SELECT count(*) FROM transition") == 2


async def test_deletes_do_not_read_all_reports_of_a_kind(pool: Pool) -> None:
    """Postgres's choice without statistics was a join by kind: each key against each row."""
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    items = [report(found, f"r{number}") for number in range(3_000)]
    upserts = {(KIND, item.key): item for item in items}
    await write(pool, [Write(cluster_id=cluster, session=1, contents=(found,), upserts=upserts)])
    keys = reports.key_columns(
        [
            reports.EntryKey(cluster, *sync.split_kind(KIND), item.key.namespace, item.key.name, "")
            for item in items[:1_000]
        ]
    )
    at = await pool.fetchval("SELECT now()")
    async with pool.acquire() as connection, connection.transaction():
        [plan] = await connection.fetchrow(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {reports.REMOVE}", *keys, [1] * 1_000, at
        ) or [None]

    assert "Join Filter" not in str(plan)


async def test_a_cluster_that_is_locked_is_a_conflict_not_an_outage(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM agent_session FOR UPDATE")
        with pytest.raises(ingest.ConflictError):
            await write(pool, [Write(cluster_id=cluster, session=1)])


async def test_a_value_that_the_driver_cannot_encode_is_a_fault(pool: Pool) -> None:
    cluster = await add_cluster(pool)
    found = content("CVE-1")
    item = report(found, observed_at=2**70)
    upserts = {(KIND, item.key): item}
    skewed = Write(cluster_id=cluster, session=1, skew=2**80, contents=(found,), upserts=upserts)

    with pytest.raises(ingest.DataFaultError):
        await write(pool, [skewed])


async def test_sessions_are_touched_only_by_their_number(pool: Pool) -> None:
    one, two = await add_cluster(pool, "one"), await add_cluster(pool, "two")

    current = await sessions.touch(
        pool,
        [sessions.Sign(two, 1, 12, 5_000), sessions.Sign(one, 7)],
        [(two, KindNews(KIND, 5, "Trivy"))],
    )

    assert current == {two: 0}
    seen = await pool.fetch("SELECT cluster_id FROM agent_session WHERE last_seen_at IS NOT NULL")
    assert [row[0] for row in seen] == [two]


async def test_an_agents_clock_is_measured_again_with_each_sign_of_life(pool: Pool) -> None:
    cluster = await add_cluster(pool, "one")

    async def skew(seconds: float | None) -> int:
        """Touch with a clock that is so far ahead of ours."""
        ours = time.time() - time.monotonic()
        ahead = None if seconds is None else int((ours + seconds) * 1000)
        current = await sessions.touch(pool, [sessions.Sign(cluster, 1, ahead=ahead)], [])
        stored = await pool.fetchval("SELECT clock_skew_ms FROM agent_session")
        assert current[cluster] == (stored or 0)
        return current[cluster]

    assert await skew(None) == 0
    assert await skew(90) == pytest.approx(90_000, abs=5_000)
    assert await skew(-3600) == pytest.approx(-3_600_000, abs=5_000)
    assert await skew(None) == pytest.approx(-3_600_000, abs=5_000)
    assert await skew(10**12) == sessions.MAX_SKEW
    assert await skew(-(10**12)) < -(10**9)


async def test_what_waits_in_an_agents_spool_is_noted_by_the_centres_clock(pool: Pool) -> None:
    cluster = await add_cluster(pool, "one")
    await pool.execute("UPDATE agent_session SET clock_skew_ms = 2000")

    for waiting, oldest, noted in [
        (12, 1_000_000, (12, 998)),
        (0, None, (0, None)),
        (-1, -5, (0, -2)),
        (2**62, 2**62, (sessions.LATEST, None)),
    ]:
        await sessions.touch(pool, [sessions.Sign(cluster, 1, waiting, oldest)], [])
        [row] = await pool.fetch(
            "SELECT spool_events, extract(epoch FROM nullif(spool_oldest_at, last_seen_at))::int"
            " FROM agent_session"
        )
        assert tuple(row) == noted
