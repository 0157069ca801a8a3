"""Runtime events and what is missing of them, as they stand on the wire and in an agent's spool."""

from enum import IntEnum

import msgspec
from msgspec import Struct

from protocol.objects import Image, Object


class Priority(IntEnum):
    """Falco's priorities; the lower the graver."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7


class Event(Struct, frozen=True, array_like=True):
    """One runtime event. Texts that it does not have are ""."""

    time: int | None  # nanoseconds since 1970 by the event's own word
    received_at: int  # by the agent's clock
    rule: str
    priority: Priority
    source: str
    output: str
    hostname: str
    tags: tuple[str, ...]
    namespace: str
    pod: str
    container: str
    subject: Object | None  # the workload that the pod belongs to, or what the event is about
    image: Image | None
    fields: str  # a JSON object


class GapRecord(Struct, frozen=True, array_like=True):
    """Events that are known to be missing. A gap that grows is sent again under its key."""

    key: str  # names it within the spool's epoch
    reason: str
    started_at: int | None  # every missing event lies between these two, where they are known
    ended_at: int | None
    events: int | None  # None where nobody knows how many
    priorities: dict[str, int] = {}  # how many of which, where known


decode_events = msgspec.msgpack.Decoder(tuple[Event, ...]).decode
decode_event = msgspec.msgpack.Decoder(Event).decode
