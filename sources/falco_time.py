"""The times that events name, in nanoseconds since 1970 (UTC); None for what is no time."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

SECOND = 1_000_000_000  # ns
DAY = 86_400  # s
SECONDS = 128  # that are remembered, read
LATEST = 2**63  # ns; the year 2262
# An epoch tells its unit by its size, from 1973 on.
_EPOCHS = ((10**8, 10**11, SECOND), (10**11, 10**14, 10**6), (10**14, 10**17, 10**3))
_TIME_FIELDS = (
    "evt.time",
    "evt.time.iso8601",
    "evt.rawtime",
    "jevt.time",
    "jevt.time.iso8601",
    "jevt.rawtime",
)
_RFC_3339 = re.compile(
    r"\s*([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:[.,]([0-9]{0,40}))?"
    r"[ ]?(?:[Zz]|([+-])([0-9]{1,2}):?([0-9]{2})?)?\s*",
    re.ASCII,
)
_DIGITS = re.compile(r"[0-9]{9,19}", re.ASCII)


def instant(value: Any) -> tuple[int | None, bool]:
    """Read a time as nanoseconds since 1970, and whether they are all that it says.

    RFC 3339 with up to nine digits (UTC where it names no zone), {"seconds": …, "nanos": …}, and
    seconds, milliseconds, microseconds or nanoseconds since 1970.
    """
    if value is None:
        return None, True
    if type(value) is str:
        if match := _RFC_3339.fullmatch(value):
            return _rfc_3339(match)
        value = int(value) if _DIGITS.fullmatch(value) else None
    if type(value) is int:
        return _epoch(value)
    if type(value) is float:
        return _epoch(value)[0], False
    return _protobuf(value) if type(value) is dict else (None, False)


def _protobuf(value: dict[str, Any]) -> tuple[int | None, bool]:
    seconds, nanos = value.get("seconds"), value.get("nanos", 0)
    if type(seconds) is not int or type(nanos) is not int or not 0 <= nanos < SECOND:
        return None, False
    time_ns = _believable(seconds * SECOND + nanos)
    return time_ns, time_ns is not None and value.keys() <= {"seconds", "nanos"}


def _rfc_3339(match: re.Match[str]) -> tuple[int | None, bool]:
    date, clock, second, fraction, sign, hours, minutes = match.groups()
    seconds = _seconds(date, clock, second)
    if seconds is None:
        return None, False
    if sign:
        ahead = int(hours) * 3_600 + int(minutes or 0) * 60
        if ahead >= DAY:
            return None, False
        seconds += ahead if sign == "-" else -ahead
    nanos = int(fraction[:9].ljust(9, "0")) if fraction else 0
    time_ns = _believable(seconds * SECOND + nanos)
    return time_ns, time_ns is not None and (fraction is None or not fraction[9:].strip("0"))


@lru_cache(SECONDS)
def _seconds(date: str, clock: str, second: str) -> int | None:
    """Return the seconds since 1970; events come many a second."""
    leap = second == "60"
    try:
        day = datetime.fromisoformat(f"{date}T{clock}:{'59' if leap else second}")
    except ValueError:
        return None
    return int(day.replace(tzinfo=UTC).timestamp()) + leap


def _epoch(number: float) -> tuple[int | None, bool]:
    for low, high, unit in _EPOCHS:
        if low <= number < high:
            return int(number * unit), True
    time_ns = _believable(int(number)) if number >= _EPOCHS[-1][1] else None
    return time_ns, time_ns is not None


def _believable(time_ns: int) -> int | None:
    """Tell a time from Go's zero time and what is no time at all."""
    return time_ns if 0 < time_ns < LATEST else None


def of_fields(look: dict[str, Any]) -> int | None:
    """Read the time that an event's fields name, by their dotted names."""
    for name in _TIME_FIELDS:
        if (value := look.get(name)) is not None and (time_ns := instant(value)[0]) is not None:
            return time_ns
    return None
