"""Report entries of an ingest transaction: written, failed and gone.

The functions take the entries of any number of clusters, whose sessions the caller has locked, and
tell the placements to count again. What the roots gain and lose goes to `Roots`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from aggregator.store import reports
from aggregator.store.columns import columns, signed
from aggregator.store.pool import Connection
from aggregator.store.reports import EntryKey
from aggregator.store.roots import Roots
from protocol.fingerprint import bucket
from protocol.messages import Failure, Item, Report
from sources.registry import contents as content_kinds


class ReportEntry(Struct, frozen=True):
    """A report as it now stands; `observed_at` by the centre's clock, in ms."""

    key: EntryKey
    item: Item
    body: Report
    observed_at: int


class FailureEntry(Struct, frozen=True):
    """An object that could not be read."""

    key: EntryKey
    item: Item
    body: Failure
    observed_at: int


class GoneEntry(Struct, frozen=True):
    """An entry that is no more."""

    key: EntryKey
    observed_at: int


async def forget_failures(connection: Connection, keys: Sequence[EntryKey], roots: Roots) -> None:
    """Drop the failed reports at keys of which there is news."""
    if not keys:
        return
    for row in await connection.fetch(reports.FAILED_STANDING, *reports.key_columns(keys)):
        roots.move(row["cluster_id"], row["kind"], -1, row["fingerprint"])


async def upsert(connection: Connection, entries: Sequence[ReportEntry], roots: Roots) -> set[int]:
    """Write reports whose contents are stored. Returns the placements touched, old and new."""
    if not entries:
        return set()
    keys = reports.key_columns([entry.key for entry in entries])
    await connection.execute(reports.ADD_KINDS, keys[1], keys[2])
    touched = roots.move_rows(await connection.fetch(reports.STANDING, *keys), -1)
    subjects = sorted(
        {
            (
                entry.key.cluster_id,
                *msgspec.structs.astuple(entry.body.subject),
                entry.body.resolved,
            )
            for entry in entries
        }
    )
    await connection.execute(reports.ADD_SUBJECTS, *columns(subjects, 6))
    arguments = columns(map(_report_row, entries), reports.REPORT_COLUMNS)
    arguments += columns(
        ((kind.name, str(kind.category)) for kind in content_kinds().values() if kind.category), 2
    )
    await connection.execute(reports.ADD_PLACEMENTS, *arguments)
    return touched | roots.move_rows(await connection.fetch(reports.UPSERT, *arguments), 1)


async def remove(
    connection: Connection,
    entries: Sequence[GoneEntry | FailureEntry],
    at: datetime,
    roots: Roots,
) -> set[int]:
    """Remove reports, or mark them absent since `at`. Returns the placements touched."""
    if not entries:
        return set()
    keys = reports.key_columns([entry.key for entry in entries])
    times = [entry.observed_at for entry in entries]
    return roots.move_rows(await connection.fetch(reports.REMOVE, *keys, times, at), -1)


async def fail(connection: Connection, entries: Sequence[FailureEntry], roots: Roots) -> None:
    """Write failed reports, at keys where nothing stands."""
    if not entries:
        return
    await connection.execute(reports.ADD_FAILED, *columns(map(_failure_row, entries), 11))
    for entry in entries:
        kind = f"{entry.key.api_group}/{entry.key.kind}"
        roots.move(entry.key.cluster_id, kind, 1, signed(entry.item.fingerprint))


def _report_row(entry: ReportEntry) -> tuple[Any, ...]:
    """The columns of INCOMING."""
    body = entry.body
    image = msgspec.structs.astuple(body.image)[:4] if body.image else (None,) * 4
    return (
        *entry.key.row(),
        body.uid or None,
        body.source,
        body.subject.group,
        body.subject.kind,
        body.subject.namespace,
        body.subject.name,
        body.superseded,
        body.container,
        *image,
        body.content,
        body.scanner or None,
        body.scanner_version or None,
        msgspec.json.encode(body.labels).decode(),
        body.reported_at,
        entry.observed_at,
        signed(entry.item.fingerprint),
        bucket(entry.item.key),
    )


def _failure_row(entry: FailureEntry) -> tuple[Any, ...]:
    """The columns of ADD_FAILED."""
    return (
        *entry.key.row(),
        entry.body.reason,
        entry.body.size,
        entry.observed_at,
        signed(entry.item.fingerprint),
        bucket(entry.item.key),
    )
