"""The ingest transaction: what any number of sessions sent, written at once.

The order is always the same, so replicas never wait for each other in a circle: sessions by
cluster, contents and what they share by key, then rows that belong to the locked clusters.
A session whose number has passed to another loses its part; the others' parts are written.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import asyncpg
import msgspec
from msgspec import Struct

from aggregator.store import contents as content_store
from aggregator.store import (
    event_gaps,
    history,
    inventory,
    placements,
    report_entries,
    reports,
    runtime_events,
    sync,
)
from aggregator.store.columns import columns, signed
from aggregator.store.contents import NewContent
from aggregator.store.pool import AWAY, Connection, Pool, UnavailableError
from aggregator.store.report_entries import FailureEntry, GoneEntry, ReportEntry
from aggregator.store.reports import EntryKey
from aggregator.store.roots import Roots
from aggregator.store.runtime_events import EVENTS_A_DAY, EventBatch, EventPart
from aggregator.store.sync import Locked
from protocol.messages import (
    NAMESPACES,
    NODES,
    WORKLOADS,
    Failure,
    GapRecord,
    Item,
    Key,
    KindState,
    KindSummary,
    Namespace,
    Node,
    Report,
    Workload,
)

Entry = tuple[str, Key]  # kind and key
RULES_A_DAY = 2_000_000  # new to the catalogue, that one cluster may bring
CONTENT_BYTES_A_DAY = 8 * 2**30  # compressed, new, that one cluster may bring
EPOCH = datetime.fromtimestamp(0, UTC)  # of a transaction without a session


class Write(Struct, frozen=True, kw_only=True):
    """A session's part: the last word on each entry, so order no longer matters.

    `skew` is how far the agent's clock is ahead, in milliseconds.
    """

    cluster_id: int
    session: int
    skew: int = 0
    contents: tuple[NewContent, ...] = ()
    upserts: dict[Entry, Item] = {}
    deletes: dict[Entry, int | None] = {}  # observed_at; None is now
    states: tuple[KindSummary, ...] = ()
    full_sync: bool = False
    events: tuple[EventBatch, ...] = ()
    gaps: tuple[tuple[str, GapRecord], ...] = ()  # with the epoch of their spool

    @property
    def state(self) -> bool:
        """Whether it holds anything but events and gaps."""
        return bool(self.contents or self.upserts or self.deletes or self.states or self.full_sync)


class Written(Struct, frozen=True):
    """What became of a session's part.

    `missing` are entries whose content is not stored, `refused` contents beyond the day's quota.
    """

    stale: bool = False
    missing: tuple[Entry, ...] = ()
    refused: tuple[bytes, ...] = ()


# Another transaction is in the way, or one of the sessions is: the same again, or apart, will do.
CONFLICTS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IntegrityConstraintViolationError,
    TimeoutError,
)
# A value that asyncpg or Postgres will not take.
FAULTS = (
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.CardinalityViolationError,
    OverflowError,
    ValueError,
)
# All else that Postgres, or the way to it, may say.
GONE: tuple[type[Exception], ...] = (asyncpg.PostgresError, *AWAY)


class ConflictError(Exception):
    """Another transaction was in the way; the same again will do."""


class DataFaultError(Exception):
    """Postgres refused a value; the message says what it said."""


async def write(
    pool: Pool, writes: Sequence[Write], *, events_a_day: int = EVENTS_A_DAY
) -> list[Written]:
    """Commit what sessions sent. Returns one result a write, in the same order.

    Raises `ConflictError`, `DataFaultError`, or `pool.UnavailableError`; nothing is written then,
    or, where the answer to the commit was lost, the same again changes nothing.
    """
    try:
        return await _write(pool, writes, events_a_day)
    except CONFLICTS as error:
        raise ConflictError(str(error) or type(error).__name__) from error
    except FAULTS as error:
        raise DataFaultError(str(error)) from error
    except GONE as error:
        raise UnavailableError(f"Postgres does not answer: {error}") from error


async def _write(pool: Pool, writes: Sequence[Write], events_a_day: int) -> list[Written]:
    async with pool.acquire() as connection, connection.transaction():
        sessions = await sync.lock_sessions(connection, {w.cluster_id for w in writes})
        current = {
            number: w
            for number, w in enumerate(writes)
            if w.cluster_id in sessions and sessions[w.cluster_id].number == w.session
        }
        refused = await _write_contents(connection, list(current.values()), sessions)
        missing = await _write_current(connection, list(current.values()), sessions)
        await _write_events(connection, list(current.values()), sessions, events_a_day)
        await sync.leave_sessions(connection, [sessions[w.cluster_id] for w in current.values()])
    return [
        Written(missing=missing[w.cluster_id], refused=refused[w.cluster_id])
        if number in current
        else Written(stale=True)
        for number, w in enumerate(writes)
    ]


async def _write_contents(
    connection: Connection, writes: Sequence[Write], sessions: dict[int, Locked]
) -> dict[int, tuple[bytes, ...]]:
    """Store contents, within each cluster's quota. Returns what was refused, by cluster."""
    refused: dict[int, tuple[bytes, ...]] = {}
    taken: list[NewContent] = []
    for w in writes:
        session = sessions[w.cluster_id]
        over = session.rules >= RULES_A_DAY or session.bytes >= CONTENT_BYTES_A_DAY
        known = (
            await content_store.known(connection, [c.name for c in w.contents]) if over else set()
        )
        refused[w.cluster_id] = tuple(c.name for c in w.contents if over and c.name not in known)
        taken += [c for c in w.contents if c.name not in refused[w.cluster_id]]
    added = await content_store.add(connection, taken)
    for w in writes:  # who brings a content first pays for it
        for content in w.contents:
            if content.name in added:
                sessions[w.cluster_id].rules += added.pop(content.name)
                sessions[w.cluster_id].bytes += len(content.body)
    return refused


async def _write_current(
    connection: Connection, writes: Sequence[Write], sessions: dict[int, Locked]
) -> dict[int, tuple[Entry, ...]]:
    if not any(w.state for w in writes):
        return {w.cluster_id: () for w in writes}
    roots = Roots()
    times = {w.cluster_id: sessions[w.cluster_id].at for w in writes}
    await _write_images(connection, writes)
    subjects = await _write_inventory(connection, writes, roots)
    touched = await _drop_absent_kinds(connection, writes)
    missing, placed = await _write_reports(connection, writes, times, roots)
    touched |= placed
    if subjects:
        touched |= set(await inventory.placements_of(connection, sorted(subjects)))
    if touched or subjects:
        await _settle(connection, sorted(touched), sorted(subjects), times)
    await sync.move_roots(connection, roots.moves)
    await sync.set_states(connection, [(w.cluster_id, s) for w in writes for s in w.states])
    for w in writes:
        sessions[w.cluster_id].full_sync |= w.full_sync
    return missing


async def _write_events(
    connection: Connection,
    writes: Sequence[Write],
    sessions: dict[int, Locked],
    events_a_day: int,
) -> None:
    gaps = [(w.cluster_id, w.skew, epoch, gap) for w in writes for epoch, gap in w.gaps]
    await event_gaps.write(connection, gaps)
    parts = [EventPart(w.cluster_id, w.skew, w.events) for w in writes if w.events]
    if parts:
        await runtime_events.write(connection, parts, sessions, events_a_day=events_a_day)


async def _write_images(connection: Connection, writes: Iterable[Write]) -> None:
    """Add the images that reports name and workloads run."""
    images = set()
    for item in (item for w in writes for item in w.upserts.values()):
        if isinstance(item.body, Report) and item.body.image is not None:
            images.add(item.body.image)
        elif isinstance(item.body, Workload):
            images.update(container.image for container in item.body.containers)
    if images:
        rows = (msgspec.structs.astuple(image) for image in images)
        await connection.execute(reports.ADD_IMAGES, *columns(rows, 5))


async def _write_inventory(
    connection: Connection, writes: Sequence[Write], roots: Roots
) -> set[int]:
    """Write what runs. Returns the subjects whose images or existence may have changed."""
    touched: set[int] = set()
    for kind, body, upsert, remove in (
        (WORKLOADS, Workload, inventory.upsert_workloads, inventory.REMOVE_WORKLOADS),
        (NAMESPACES, Namespace, inventory.upsert_namespaces, inventory.REMOVE_NAMESPACES),
        (NODES, Node, inventory.upsert_nodes, inventory.REMOVE_NODES),
    ):
        entries = [
            (w.cluster_id, item)
            for w in writes
            for (item_kind, _), item in w.upserts.items()
            if item_kind == kind and isinstance(item.body, body)
        ]
        if entries:
            before, subjects = await upsert(connection, entries)
            touched.update(subjects)
            for cluster_id, item in entries:
                roots.move(cluster_id, kind, 1, signed(item.fingerprint))
            for cluster_id, fingerprint in before:
                roots.move(cluster_id, kind, -1, fingerprint)
        keys = [(w.cluster_id, key) for w in writes for k, key in w.deletes if k == kind]
        if keys:
            before, subjects = await inventory.remove(connection, remove, keys)
            touched.update(subjects)
            for cluster_id, fingerprint in before:
                roots.move(cluster_id, kind, -1, fingerprint)
    return touched


async def _drop_absent_kinds(connection: Connection, writes: Sequence[Write]) -> set[int]:
    """A kind whose CRD is gone goes at once, whatever order its news came in."""
    kinds = sorted(
        {
            (w.cluster_id, *sync.split_kind(state.kind))
            for w in writes
            for state in w.states
            if state.state is KindState.ABSENT and not state.kind.startswith("inventory/")
        }
    )
    if not kinds:
        return set()
    await connection.execute(reports.DROP_FAILED_KIND, *columns(kinds, 3))
    names = [(cluster_id, f"{group}/{kind}") for cluster_id, group, kind in kinds]
    await connection.execute(sync.CLEAR_ROOTS, *columns(names, 2))
    return set(await reports.drop_kinds(connection, kinds))


async def _write_reports(
    connection: Connection,
    writes: Sequence[Write],
    times: dict[int, datetime],
    roots: Roots,
) -> tuple[dict[int, tuple[Entry, ...]], set[int]]:
    """Write reports and failures. Returns what lacks its content, and the placements touched."""
    upserts: list[ReportEntry] = []
    failures: list[FailureEntry] = []
    gone: list[GoneEntry] = []
    for w in writes:
        for (kind, _), item in w.upserts.items():
            key, observed_at = _key(w, kind, item.key), _corrected(w, item.observed_at, times)
            if isinstance(item.body, Report):
                upserts.append(ReportEntry(key, item, item.body, observed_at))
            elif isinstance(item.body, Failure):
                failures.append(FailureEntry(key, item, item.body, observed_at))
        gone += [
            GoneEntry(_key(w, kind, key), _corrected(w, observed_at, times))
            for (kind, key), observed_at in w.deletes.items()
            if not kind.startswith("inventory/")
        ]
    stored: set[bytes] = set()
    if upserts:
        stored = await content_store.hold(connection, [entry.body.content for entry in upserts])
    missing: dict[int, list[Entry]] = {w.cluster_id: [] for w in writes}
    for entry in upserts:
        if entry.body.content not in stored:
            kind = f"{entry.key.api_group}/{entry.key.kind}"
            missing[entry.key.cluster_id].append((kind, entry.item.key))
    upserts = [entry for entry in upserts if entry.body.content in stored]
    keys = [entry.key for entries in (upserts, failures, gone) for entry in entries]
    await report_entries.forget_failures(connection, keys, roots)
    touched = await report_entries.upsert(connection, upserts, roots)
    at = max(times.values(), default=EPOCH)
    touched |= await report_entries.remove(connection, [*gone, *failures], at, roots)
    await report_entries.fail(connection, failures, roots)
    return {cluster_id: tuple(entries) for cluster_id, entries in missing.items()}, touched


async def _settle(
    connection: Connection,
    touched: list[int],
    subjects: list[int],
    times: dict[int, datetime],
) -> None:
    """Bring counts and history in line with the reports as they now stand."""
    await connection.execute(reports.DROP_ABSENT, touched)
    at = max(times.values())
    await placements.recount(connection, touched, at)
    await history.follow(connection, dict.fromkeys(touched, at))
    await placements.recount_subjects(connection, touched, subjects)


def _key(write: Write, kind: str, key: Key) -> EntryKey:
    """An entry's key within the fleet."""
    group, name = sync.split_kind(kind)
    return EntryKey(write.cluster_id, group, name, key.namespace, key.name, key.sub)


def _corrected(write: Write, observed_at: int | None, times: dict[int, datetime]) -> int:
    """The agent's time by the centre's clock, never after the transaction's own."""
    now = int(times[write.cluster_id].timestamp() * 1000)
    return now if observed_at is None else min(observed_at - write.skew, now)
