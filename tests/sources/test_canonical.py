import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.canonical import encode, sort_results
from sources.report import UnreadableError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_encoding_keeps_the_value_and_is_stable(value: Any) -> None:
    encoded = encode(value)
    assert json.loads(encoded) == value
    assert encode(json.loads(encoded)) == encoded


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ({"b": 1, "a": [2, 1]}, b'{"a":[2,1],"b":1}'),
        (
            [7.0, -0.0, 1e300, 0.1, 2**53, 2.0**53],
            b"[7,0,1e300,0.1,9007199254740992,9007199254740992.0]",
        ),
        ("\0é\u2028", '"\\u0000é\u2028"'.encode()),
        ((True, None), b"[true,null]"),
    ],
)
def test_one_way_to_write_it(value: Any, encoded: bytes) -> None:
    assert encode(value) == encoded


def test_results_are_sorted_by_their_own_encoding() -> None:
    results = [{"b": 1}, {"a": 2.0}, {"a": 1}, {"a": 2}]
    assert encode(sort_results(results)) == b'[{"a":1},{"a":2},{"a":2},{"b":1}]'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\ud800", "text with half a surrogate pair"),
        ({"a": ["x", {"b": "\udfff"}]}, r"^a\[1\]\.b: text with half a surrogate pair$"),
        ({"\ud800": 1}, "text with half a surrogate pair"),
        ({"a": float("nan")}, "^a: a number that is not finite$"),
        ([float("-inf")], r"^\[0\]: a number that is not finite$"),
        (2**63, "an integer beyond 64 bits"),
        ({1: 2}, "expected text as a key, found int"),
        ({"a": {1, 2}}, "^a: expected JSON, found set$"),
        (b"", "expected JSON, found bytes"),
        ({"a\0": b""}, "^a\ufffd: expected JSON, found bytes$"),
    ],
)
def test_what_has_no_canonical_form(value: Any, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        encode(value)
