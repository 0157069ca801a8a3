"""From Falco's alert to an event as it is kept and sent: the workload and the image that runs.

Falco names a pod and at best an image's tag. The inventory knows which workload the pod belongs to
and which digest runs; where it does not yet, it is asked once more when the event is sent.
"""

import msgspec

from agent.event_table import Entry
from agent.inventory import Inventory, canonical
from protocol.messages import Event, Image, Object, Priority, decode_event, encode
from sources.falco import Alert

LATE = 7 * 24 * 3_600_000  # ms before its receipt that an event's own time is believed
EARLY = 5 * 60_000  # ms after it
LONGEST_SENDER = 253  # characters, as of a host's name


def entry(alert: Alert, inventory: Inventory, *, sender: str, now: int) -> Entry:
    """Return an alert as the spool keeps it; `now` is its receipt, ms since 1970."""
    subject, image = describe(alert, inventory)
    event = Event(
        time=alert.time_ns,
        received_at=now,
        rule=alert.rule,
        priority=Priority(alert.priority),
        source=alert.source,
        output=alert.output,
        hostname=alert.hostname,
        tags=alert.tags,
        namespace=alert.namespace,
        pod=alert.pod,
        container=alert.container,
        subject=subject,
        image=image,
        fields=alert.fields,
    )
    happened_at = now if alert.time_ns is None else alert.time_ns // 1_000_000
    return Entry(
        sender=(alert.hostname or sender)[:LONGEST_SENDER],
        priority=alert.priority,
        happened_at=min(max(happened_at, now - LATE), now + EARLY),
        received_at=now,
        body=encode(event),
        unresolved=bool(alert.pod and subject is None),
    )


def describe(alert: Alert, inventory: Inventory) -> tuple[Object | None, Image | None]:
    """Return the workload and the image that an alert is about, as far as they are known."""
    image = None
    if alert.image is not None:
        ref = alert.image
        image = Image(ref.registry, ref.repository, ref.tag, ref.digest)
    if alert.pod:
        subject, running = _running(inventory, alert.namespace, alert.pod, alert.container)
        return subject, running or image
    if alert.subject is None:
        return None, image
    ref_ = alert.subject
    named = canonical(Object(ref_.group, ref_.kind, ref_.namespace, ref_.name))
    return inventory.resolve(named)[0], image


def resolve_again(body: bytes, inventory: Inventory) -> bytes:
    """Return an event with the workload and image that have become known since."""
    event = decode_event(body)
    subject, image = _running(inventory, event.namespace, event.pod, event.container)
    if subject is None:
        return body
    return encode(msgspec.structs.replace(event, subject=subject, image=image or event.image))


def _running(
    inventory: Inventory, namespace: str, name: str, container: str
) -> tuple[Object | None, Image | None]:
    """Return a pod's workload and the image of its container, its only one where none fits."""
    place = Object("", "Pod", namespace, name)
    pod = inventory.pods.get(place)
    if pod is None:
        return None, None
    images = dict(pod.images)
    image = images.get(container)
    if image is None and len(images) == 1:
        [image] = images.values()
    return inventory.resolve(place)[0], image
