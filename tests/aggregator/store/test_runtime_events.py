"""Runtime events are stored once, whole, in their day, and counted; what is lost is in a gap."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aggregator.store import event_retention, runtime_events
from aggregator.store.ingest import DataFaultError, Write, write
from aggregator.store.pool import Pool
from aggregator.store.runtime_events import EventBatch
from protocol import messages as m
from tests.aggregator.store.fleet import add_cluster

NOW = datetime.now(UTC)


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def event(number: int = 0, **fields: Any) -> m.Event:
    values: dict[str, Any] = {
        "time": milliseconds(NOW) * 1_000_000 + 123_456_789,
        "received_at": milliseconds(NOW),
        "rule": "Terminal shell in container",
        "priority": m.Priority.NOTICE,
        "source": "syscall",
        "output": f"event {number}",
        "hostname": "node-1",
        "tags": ("container", "shell"),
        "namespace": "shop",
        "pod": "web-1",
        "container": "app",
        "subject": m.Object("apps", "Deployment", "shop", "web"),
        "image": m.Image("docker.io", "library/web", "1", "sha256:" + "ab" * 32, trusted=True),
        "fields": json.dumps({"n": number, "evt.time": 1_700_000_000_123_456_789}),
    }
    return m.Event(**(values | fields))


def batch(*offsets: int, epoch: str = "e", **fields: Any) -> EventBatch:
    return EventBatch(epoch, offsets, tuple(event(offset, **fields) for offset in offsets))


async def bring(
    pool: Pool, cluster_id: int, *batches: EventBatch, session: int = 1, **more: Any
) -> None:
    limits = {"events_a_day": more.pop("events_a_day")} if "events_a_day" in more else {}
    [written] = await write(
        pool, [Write(cluster_id=cluster_id, session=session, events=batches, **more)], **limits
    )
    assert not written.stale


async def numbers(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT (fields ->> 'n')::int AS n FROM runtime_event ORDER BY id")
    return [row["n"] for row in rows]


async def gaps(pool: Pool) -> list[tuple[str, int]]:
    rows = await pool.fetch("SELECT reason, events FROM event_gap ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def check_counts(pool: Pool) -> None:
    """Compare the rollups with a recount."""
    recount = (
        "SELECT {} date_trunc('hour', at) AS hour, {} rule, priority, source, count(*)"
        " FROM runtime_event GROUP BY {} ORDER BY {}"
    )
    five, four = "1, 2, 3, 4, 5, 6", "1, 2, 3, 4"
    assert await pool.fetch(recount.format("cluster_id,", "namespace,", five, five)) == (
        await pool.fetch(f"SELECT * FROM runtime_event_hour ORDER BY {five}")
    )
    assert await pool.fetch(recount.format("", "", four, four)) == await pool.fetch(
        f"SELECT * FROM runtime_event_fleet_hour ORDER BY {four}"
    )
    days = recount.replace("'hour', at", "'day', at").format("", "", four, four)
    assert await pool.fetch(days) == await pool.fetch(
        f"SELECT * FROM runtime_event_fleet_day ORDER BY {four}"
    )


async def test_an_event_is_stored_whole(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    await bring(pool, cluster_id, batch(7))

    row = await pool.fetchrow("SELECT * FROM runtime_event")
    assert row is not None
    assert row["time_ns"] == 789
    assert row["time"] == NOW.replace(microsecond=NOW.microsecond // 1000 * 1000) + timedelta(
        microseconds=123_456
    )
    assert (row["rule"], row["priority"], row["source"]) == (
        "Terminal shell in container",
        "NOTICE",
        "syscall",
    )
    assert (row["namespace"], row["pod"], row["container"]) == ("shop", "web-1", "app")
    assert row["tags"] == ["container", "shell"]
    assert json.loads(row["fields"]) == {"n": 7, "evt.time": 1_700_000_000_123_456_789}
    subject = await pool.fetchrow("SELECT * FROM subject WHERE id = $1", row["subject_id"])
    assert subject is not None
    assert (subject["kind"], subject["name"], subject["present"]) == ("Deployment", "web", False)
    image = await pool.fetchval("SELECT name FROM image WHERE id = $1", row["image_id"])
    assert image.startswith("docker.io/library/web:1@sha256:")
    await check_counts(pool)


async def test_what_is_sent_again_changes_nothing(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    await bring(pool, cluster_id, batch(0, 1, 2))
    await bring(pool, cluster_id, batch(0, 1, 2))
    await bring(pool, cluster_id, batch(1, 2, 3, 5))

    assert await numbers(pool) == [0, 1, 2, 3, 5]
    spools = await pool.fetch(
        "SELECT epoch, next FROM event_spool WHERE cluster_id = $1", cluster_id
    )
    assert [(row["epoch"], row["next"]) for row in spools] == [("e", 6)]
    await check_counts(pool)


async def test_spools_and_clusters_do_not_share_offsets(pool: Pool) -> None:
    one, other = await add_cluster(pool, "one"), await add_cluster(pool, "other")
    await bring(pool, one, batch(0, 1))
    await bring(pool, one, batch(0, epoch="another"))
    await bring(pool, other, batch(0))

    assert await numbers(pool) == [0, 1, 0, 0]
    await check_counts(pool)


async def test_a_stale_session_brings_nothing(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    [written] = await write(pool, [Write(cluster_id=cluster_id, session=9, events=(batch(0),))])

    assert written.stale
    assert await numbers(pool) == []


@pytest.mark.parametrize(
    ("shift", "clamped"),
    [
        (timedelta(days=-4000), -runtime_events.LATE),
        (timedelta(days=-6), None),
        (timedelta(days=4000), runtime_events.EARLY),
        (timedelta(minutes=4), None),
    ],
)
async def test_a_time_far_off_is_clamped_and_kept(
    pool: Pool, shift: timedelta, clamped: timedelta | None
) -> None:
    cluster_id = await add_cluster(pool, "c")
    time = NOW + shift
    await bring(pool, cluster_id, batch(0, time=milliseconds(time) * 1_000_000))

    row = await pool.fetchrow("SELECT at, time FROM runtime_event")
    assert row is not None
    assert abs(row["time"] - time) < timedelta(milliseconds=1)
    if clamped is None:
        assert row["at"] == row["time"]
    else:
        assert abs(row["at"] - (datetime.now(UTC) + clamped)) < timedelta(minutes=1)


async def test_an_event_without_a_time_has_that_of_its_receipt(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    received = milliseconds(NOW) - 60_000
    await bring(pool, cluster_id, batch(0, time=None, received_at=received + 5_000), skew=5_000)

    row = await pool.fetchrow("SELECT at, time, received_at FROM runtime_event")
    assert row is not None
    assert row["at"] == row["time"] == row["received_at"]
    assert milliseconds(row["time"]) == received


async def test_above_its_budget_a_cluster_has_a_gap(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    await bring(pool, cluster_id, batch(0, 1, 2), events_a_day=4)
    await bring(pool, cluster_id, batch(3, 4, 5), events_a_day=4)
    await bring(pool, cluster_id, batch(6, 7, priority=m.Priority.ERROR), events_a_day=4)
    await bring(pool, cluster_id, batch(6, 7, priority=m.Priority.ERROR), events_a_day=4)

    assert await numbers(pool) == [0, 1, 2, 3]
    assert await gaps(pool) == [("BUDGET", 4)]
    [priorities] = [
        json.loads(row[0]) for row in await pool.fetch("SELECT priorities FROM event_gap")
    ]
    assert priorities == {"NOTICE": 2, "ERROR": 2}
    await check_counts(pool)


async def test_lost_events_are_counted_once(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    lost = EventBatch("e", (0, 1, 2), (), runtime_events.REFUSED)
    await bring(pool, cluster_id, lost)
    await bring(pool, cluster_id, lost)
    await bring(pool, cluster_id, batch(2, 3))

    assert await numbers(pool) == [3]
    assert await gaps(pool) == [("REFUSED", 3)]


async def test_an_agents_gap_is_written_as_it_stands(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    start = milliseconds(NOW)
    for events in (5, 8, 8):
        gap = m.GapRecord("k", "OVERFLOW", start, start + events, events, {"DEBUG": events})
        await bring(pool, cluster_id, gaps=(("e", gap),), skew=1000)
    await bring(
        pool, cluster_id, gaps=(("e", m.GapRecord("k2", "RECEIVER_DOWN", None, None, None)),)
    )

    rows = await pool.fetch("SELECT * FROM event_gap ORDER BY key")
    assert [(row["reason"], row["events"]) for row in rows] == [
        ("OVERFLOW", 8),
        ("RECEIVER_DOWN", None),
    ]
    assert milliseconds(rows[0]["ended_at"]) == start + 8 - 1000
    assert json.loads(rows[0]["priorities"]) == {"DEBUG": 8}
    assert rows[1]["priorities"] is None


@pytest.mark.parametrize(
    "bad", [{"fields": '{"a": "\\u0000"}'}, {"output": "\0"}, {"fields": "{"}, {"rule": "r" * 9000}]
)
async def test_a_value_that_postgres_refuses_is_a_data_fault(
    pool: Pool, bad: dict[str, Any]
) -> None:
    cluster_id = await add_cluster(pool, "c")
    if "rule" in bad:
        import random

        bad = {
            "rule": "".join(
                random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30_000)
            )
        }
    with pytest.raises(DataFaultError):
        await bring(pool, cluster_id, batch(0, 1, **bad))
    assert await numbers(pool) == []


async def test_clusters_write_at_once(pool: Pool) -> None:
    ids = [await add_cluster(pool, f"c{n}") for n in range(4)]

    async def live(cluster_id: int) -> None:
        for start in range(0, 60, 3):
            await bring(pool, cluster_id, batch(start, start + 1, start + 2))

    await asyncio.gather(*map(live, ids))
    assert len(await numbers(pool)) == 4 * 60
    await check_counts(pool)


async def test_days_are_made_ahead_and_dropped_when_old(pool: Pool) -> None:
    cluster_id = await add_cluster(pool, "c")
    await bring(pool, cluster_id, batch(0))
    later = NOW + timedelta(days=60)
    assert await event_retention.make_partitions(pool) == 0
    assert await event_retention.make_partitions(pool, now=later) == 12
    assert await event_retention.make_partitions(pool, now=later) == 0

    assert await event_retention.drop_old(pool, timedelta(days=30)) == []
    assert await numbers(pool) == [0]
    assert len(await event_retention.drop_old(pool, timedelta(days=30), now=later)) == 12
    assert await numbers(pool) == []
    await check_counts(pool)


async def test_a_day_that_is_read_is_dropped_later(pool: Pool) -> None:
    later = NOW + timedelta(days=60)
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("SELECT count(*) FROM runtime_event")
        assert await event_retention.drop_old(pool, timedelta(days=30), now=later) == []
    assert len(await event_retention.drop_old(pool, timedelta(days=30), now=later)) == 12
