"""A cache keeps what was used last, within its size and its weight."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.graph.lru import SHARE, Lru


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: Lru[str, int] = Lru(2, 1_000)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 1)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_heavy_entries_make_others_go_and_too_heavy_ones_do_not_come() -> None:
    cache: Lru[int, int] = Lru(1_000, 80)
    for number in range(20):
        cache.put(number, number, 10)
    assert len(cache) == 8
    cache.put(20, 20, 80 // SHARE + 1)
    assert cache.get(20) is None
    assert len(cache) == 8


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12))))
def test_the_weight_held_is_that_of_the_entries(puts: list[tuple[int, int]]) -> None:
    cache: Lru[int, int] = Lru(5, 80)
    for key, weight in puts:
        cache.put(key, weight, weight)
    entries = cache._entries.values()
    assert cache._held == sum(weight for _, weight in entries) <= 80
    assert len(cache) <= 5
    assert all(value == weight for value, weight in entries)
