"""A frame of events, unpacked: bounded before it is, and checked against what it says of itself."""

from itertools import pairwise

import msgspec
import zstandard

from aggregator.store.runtime_events import REFUSED, EventBatch
from protocol import messages as m

EVENTS_BYTES = 2**20  # of one frame, unpacked
EPOCH_CHARACTERS = 100
LARGEST_OFFSET = 2**62
GAPS = 100  # of one frame
GAP_EVENTS = 2**53
GAP_CHARACTERS = 200  # of a gap's key or reason
LATEST = 253_402_300_799_000  # ms since 1970, the end of the year 9999


class BadEventsError(Exception):
    """A frame whose offsets or gaps make no sense; the message says what."""


def read(frame: m.Events) -> EventBatch:
    """Unpack events. A body that cannot be read is lost, which is recorded, not sent for ever."""
    offsets = frame.offsets
    _check_epoch(frame.epoch)
    if not offsets or not 0 <= offsets[0] <= offsets[-1] <= LARGEST_OFFSET:
        raise BadEventsError("events without offsets, or with impossible ones")
    if any(later <= earlier for earlier, later in pairwise(offsets)):
        raise BadEventsError("offsets of events must rise")
    if frame.size > EVENTS_BYTES:
        raise BadEventsError(f"{frame.size:,} bytes of events, the limit is {EVENTS_BYTES:,}")
    try:
        raw = zstandard.ZstdDecompressor().decompress(frame.body, max_output_size=frame.size)
        events = m.decode_events(raw)
    except (zstandard.ZstdError, msgspec.DecodeError, UnicodeDecodeError, MemoryError):
        return EventBatch(frame.epoch, offsets, (), REFUSED)
    if len(events) != len(offsets):
        return EventBatch(frame.epoch, offsets, (), REFUSED)
    return EventBatch(frame.epoch, offsets, events)


def check_gaps(frame: m.Gaps) -> None:
    """Refuse gaps that the database could not hold."""
    _check_epoch(frame.epoch)
    if len(frame.gaps) > GAPS:
        raise BadEventsError(f"more than {GAPS} gaps in a frame")
    for gap in frame.gaps:
        texts = (gap.key, gap.reason, *gap.priorities)
        if any(len(text) > GAP_CHARACTERS or "\0" in text for text in texts):
            raise BadEventsError("a gap with a text that is too long or holds a NUL")
        numbers = (gap.events or 0, *gap.priorities.values())
        if len(gap.priorities) > len(m.Priority) or any(
            not 0 <= number <= GAP_EVENTS for number in numbers
        ):
            raise BadEventsError("a gap with impossible counts")
        if any(not 0 <= (each or 0) <= LATEST for each in (gap.started_at, gap.ended_at)):
            raise BadEventsError("a gap at an impossible time")


def _check_epoch(epoch: str) -> None:
    if not epoch or len(epoch) > EPOCH_CHARACTERS or "\0" in epoch:
        raise BadEventsError("an epoch that is empty, too long or holds a NUL")
