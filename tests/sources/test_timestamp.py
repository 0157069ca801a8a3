from typing import Any

import pytest

from sources.timestamp import epoch, instant, reported


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-03-02T06:14:08Z", 1772432048_000),
        ("2026-03-02T08:14:08+02:00", 1772432048_000),
        ("2026-03-02T06:14:08.123456789Z", 1772432048_123),
        ("2026-03-02T06:14:08", 1772432048_000),
        ("2010-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("2100-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1772432048, None),
    ],
)
def test_the_time_of_a_report(text: Any, milliseconds: int | None) -> None:
    assert reported(text) == milliseconds


def test_a_vulnerability_may_be_older_than_kubernetes() -> None:
    assert instant("1999-01-04T05:00:00Z") == 915426000_000


@pytest.mark.parametrize(
    ("timestamp", "milliseconds"),
    [
        ({"seconds": 1772432048, "nanos": 500_000_000}, 1772432048_500),
        ({"seconds": 1772432048}, 1772432048_000),
        ({"seconds": 1628548814, "nanos": -879126275}, 1628548814_000),
        ({"seconds": 1628548814, "nanos": 2_000_000_000}, 1628548814_000),
        ({"seconds": 40, "nanos": 98821031}, None),
        ({"seconds": 0, "nanos": 0}, None),
        ({"seconds": -1}, None),
        ({"seconds": 10**30}, None),
        ({"seconds": True}, None),
        ({"seconds": "1772432048"}, None),
        ({}, None),
        (None, None),
        ("2026-03-02T06:14:08Z", None),
    ],
)
def test_the_time_of_a_policy_result(timestamp: Any, milliseconds: int | None) -> None:
    assert epoch(timestamp) == milliseconds
