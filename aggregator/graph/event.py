"""Runtime events: what Falco saw, and what is missing of it."""

import strawberry

from aggregator.graph.event_filter import RuntimeEventFilter
from aggregator.graph.event_page import EventPage
from aggregator.graph.mapping import Column, One, column, lazy, mapped
from aggregator.graph.node import Node, identity
from aggregator.graph.pages import AFTER, FIRST, Connection
from aggregator.graph.scalars import DateTime, Json, Long, Priority
from aggregator.graph.tables import CLUSTER, IMAGE, SUBJECT

GAPS_DEFAULT = 50  # gaps shown of a cluster
# Microseconds of `at`, so that `node` finds the day, and the id.
EVENT_KEY = "(extract(epoch FROM {e.at}) * 1000000)::bigint || ':' || {e.id}"
# timestamptz holds microseconds; what the event said beyond them is appended.
TIME = (
    "CASE WHEN {e.time_ns} = 0 THEN to_json({e.time}) ELSE to_json("
    "to_char({e.time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
    " || lpad({e.time_ns}::text, 3, '0') || '+00:00') END"
)


@strawberry.type(description="One event that a runtime sensor saw: a Falco alert.")
class RuntimeEvent(Node):
    id: strawberry.ID = column(identity("RuntimeEvent", EVENT_KEY), "Opaque and stable.")
    time: DateTime = column(TIME, "When it happened, by its own word, to the nanosecond.")
    received_at: DateTime = column("{e.received_at}", "When the cluster's agent received it.")
    cluster = mapped(
        One(CLUSTER, "{c.id} = {up[e].cluster_id}"),
        "Where it happened.",
        returns=lazy("cluster", "Cluster"),
    )
    rule: str = column("{e.rule}", "The rule that matched.")
    priority: Priority = column("{e.priority}", "How urgent the rule is.")
    source: str = column("{e.source}", "Where Falco saw it: syscall, k8s_audit, a plugin.")
    output: str = column("{e.output}", "What Falco says, secrets redacted.")
    hostname: str | None = column("nullif({e.hostname}, '')", "The host of the sensor.")
    tags: list[str] = column("{e.tags}", "The rule's tags.")
    fields: Json = column("{e.fields}", "All fields of the event, secrets redacted.")
    namespace: str | None = column("nullif({e.namespace}, '')", "The pod's namespace.")
    pod: str | None = column("nullif({e.pod}, '')", "The pod's name.")
    container: str | None = column("nullif({e.container}, '')", "The container's name.")
    image = mapped(
        One(IMAGE, "{i.id} = {up[e].image_id}"),
        "The image that ran, by the agent's inventory where it knows the pod.",
        returns=lazy("image", "Image") | None,
    )
    subject = mapped(
        One(SUBJECT, "{s.id} = {up[e].subject_id}"),
        "The workload that the pod belongs to; null where the pod is not known.",
        returns=lazy("subject", "Subject") | None,
    )


@strawberry.type(description="Runtime events.")
class RuntimeEventConnection(Connection[RuntimeEvent]):
    pass


@strawberry.type(description="Runtime events that are known to be missing.")
class EventGap:
    from_: DateTime | None = mapped(
        Column("{g.started_at}"),
        "None that is missing happened earlier; null where that is not known.",
        name="from",
    )
    to: DateTime | None = column("{g.ended_at}", "Nor later.")
    events: Long | None = column("{g.events}", "How many; null where nobody knows.")
    reason: str = column("{g.reason}", "Why: OVERFLOW, RECEIVER_DOWN, BUDGET …")
    priorities: Json | None = column("{g.priorities}", "How many of which priority, where known.")


ALL = EventPage()
OF_CLUSTER = EventPage("{e.cluster_id} = {up[c].id}")
OF_SUBJECT = EventPage("{e.subject_id} = {up[s].id}", few=True)
OF_IMAGE = EventPage("{e.image_id} = {up[i].id}", few=True)
FILTER = ("filter", RuntimeEventFilter | None, "Which events.")
ARGUMENTS = (FILTER, FIRST, AFTER)
