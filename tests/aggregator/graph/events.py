"""Runtime events of the small fleet, and the same questions answered in plain Python."""

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from aggregator.store.pool import Connection
from tests.aggregator.graph import fleet

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 3
PRIORITIES = (
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFORMATIONAL",
    "DEBUG",
)
CLUSTERS = ("prod-eu", "prod-us", "staging")  # of ids 1, 2, 3
IMAGES = {1: "docker.io/library/nginx:1.25@sha256:aa", 2: "ghcr.io/acme/api:v2"}
WORKLOADS = {1: (1, 9), 2: (5,), 3: (7,)}  # subjects of namespace web, by cluster


class Event(Struct, frozen=True):
    """One row."""

    id: int
    cluster: int
    at: datetime
    priority: str
    rule: str
    source: str
    hostname: str
    namespace: str
    pod: str
    image: int | None
    tags: tuple[str, ...]
    fields: dict[str, Any]

    @property
    def subject(self) -> int | None:
        """The workload, where it is known."""
        known = WORKLOADS[self.cluster]
        return known[self.id % len(known)] if self.namespace == "web" and self.id % 5 else None

    @property
    def output(self) -> str:
        """What Falco says."""
        return f"{self.rule} in {self.pod or 'nothing'}"


def _make() -> list[Event]:
    chance = random.Random(7)
    events = []
    for number in range(1, 161):
        # Several at one time, some on the hour.
        minutes = chance.choice([0, 17, 59]) + 60 * chance.randrange(24 * DAYS)
        pod = chance.choice(["", "web-1", "web-2", "api-1"])
        events.append(
            Event(
                id=number,
                cluster=chance.choice([1, 1, 2, 3]),
                at=START + timedelta(minutes=minutes),
                priority=chance.choice(PRIORITIES[1:]),
                rule=chance.choice(["Shell", "Read file", "Connect"]),
                source=chance.choice(["syscall", "syscall", "k8s_audit"]),
                hostname=chance.choice(["", "node-1", "node-2"]),
                namespace=chance.choice(["web", "api"]) if pod else "",
                pod=pod,
                image=chance.choice([None, 1, 2]) if pod else None,
                tags=tuple(chance.sample(["shell", "container", "T1059"], chance.randrange(3))),
                fields={"n": number, "proc.name": chance.choice(["bash", "sh"])},
            )
        )
    return events


EVENTS = _make()

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


async def load(connection: Connection) -> None:
    """Put the events into a database with the small fleet."""
    await connection.execute(
        "SELECT runtime_event_make_partitions($1::date, $1::date + $2::int)", START.date(), DAYS
    )
    await connection.executemany(
        "INSERT INTO runtime_event (id, cluster_id, at, time, time_ns, received_at, priority, rule,"
        " source, hostname, namespace, pod, container, subject_id, image_id, output, tags, fields)"
        " VALUES ($1::bigint, $2, $3, $3, $1::bigint % 2, $3, $4::text::event_priority, $5, $6, $7, $8, $9, '', $10,"
        " $11, $12, $13, $14)",
        [
            (
                e.id,
                e.cluster,
                e.at,
                e.priority,
                e.rule,
                e.source,
                e.hostname,
                e.namespace,
                e.pod,
                e.subject,
                e.image,
                e.output,
                e.tags,
                json.dumps(e.fields),
            )
            for e in EVENTS
        ],
    )
    await connection.execute(HOURS)
    await connection.execute(FLEET)
    await connection.execute(FLEET_DAYS)
    await connection.executemany(
        "INSERT INTO event_gap (cluster_id, epoch, key, reason, started_at, ended_at, events,"
        " priorities, recorded_at) VALUES ($1, 'e', $2, $3, $4, $5, $6, $7, $5)",
        [
            (1, "a", "OVERFLOW", START, START + timedelta(hours=1), 7, '{"DEBUG": 7}'),
            (1, "b", "RECEIVER_DOWN", None, START + timedelta(hours=2), None, None),
        ],
    )


# ---------------------------------------------------------------- the same in Python

TEXTS: dict[str, Callable[[Event], str | None]] = {
    "rule": lambda e: e.rule,
    "source": lambda e: e.source,
    "namespace": lambda e: e.namespace,
    "pod": lambda e: e.pod,
    "hostname": lambda e: e.hostname,
    "output": lambda e: e.output,
    "image": lambda e: IMAGES.get(e.image or 0),
}


def holds(event: Event, wanted: dict[str, Any]) -> bool:
    """Whether an event passes a filter."""
    return all(_holds(event, name, value) for name, value in wanted.items())


def _holds(event: Event, name: str, value: Any) -> bool:
    if name in TEXTS:
        return _text(TEXTS[name](event), value)
    return TESTS[name](event, value)


def _priority(event: Event, value: Any) -> bool:
    least = PRIORITIES.index(value.get("atLeast", "DEBUG"))
    allowed = value.get("in", PRIORITIES)
    return event.priority in allowed and PRIORITIES.index(event.priority) <= least


def _time(event: Event, value: Any) -> bool:
    since, until = value.get("since"), value.get("until")
    return (since is None or event.at >= datetime.fromisoformat(since)) and (
        until is None or event.at < datetime.fromisoformat(until)
    )


def _fields(event: Event, value: Any) -> bool:
    return all(str(event.fields.get(each["name"])) == each["eq"] for each in value)


def _subject(event: Event, value: Any) -> bool:
    if event.subject is None:
        return False
    _, _, kind, namespace, name, labels, _, _ = fleet.SUBJECTS[event.subject - 1]
    texts = {"kind": kind, "namespace": namespace, "name": name}
    return all(_text(texts[each], tests) for each, tests in value.items() if each in texts) and all(
        labels.get(each["key"]) in each["in"] for each in value.get("labels", ())
    )


def _text(value: str | None, tests: dict[str, Any]) -> bool:
    answers: dict[str, Callable[[Any], bool]] = {
        "eq": lambda given: value == given,
        "in": lambda given: value in given,
        "not": lambda given: value != given,
        "contains": lambda given: value is not None and given in value,
        "startsWith": lambda given: value is not None and value.startswith(given),
    }
    return all(answers[name](given) for name, given in tests.items())


TESTS: dict[str, Callable[[Event, Any], bool]] = {
    "and": lambda event, value: all(holds(event, each) for each in value),
    "or": lambda event, value: any(holds(event, each) for each in value),
    "not": lambda event, value: not holds(event, value),
    "cluster": lambda event, value: _text(CLUSTERS[event.cluster - 1], value["name"]),
    "tag": lambda event, value: value in event.tags,
    "priority": _priority,
    "time": _time,
    "field": _fields,
    "subject": _subject,
}


def ordered(events: list[Event]) -> list[Event]:
    """Return events as they are listed."""
    return sorted(events, key=lambda e: (e.at, e.id), reverse=True)


def counted(events: list[Event], by: tuple[str, ...], interval: str) -> Counter[tuple[Any, ...]]:
    """Count events by dimensions."""
    return Counter(tuple(_dimension(e, name, interval) for name in by) for e in events)


def _dimension(event: Event, name: str, interval: str) -> Any:
    if name == "CLUSTER":
        return CLUSTERS[event.cluster - 1]
    if name == "TIME":
        return bucket(event.at, interval).isoformat()
    if name == "IMAGE":
        return IMAGES.get(event.image or 0)
    value: str = getattr(event, name.lower())
    return value or None


def bucket(at: datetime, interval: str) -> datetime:
    """Return the beginning of the interval that a time lies in."""
    at = at.replace(second=0, microsecond=0)
    if interval == "MINUTE":
        return at
    at = at.replace(minute=0)
    if interval == "HOUR":
        return at
    at = at.replace(hour=0)
    return at if interval == "DAY" else at - timedelta(days=at.weekday())
