"""Version 1 of the protocol: every frame, as it stands on the wire.

A WebSocket's binary message is one frame: msgpack of one tagged struct of `Frame`. Unknown fields
are ignored and fields only ever get added, so old and new speak to each other. Structs that come
by the thousand are arrays instead of maps; there fields are only ever appended.

Times are milliseconds since 1970, UTC. Names of contents are 32 bytes. Fingerprints are unsigned
64-bit numbers, 0 is never one.
"""

from enum import StrEnum

import msgspec
from msgspec import Struct

from protocol.events import Event as Event  # noqa: PLC0414 - part of this vocabulary
from protocol.events import GapRecord as GapRecord  # noqa: PLC0414
from protocol.events import Priority as Priority  # noqa: PLC0414
from protocol.events import decode_event as decode_event  # noqa: PLC0414
from protocol.events import decode_events as decode_events  # noqa: PLC0414
from protocol.objects import Image as Image  # noqa: PLC0414
from protocol.objects import Key as Key  # noqa: PLC0414
from protocol.objects import Object as Object  # noqa: PLC0414

VERSION = 1
SUBPROTOCOL = "fleetwatch.v1"
BUCKETS = 256

WORKLOADS = "inventory/Workload"
NAMESPACES = "inventory/Namespace"
NODES = "inventory/Node"


class KindState(StrEnum):
    """How well the agent knows a kind; only SYNCED ones are compared and deleted from."""

    SYNCED = "SYNCED"
    LISTING = "LISTING"
    FORBIDDEN = "FORBIDDEN"
    ABSENT = "ABSENT"
    ERROR = "ERROR"


class Mode(StrEnum):
    """What the other end is: an agent that stays, or a push that ends."""

    AGENT = "AGENT"
    PUSH = "PUSH"


class Reason(StrEnum):
    """Why a side says Goodbye."""

    SHUTDOWN = "SHUTDOWN"  # this process ends; come back after retry_after
    DONE = "DONE"  # a push is complete
    BAD_FRAME = "BAD_FRAME"  # not decodable, too large or out of order
    UNSUPPORTED = "UNSUPPORTED"  # no common protocol version
    REFUSED = "REFUSED"  # this cluster takes another kind of session or another cluster's agent
    FENCED = "FENCED"  # another instance took over, or still holds the cluster
    BUSY = "BUSY"  # too many sessions, or the database does not answer
    IDLE = "IDLE"  # nothing was heard for three heartbeats


class Report(Struct, frozen=True, array_like=True, tag="r"):
    """The context of one report."""

    content: bytes  # the name of what it points at
    source: str
    subject: Object  # the owner at the end of the chain, or what the report names where unknown
    resolved: bool  # whether an inventory confirmed the subject
    superseded: bool
    container: str
    image: Image | None
    scanner: str
    scanner_version: str
    reported_at: int | None
    uid: str
    labels: dict[str, str]


class Container(Struct, frozen=True, array_like=True):
    """An image that runs in a container of a workload, and in how many pods."""

    name: str
    image: Image
    pods: int


class Workload(Struct, frozen=True, array_like=True, tag="w"):
    """A workload as it runs."""

    labels: dict[str, str]
    service_account: str
    pods: int
    containers: tuple[Container, ...]


class Namespace(Struct, frozen=True, array_like=True, tag="n"):
    """A namespace's labels."""

    labels: dict[str, str]


class Node(Struct, frozen=True, array_like=True, tag="m"):
    """A node's labels and what it runs on."""

    labels: dict[str, str]
    kubelet_version: str
    os_image: str
    architecture: str
    container_runtime: str


class Failure(Struct, frozen=True, array_like=True, tag="f"):
    """An object that the agent could not read."""

    reason: str
    size: int | None  # bytes, where known


Body = Report | Workload | Namespace | Node | Failure


class Item(Struct, frozen=True, array_like=True):
    """One entry as it stands now. `observed_at` is outside the fingerprint."""

    key: Key
    fingerprint: int
    observed_at: int
    body: Body


class Content(Struct, frozen=True, array_like=True):
    """A content, zstd-compressed; `size` is that of the canonical bytes."""

    name: bytes
    kind: str
    format: int
    size: int
    body: bytes


class Frame(Struct, frozen=True, tag_field="t", omit_defaults=True, kw_only=True):
    """What a binary message holds. `seq` rises by one with every frame that wants an ack."""


class Limits(Struct, frozen=True, kw_only=True):
    """What the aggregator takes; an agent stays below each."""

    frame_bytes: int  # one binary message
    content_bytes: int  # one content, canonical
    items: int  # of one frame: upserts, deletes, offers, entries


class Credits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes of frames that may be under way, unacknowledged, by what they carry."""

    context: int = 0
    contents: int = 0
    events: int = 0  # unpacked: an event weighs a tenth of itself on the wire


class Held(Struct, frozen=True, array_like=True):
    """What the aggregator holds of a kind."""

    kind: str
    entries: int
    root: int  # XOR of the entries' fingerprints


class Spool(Struct, frozen=True, array_like=True):
    """Where the agent's event spool stands."""

    epoch: str
    oldest: int
    next: int


class Hello(Frame, tag="hello", frozen=True, kw_only=True):
    """The agent's first frame."""

    versions: tuple[int, ...]  # of the protocol
    formats: dict[str, int] = {}  # content kind → format it writes
    agent_version: str
    instance: str  # stable across restarts of one agent
    mode: Mode
    clock: int
    cluster_uid: str | None = None
    kubernetes_version: str | None = None
    capabilities: tuple[str, ...] = ()
    spool: Spool | None = None


class Welcome(Frame, tag="welcome", frozen=True, kw_only=True):
    """The answer to a Hello that is accepted."""

    version: int
    session: int
    heartbeat: float  # seconds
    limits: Limits
    credits: Credits
    clock: int
    held: tuple[Held, ...] = ()
    resume: int | None = None  # the offset to go on from; None where the spool's epoch is new here


class KindSummary(Struct, frozen=True, array_like=True):
    """A kind as the agent knows it."""

    kind: str
    state: KindState
    entries: int
    root: int
    message: str = ""


class Summary(Frame, tag="summary", frozen=True, kw_only=True):
    """Sent at the start and whenever the state of a kind changes. Wants an ack."""

    seq: int
    kinds: tuple[KindSummary, ...]


class Compare(Frame, tag="compare", frozen=True, kw_only=True):
    """Roots differ: the aggregator asks for the 256 bucket fingerprints of these kinds."""

    kinds: tuple[str, ...]


class Buckets(Frame, tag="buckets", frozen=True, kw_only=True):
    """XOR of the fingerprints of each bucket of a kind."""

    kind: str
    fingerprints: tuple[int, ...]


class Descend(Frame, tag="descend", frozen=True, kw_only=True):
    """The aggregator asks for the entries of these buckets; none if all are equal after all."""

    kind: str
    buckets: tuple[int, ...]


class Entries(Frame, tag="entries", frozen=True, kw_only=True):
    """All entries of some buckets, in one or several frames; the last one has `last`.

    Whatever else the aggregator holds in these buckets is deleted once the last has come.
    Wants an ack.
    """

    seq: int
    kind: str
    buckets: tuple[int, ...]
    entries: tuple[tuple[Key, int], ...]
    last: bool


class Missing(Frame, tag="missing", frozen=True, kw_only=True):
    """The aggregator asks for entries that it lacks or holds otherwise, or for all of a kind."""

    kind: str
    keys: tuple[Key, ...] = ()
    everything: bool = False


class Offer(Frame, tag="offer", frozen=True, kw_only=True):
    """Names of contents that coming upserts point at."""

    names: tuple[bytes, ...]


class Want(Frame, tag="want", frozen=True, kw_only=True):
    """The answer to each Offer, in order: those that the aggregator lacks, perhaps none."""

    names: tuple[bytes, ...]


class Contents(Frame, tag="contents", frozen=True, kw_only=True):
    """Contents that were wanted. Wants an ack."""

    seq: int
    contents: tuple[Content, ...]


class Upsert(Frame, tag="upsert", frozen=True, kw_only=True):
    """Entries of one kind that are new or changed. Wants an ack."""

    seq: int
    kind: str
    items: tuple[Item, ...]


class Delete(Frame, tag="delete", frozen=True, kw_only=True):
    """Entries of one kind that are gone. Wants an ack."""

    seq: int
    kind: str
    keys: tuple[Key, ...]
    observed_at: int


class Refused(Struct, frozen=True, array_like=True):
    """An entry that was not taken; it became a failed report."""

    kind: str
    key: Key
    reason: str


class Reject(Frame, tag="reject", frozen=True, kw_only=True):
    """What of an acknowledged frame was not taken, and why."""

    items: tuple[Refused, ...]


class Ack(Frame, tag="ack", frozen=True, kw_only=True):
    """Everything up to `seq` is committed; the credits are given back."""

    seq: int
    credits: Credits = Credits()


class Events(Frame, tag="events", frozen=True, kw_only=True):
    """Runtime events of one spool, in the order of their offsets. `Stored` answers."""

    epoch: str
    offsets: tuple[int, ...]  # rising; what is left out is in a gap
    size: int  # bytes of the body unpacked
    body: bytes  # zstd of the msgpack array of `Event`, one an offset


class Gaps(Frame, tag="gaps", frozen=True, kw_only=True):
    """Gaps that are new or have grown. `Stored` answers."""

    epoch: str
    gaps: tuple[GapRecord, ...]


class Stored(Frame, tag="stored", frozen=True, kw_only=True):
    """Committed: every event below the offset `next`, and these gaps; the credits are given back."""

    epoch: str
    next: int | None = None
    gaps: tuple[tuple[str, int | None], ...] = ()  # key and events
    credits: Credits = Credits()


class KindNews(Struct, frozen=True, array_like=True):
    """The freshness of a kind."""

    kind: str
    newest_report_at: int | None
    scanner: str = ""


class Heartbeat(Frame, tag="heartbeat", frozen=True, kw_only=True):
    """Liveness, both ways."""

    clock: int
    kinds: tuple[KindNews, ...] = ()
    spool_events: int = 0
    oldest_unsent: int | None = None


class Goodbye(Frame, tag="goodbye", frozen=True, kw_only=True):
    """The last frame of a side. `seq` names the frame that was bad."""

    reason: Reason
    message: str
    retry_after: float | None = None  # seconds
    seq: int | None = None


FromAgent = (
    Hello
    | Summary
    | Buckets
    | Entries
    | Offer
    | Contents
    | Upsert
    | Delete
    | Events
    | Gaps
    | Heartbeat
    | Goodbye
)
FromAggregator = (
    Welcome | Compare | Descend | Missing | Want | Reject | Ack | Stored | Heartbeat | Goodbye
)

encode = msgspec.msgpack.Encoder(order="deterministic").encode
decode_from_agent = msgspec.msgpack.Decoder(FromAgent).decode
decode_from_aggregator = msgspec.msgpack.Decoder(FromAggregator).decode
