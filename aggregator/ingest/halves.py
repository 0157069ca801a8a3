"""A part of a transaction cut in two, to find the value that Postgres refuses."""

import msgspec

from aggregator.store.ingest import Write
from aggregator.store.runtime_events import REFUSED, EventBatch

replace = msgspec.structs.replace


def halves(whole: Write) -> tuple[Write, Write] | None:
    """Cut in two: contents first, then entries, then events; None for what cannot be cut.

    What is left of the order: no entry goes before the contents, no event before an earlier one.
    """
    entries = {**whole.upserts, **whole.deletes}
    if len(whole.contents) + len(entries) + len(whole.events) > 1:
        if whole.contents:
            return _apart(whole)
        if entries:
            return _entries(whole)
    return _events(whole)


def _apart(whole: Write) -> tuple[Write, Write]:
    middle = (len(whole.contents) + 1) // 2
    first = replace(
        whole,
        contents=whole.contents[:middle],
        upserts={},
        deletes={},
        states=(),
        full_sync=False,
        events=(),
        gaps=(),
    )
    return first, replace(whole, contents=whole.contents[middle:])


def _entries(whole: Write) -> tuple[Write, Write]:
    """Cut the entries in two; events go with neither half but after them."""
    entries = {**whole.upserts, **whole.deletes}
    keys = list(entries)
    chosen = set(keys[: (len(keys) + 1) // 2])
    first = replace(
        whole,
        upserts={k: v for k, v in whole.upserts.items() if k in chosen},
        deletes={k: v for k, v in whole.deletes.items() if k in chosen},
        states=(),
        full_sync=False,
        events=(),
        gaps=(),
    )
    second = replace(
        whole,
        upserts={k: v for k, v in whole.upserts.items() if k not in chosen},
        deletes={k: v for k, v in whole.deletes.items() if k not in chosen},
    )
    return first, second


def _events(whole: Write) -> tuple[Write, Write] | None:
    """Cut events in two, by batch, then within the batch."""
    batches = whole.events
    if len(batches) > 1:
        middle = len(batches) // 2
        return (
            replace(whole, states=(), full_sync=False, events=batches[:middle], gaps=()),
            replace(whole, events=batches[middle:]),
        )
    if not batches or len(batches[0].events) <= 1:
        return None
    [batch] = batches
    middle = len(batch.events) // 2
    first = replace(batch, offsets=batch.offsets[:middle], events=batch.events[:middle])
    rest = replace(batch, offsets=batch.offsets[middle:], events=batch.events[middle:])
    return (
        replace(whole, states=(), full_sync=False, events=(first,), gaps=()),
        replace(whole, events=(rest,)),
    )


def without(single: Write) -> Write:
    """Leave out the one value that is refused; an event's place is passed and becomes a gap."""
    lost = tuple(EventBatch(b.epoch, b.offsets, (), b.lost or REFUSED) for b in single.events)
    return replace(single, contents=(), upserts={}, deletes={}, events=lost)
