import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.report import UnreadableError
from sources.text import clean, joined, without_nul, written


def test_context_is_clean() -> None:
    assert (clean(None), clean(""), clean("a\0b")) == ("", "", "a\ufffdb")
    with pytest.raises(UnreadableError, match="half a surrogate pair at 1"):
        clean("a\ud800")


@given(st.text(st.sampled_from('\0\\u0"a'), max_size=12))
def test_a_content_loses_its_nuls_and_nothing_else(text: str) -> None:
    content = json.dumps({text: text}).encode()
    cleaned = text.replace("\0", "\ufffd")
    assert json.loads(without_nul(content)) == {cleaned: cleaned}


def test_text_that_yaml_took_for_something_else() -> None:
    values: list[Any] = ["a", 1.16, 7, True, False, None, [], 10**5000]
    assert [written(value) for value in values] == [
        "a",
        "1.16",
        "7",
        "true",
        "false",
        "",
        "",
        "",
    ]


def test_lines_are_joined() -> None:
    assert (joined("a", "", None, "b"), joined("", None), joined()) == ("a\nb", None, None)
