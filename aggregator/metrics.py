"""What Prometheus scrapes from /metrics; a module that counts declares its metrics on REGISTRY."""

import math

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

HTTP_REQUESTS = Counter(
    "fleetwatch_http_requests",
    "Answered HTTP requests.",
    ("route", "status"),
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "fleetwatch_http_request_seconds",
    "From the first byte of a request to the last of its answer.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=REGISTRY,
)
ACCESS_LOOKUPS = Counter(
    "fleetwatch_access_lookups",
    "Tokens looked up, by where the answer came from: cache or database.",
    ("from",),
    registry=REGISTRY,
)
GRAPHQL_SOCKETS = Gauge(
    "fleetwatch_graphql_sockets", "Open WebSockets of GraphQL clients.", registry=REGISTRY
)
SUBSCRIPTIONS = Gauge(
    "fleetwatch_subscriptions", "GraphQL subscriptions that are followed.", registry=REGISTRY
)
EVENTS_SENT = Counter(
    "fleetwatch_subscription_events", "Runtime events sent to subscribers.", registry=REGISTRY
)
SLOW_READERS = Counter(
    "fleetwatch_slow_readers",
    "WebSockets that were closed because what they were sent was not read.",
    registry=REGISTRY,
)
REPLICA_LAG = Gauge(
    "fleetwatch_replica_lag_seconds",
    "How far the standby that queries go to is behind; NaN while it is away or there is none.",
    registry=REGISTRY,
)
REPLICA_LAG.set(math.nan)
REPLICA_QUERIES = Counter(
    "fleetwatch_replica_queries",
    "Statements of queries, by where they were answered: replica, or the primary as the replica was"
    " away, behind, had not yet what was written just before, or failed.",
    ("outcome",),
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "fleetwatch_event_loop_lag_seconds",
    "How late the event loop woke what it should have woken: for so long all else waited too.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    registry=REGISTRY,
)
INGEST_SESSIONS = Gauge("fleetwatch_ingest_sessions", "Connected agents.", registry=REGISTRY)
INGEST_HELD = Gauge(
    "fleetwatch_ingest_held_bytes",
    "Frames of agents that are taken in and not yet written.",
    registry=REGISTRY,
)
INGEST_COMMITS = Histogram(
    "fleetwatch_ingest_commit_seconds",
    "Transactions that write what agents sent, retries among them.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    registry=REGISTRY,
)
INGEST_ENTRIES = Counter(
    "fleetwatch_ingest_entries", "Entries of agents that were written.", registry=REGISTRY
)
INGEST_CONTENTS = Counter(
    "fleetwatch_ingest_contents", "Contents that were read and written.", registry=REGISTRY
)


def exposition() -> bytes:
    """Return all metrics in the text format."""
    return generate_latest(REGISTRY)
