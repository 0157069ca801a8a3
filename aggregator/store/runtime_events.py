"""Runtime events, written once: the rows, their counts and the offset to resume from, together.

`at` is the event's time, clamped around its arrival, so that late and future-dated events fall into
partitions that exist. The session's lock, which the transaction holds, orders a cluster's batches.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from aggregator.store import event_gaps, reports
from aggregator.store.columns import columns
from aggregator.store.pool import Connection
from aggregator.store.sync import Locked
from protocol.messages import Event, Image, Object, Priority

EVENTS_A_DAY = 20_000_000  # that one cluster may bring
LATE = timedelta(days=7)  # that an event's time may lie before its arrival
EARLY = timedelta(minutes=5)  # or after it
CHANNEL = "runtime_event"  # NOTIFY wakes who follows events
REFUSED = "REFUSED"  # why events are lost: Postgres would not take them, or nobody could read them
BUDGET = "BUDGET"  # the cluster had brought its events of the day

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RESUMES = """
SELECT s.cluster_id, s.epoch, s.next FROM event_spool s
JOIN unnest($1::int[], $2::text[]) AS n (cluster_id, epoch)
    ON s.cluster_id = n.cluster_id AND s.epoch = n.epoch
"""
LEAVE = """
INSERT INTO event_spool (cluster_id, epoch, next)
SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[])
ON CONFLICT (cluster_id, epoch) DO UPDATE SET next = excluded.next, stored_at = now()
"""
IMAGE_IDS = """
SELECT i.id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    WITH ORDINALITY AS n (registry, repository, tag, digest, ordinal)
JOIN image i USING (registry, repository, tag, digest) ORDER BY ordinal
"""
ADD_SUBJECTS = """
INSERT INTO subject (cluster_id, api_group, kind, namespace, name, present)
SELECT n.*, false
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[])
     AS n (cluster_id, api_group, kind, namespace, name)
WHERE NOT EXISTS (  -- what conflicts takes an id all the same, and these are of 32 bits
    SELECT FROM subject s WHERE (s.cluster_id, s.namespace, s.kind, s.name, s.api_group)
        = (n.cluster_id, n.namespace, n.kind, n.name, n.api_group))
ON CONFLICT (cluster_id, namespace, kind, name, api_group) DO NOTHING
"""
SUBJECT_IDS = """
SELECT s.id FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[])
    WITH ORDINALITY AS n (cluster_id, api_group, kind, namespace, name, ordinal)
JOIN subject s USING (cluster_id, api_group, kind, namespace, name) ORDER BY ordinal
"""
ADD_HOURS = """
INSERT INTO runtime_event_hour AS h (cluster_id, hour, namespace, rule, priority, source, events)
SELECT cluster_id, hour, namespace, rule, priority::event_priority, source, events
FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
     AS n (cluster_id, hour, namespace, rule, priority, source, events)
ON CONFLICT (cluster_id, hour, namespace, rule, priority, source)
DO UPDATE SET events = h.events + excluded.events
"""
ADD_FLEET_HOURS = """
INSERT INTO runtime_event_fleet_hour AS h (hour, rule, priority, source, events)
SELECT hour, rule, priority::event_priority, source, events
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bigint[])
     AS n (hour, rule, priority, source, events)
ON CONFLICT (hour, rule, priority, source) DO UPDATE SET events = h.events + excluded.events
"""
ADD_FLEET_DAYS = """
INSERT INTO runtime_event_fleet_day AS d (day, rule, priority, source, events)
SELECT day, rule, priority::event_priority, source, events
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bigint[])
     AS n (day, rule, priority, source, events)
ON CONFLICT (day, rule, priority, source) DO UPDATE SET events = d.events + excluded.events
"""
WAKE = f"NOTIFY {CHANNEL}"

COLUMNS = (
    "cluster_id",
    "at",
    "time",
    "time_ns",
    "received_at",
    "priority",
    "rule",
    "source",
    "hostname",
    "namespace",
    "pod",
    "container",
    "subject_id",
    "image_id",
    "output",
    "tags",
    "fields",
)
PRIORITIES = tuple(priority.name for priority in Priority)


class EventBatch(Struct, frozen=True):
    """Events of one spool in the order of their offsets.

    Where `lost` gives a reason there are none: the offsets are passed, and a gap says why.
    """

    epoch: str
    offsets: tuple[int, ...]
    events: tuple[Event, ...]
    lost: str = ""

    @property
    def end(self) -> int:
        """The offset to go on from."""
        return self.offsets[-1] + 1


class EventPart(Struct, frozen=True):
    """What one session brings to a transaction."""

    cluster_id: int
    skew: int  # milliseconds that the agent's clock is ahead
    batches: tuple[EventBatch, ...]


async def write(
    connection: Connection,
    parts: Sequence[EventPart],
    sessions: dict[int, Locked],
    *,
    events_a_day: int,
) -> None:
    """Store what is new of each part. The sessions are locked; `events` of each is counted up."""
    resumes = await _resumes(connection, parts)
    losses = event_gaps.Losses()
    fresh: list[tuple[int, datetime, int, Event]] = []  # cluster, arrival, skew
    for part in parts:
        session = sessions[part.cluster_id]
        arrival = session.at
        for batch in part.batches:
            place = (part.cluster_id, batch.epoch)
            start = resumes.get(place, 0)
            resumes[place] = max(start, batch.end)
            if batch.lost:
                lost = sum(offset >= start for offset in batch.offsets)
                losses.add(place, batch.lost, arrival, lost)
                continue
            new = batch.events
            if batch.offsets[0] < start:
                pairs = zip(batch.offsets, batch.events, strict=True)
                new = tuple(event for offset, event in pairs if offset >= start)
            left = max(0, events_a_day - session.events)
            session.events += len(new[:left])
            fresh += [(part.cluster_id, arrival, part.skew, event) for event in new[:left]]
            for event in new[left:]:
                losses.add(place, BUDGET, arrival, 1, priority=event.priority)
    await _insert(connection, fresh)
    await event_gaps.add(connection, losses)
    rows = sorted((*place, next_) for place, next_ in resumes.items())
    await connection.execute(LEAVE, *columns(rows, 3))


async def _resumes(
    connection: Connection, parts: Iterable[EventPart]
) -> dict[tuple[int, str], int]:
    places = sorted({(part.cluster_id, batch.epoch) for part in parts for batch in part.batches})
    rows = await connection.fetch(RESUMES, *columns(places, 2))
    return {(row["cluster_id"], row["epoch"]): row["next"] for row in rows}


async def _insert(
    connection: Connection, events: Sequence[tuple[int, datetime, int, Event]]
) -> None:
    if not events:
        return
    images = await _image_ids(connection, {e.image for *_, e in events if e.image is not None})
    subjects = await _subject_ids(
        connection, {(c, e.subject) for c, *_, e in events if e.subject is not None}
    )
    hours: Counter[tuple[int, datetime, str, str, str, str]] = Counter()
    rows = []
    for cluster_id, arrival, skew, event in events:
        received_at = _time(event.received_at - skew, arrival)
        happened = received_at if event.time is None else _instant(event.time)
        at = min(max(happened, arrival - LATE), arrival + EARLY)
        priority = PRIORITIES[event.priority]
        hour = at.replace(minute=0, second=0, microsecond=0)
        hours[cluster_id, hour, event.namespace, event.rule, priority, event.source] += 1
        rows.append(
            (
                cluster_id,
                at,
                happened,
                0 if event.time is None else event.time % 1000,
                received_at,
                priority,
                event.rule,
                event.source,
                event.hostname,
                event.namespace,
                event.pod,
                event.container,
                subjects.get((cluster_id, event.subject)),
                images.get(event.image),
                event.output,
                event.tags,
                event.fields,
            )
        )
    await connection.copy_records_to_table("runtime_event", records=rows, columns=COLUMNS)
    await _count(connection, hours)
    await connection.execute(WAKE)


async def _count(
    connection: Connection, hours: Counter[tuple[int, datetime, str, str, str, str]]
) -> None:
    """Add to the rollups; the fleet's last, as all clusters share its rows."""
    await connection.execute(ADD_HOURS, *columns(((*k, n) for k, n in sorted(hours.items())), 7))
    fleet: Counter[tuple[datetime, str, str, str]] = Counter()
    days: Counter[tuple[datetime, str, str, str]] = Counter()
    for (_, hour, _, rule, priority, source), count in hours.items():
        fleet[hour, rule, priority, source] += count
        days[hour.replace(hour=0), rule, priority, source] += count
    for statement, counts in ((ADD_FLEET_HOURS, fleet), (ADD_FLEET_DAYS, days)):
        rows = ((*key, count) for key, count in sorted(counts.items()))
        await connection.execute(statement, *columns(rows, 5))


async def _image_ids(connection: Connection, images: set[Image]) -> dict[Image | None, int]:
    if not images:
        return {}
    ordered = sorted(images, key=lambda image: (image.registry, image.repository, image.tag))
    rows = [msgspec.structs.astuple(image) for image in ordered]
    await connection.execute(reports.ADD_IMAGES, *columns(rows, 5))
    found = await connection.fetch(IMAGE_IDS, *columns([row[:4] for row in rows], 4))
    return {image: row["id"] for image, row in zip(ordered, found, strict=True)}


async def _subject_ids(
    connection: Connection, subjects: set[tuple[int, Any]]
) -> dict[tuple[int, Object | None], int]:
    if not subjects:
        return {}
    ordered = sorted(subjects, key=lambda each: (each[0], msgspec.structs.astuple(each[1])))
    rows = [(cluster_id, *msgspec.structs.astuple(subject)) for cluster_id, subject in ordered]
    found = await connection.fetch(SUBJECT_IDS, *columns(rows, 5))
    if len(found) < len(rows):
        await connection.execute(ADD_SUBJECTS, *columns(rows, 5))
        found = await connection.fetch(SUBJECT_IDS, *columns(rows, 5))
    return {place: row["id"] for place, row in zip(ordered, found, strict=True)}


def _instant(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _time(milliseconds: int, latest: datetime) -> datetime:
    """The agent's time by the centre's clock, never after the transaction's own."""
    try:
        return min(EPOCH + timedelta(milliseconds=milliseconds), latest)
    except OverflowError:
        return latest
