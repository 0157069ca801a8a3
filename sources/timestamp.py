"""Times as producers write them, in milliseconds since 1970 (UTC); None for what cannot be true.

A time is never a reason to refuse a report. Seen in the wild: 0, Go's zero time (year 1), the
second of the minute instead of seconds since 1970 (falcosidekick), negative nanoseconds (the
Trivy adapter) and more than a second of them (KubeArmor).
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

SECOND = 1_000  # ms
NANOS = 1_000_000_000  # in a second
EARLIEST_REPORT = int(datetime(2014, 6, 1, tzinfo=UTC).timestamp()) * SECOND  # Kubernetes' birth
CHARACTERS = 64  # of a time; no more is looked at, or remembered
INSTANTS = 8_192  # texts whose time is remembered: those of a CVE stand in many contents
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * SECOND  # nobody scans in 2100 yet


def instant(text: Any) -> int | None:
    """Read an RFC 3339 text, as UTC where it names no zone."""
    if not isinstance(text, str) or len(text) > CHARACTERS:
        return None
    return _instant(text)


@lru_cache(INSTANTS)
def _instant(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text.strip())
        milliseconds = int(time.replace(tzinfo=time.tzinfo or UTC).timestamp() * SECOND)
    except (ValueError, OverflowError):
        return None
    return milliseconds if 0 < milliseconds < LATEST else None


def reported(text: Any) -> int | None:
    """Read the time of a report, which is no older than Kubernetes."""
    return _believable(instant(text))


def epoch(timestamp: Any) -> int | None:
    """Read a protobuf timestamp, {"seconds": …, "nanos": …}; impossible nanoseconds count as 0."""
    if not isinstance(timestamp, dict):
        return None
    seconds, nanos = timestamp.get("seconds"), timestamp.get("nanos")
    if type(seconds) is not int:
        return None
    if type(nanos) is not int or not 0 <= nanos < NANOS:
        nanos = 0
    return _believable(seconds * SECOND + nanos * SECOND // NANOS)


def _believable(milliseconds: int | None) -> int | None:
    if milliseconds is None or not EARLIEST_REPORT <= milliseconds < LATEST:
        return None
    return milliseconds
