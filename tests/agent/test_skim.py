import json
import tracemalloc
from collections.abc import AsyncIterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.skim import TEXT_BYTES, Oversize, Skim, lines

NAME = ("object", "metadata", "name")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    before=st.dictionaries(texts, values, max_size=3),
    name=texts,
    inner=st.dictionaries(texts, values, max_size=3),
    cuts=st.lists(st.integers(min_value=0), max_size=10),
    ascii_only=st.booleans(),
)
def test_finds_a_name_wherever_it_stands(
    before: dict[str, object],
    name: str,
    inner: dict[str, object],
    cuts: list[int],
    ascii_only: bool,
) -> None:
    metadata = {**inner, "name": name}
    value = {**before, "object": {"a": before, "metadata": metadata, "z": [before, inner]}}
    skim = Skim([NAME])
    for piece in _pieces(json.dumps(value, ensure_ascii=ascii_only).encode(), cuts):
        skim.feed(piece)
    assert skim.text(*NAME) == name


@given(st.binary(max_size=200))
def test_anything_is_survived(data: bytes) -> None:
    skim = Skim([NAME])
    skim.feed(data)
    assert skim.size == len(data)


def test_items_of_a_list_and_what_follows_them() -> None:
    skim = Skim([("items", "[]", "metadata", "name"), ("metadata", "continue")])
    items = [{"spec": {"name": "no"}, "metadata": {"labels": {"name": "no"}, "name": "yes"}}]
    page = {"items": items, "metadata": {"continue": "more"}}
    skim.feed(json.dumps(page).encode())
    assert skim.text("items", "[]", "metadata", "name") == "yes"
    assert skim.text("metadata", "continue") == "more"


def test_a_long_text_is_not_held() -> None:
    skim = Skim([("a",), ("b",)])
    skim.feed(b'{"a":"' + b"x" * 100)
    for _ in range(100):
        skim.feed(b"y" * TEXT_BYTES)
        assert skim._text is not None
        assert len(skim._text) <= 3 * TEXT_BYTES
    skim.feed(b'","b":"found"}')
    assert skim.found == {("b",): "found"}


def test_a_lone_surrogate_is_no_obstacle() -> None:
    skim = Skim([("name",)])
    skim.feed(b'{"x":"\\ud800","y":"\xff","name":"n"}')
    assert skim.text("name") == "n"


async def _chunks(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@given(
    texts=st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")), max_size=6),
    cuts=st.lists(st.integers(min_value=0), max_size=10),
)
async def test_lines_are_cut_wherever_chunks_are(texts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(text + b"\n" for text in texts)
    found = [line async for line in lines(_chunks(_pieces(data, cuts)), limit=30, wanted=())]
    expected = [text if len(text) <= 30 else len(text) for text in texts if text]
    assert expected == [line.skim.size if isinstance(line, Oversize) else line for line in found]


async def test_a_line_without_an_end_is_dropped() -> None:
    found = [line async for line in lines(_chunks([b"one\ntw"]), limit=10, wanted=())]
    assert found == [b"one"]


async def test_a_line_of_100_mb_is_never_held() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"type":"ADDED","object":{"spec":["'
        for _ in range(1600):
            yield b"x" * 2**16
        yield b'"],"metadata":{"name":"huge"}}}\n{}\n'

    tracemalloc.start()
    try:
        found = [line async for line in lines(endless(), limit=2**20, wanted=[NAME])]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found[0], Oversize)
    assert found[0].skim.text(*NAME) == "huge"
    assert found[0].skim.size > 100_000_000
    assert found[1:] == [b"{}"]
    assert peak < 4 * 2**20
