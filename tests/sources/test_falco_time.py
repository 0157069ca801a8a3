"""Times in all the forms that events have them in."""

from typing import Any

import pytest

from sources.falco_time import instant, of_fields

TIME = 1707398903902664502


@pytest.mark.parametrize(
    ("time", "ns", "whole"),
    [
        ("2024-02-08T13:28:23.902664502Z", TIME, True),
        ("2024-02-08t13:28:23.902664502z", TIME, True),
        ("2024-02-08 13:28:23.902664502", TIME, True),
        ("2024-02-08T13:28:23.902664502+0000", TIME, True),
        ("2024-02-08T15:28:23.902664502+2", TIME, True),
        ("2024-02-08T15:28:23.902664502+02:00", TIME, True),
        ("2024-02-08T07:58:23.902664502-0530", TIME, True),
        ("2024-02-08T13:28:23Z", TIME // 10**9 * 10**9, True),
        ("2024-02-08T13:28:23.9Z", TIME // 10**9 * 10**9 + 900_000_000, True),
        ("2024-02-08T13:28:23.9026645021Z", TIME, False),
        ("2016-12-31T23:59:60Z", 1483228800 * 10**9, True),
        ({"seconds": 1570094449, "nanos": 620298462}, 1570094449620298462, True),
        ({"seconds": 1570094449}, 1570094449000000000, True),
        ({"seconds": 1570094449, "x": 1}, 1570094449000000000, False),
        ({"seconds": 1570094449, "nanos": -5}, None, False),
        (1707398903, 1707398903 * 10**9, True),
        (1707398903902, 1707398903902 * 10**6, True),
        (1707398903902664, 1707398903902664 * 10**3, True),
        (TIME, TIME, True),
        (str(TIME), TIME, True),
        ("1707398903", 1707398903 * 10**9, True),
        (1707398903.5, 1707398903500000000, False),
        (None, None, True),
        ("0001-01-01T00:00:00Z", None, False),
        ("0000-01-01T00:00:00Z", None, False),
        ("9999-01-01T00:00:00Z", None, False),
        ("2024-02-30T00:00:00Z", None, False),
        ("2024-02-08T13:28:23+99", None, False),
        ("09:20:49.620298462", None, False),
        ("٢٠٢٤-02-08T13:28:23Z", None, False),
        (10**30, None, False),
        (1e300, None, False),
        (37, None, False),
        (0, None, False),
        (True, None, False),
        ([], None, False),
    ],
)
def test_times_are_read_in_every_form(time: Any, ns: int | None, whole: bool) -> None:
    assert instant(time) == (ns, whole)


def test_the_first_readable_time_of_the_fields_is_taken() -> None:
    assert of_fields({"evt.time": "09:20:49", "jevt.time": TIME}) == TIME
    assert of_fields({"evt.time": None}) is None
