from typing import Any

import pytest
from msgspec import Struct

from sources.report import UnreadableError
from sources.shape import conform, decode


class Inner(Struct):
    name: str
    score: float | None = None
    sure: bool | None = None
    labels: dict[str, str] | None = None


class Outer(Struct):
    inner: list[Inner]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the object: expected object, found list"),
        ({}, "inner: missing"),
        ({"inner": [{}]}, "inner[0].name: missing"),
        ({"inner": [{"name": "a"}, {"name": 1}]}, "inner[1].name: expected text, found number"),
        ({"inner": [{"name": None}]}, "inner[0].name: expected text, found nothing"),
        ({"inner": [{"name": "", "score": "1"}]}, "inner[0].score: expected number, found text"),
        (
            {"inner": [{"name": "", "sure": 1}]},
            "inner[0].sure: expected true or false, found number",
        ),
        ({"inner": [{"name": "", "score": 10**400}]}, "inner[0].score: Number out of range"),
        (
            {"inner": [{"name": "", "labels": {"a": 1}}]},
            "inner[0].labels[...]: expected text, found number",
        ),
        ({"inner": [{1: 2}]}, "inner[0]: expected text as a key"),
        ({"inner": [{"\ud800": 2}]}, "a key with half a surrogate pair"),
    ],
)
def test_a_reason_says_what_was_expected_where(value: Any, reason: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        conform(value, Outer)
    assert str(raised.value) == reason


def test_what_a_shape_does_not_name_is_ignored() -> None:
    assert conform({"inner": [], "new": 1}, Outer) == Outer([])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"inner":[{"name":"\xff"}]}', b"[" * 100_000, b'"\\ud800"']
)
def test_bytes_that_are_no_content(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode(content, Outer)


def test_a_content_of_another_shape_says_where() -> None:
    with pytest.raises(UnreadableError, match=r"^inner\[0\]\.name: expected text, found number$"):
        decode(b'{"inner":[{"name":1}]}', Outer)
