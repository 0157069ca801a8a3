"""Draws by name: the same name draws the same, and ranks follow Zipf's law."""

from collections import Counter

from bench.simulator.chance import Chance


def test_a_name_draws_the_same_whatever_was_drawn_before() -> None:
    first, second = Chance(1), Chance(1)
    second.number("something else")

    assert first.number("a", 1) == second.number("a", 1)
    assert first.number("a", 1) != first.number("a", 2)
    assert first.number("a", 1) != Chance(2).number("a", 1)


def test_low_ranks_come_more_often() -> None:
    drawn = Counter(Chance(1).rank(100, n) for n in range(20_000))

    assert set(drawn) == set(range(100))
    assert 1.7 < drawn[0] / drawn[1] < 1.7 * 1.3  # ln 2 to ln 1.5
    assert drawn[0] > 15 * drawn[20]


def test_what_looks_like_a_uuid_has_its_form() -> None:
    assert [len(part) for part in Chance(1).uuid("x").split("-")] == [8, 4, 4, 4, 12]
