"""How far ahead an agent's clock is, though what it says comes late."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.ingest.clock import READINGS, AgentClock


def test_nothing_is_known_before_the_first_reading() -> None:
    assert AgentClock().ahead is None


def test_a_reading_that_came_late_does_not_count() -> None:
    clock = AgentClock()
    clock.read(1_000_000, 10.0)
    clock.read(1_015_000, 55.0)  # thirty seconds under way

    assert clock.ahead == 990_000


def test_a_clock_that_was_set_back_is_believed_after_a_minute() -> None:
    clock = AgentClock()
    clock.read(1_000_000, 10.0)
    for beat in range(1, READINGS + 1):
        clock.read(500_000 + 15_000 * beat, 10.0 + 15 * beat)

    assert clock.ahead == 490_000


@given(
    delays=st.lists(st.integers(0, 60_000), min_size=1, max_size=20), ahead=st.integers(0, 10**9)
)
def test_the_least_delayed_of_the_last_readings_counts(delays: list[int], ahead: int) -> None:
    clock = AgentClock()
    for beat, delay in enumerate(delays):
        sent = beat * 15_000
        clock.read(sent + ahead, (sent + delay) / 1000)

    assert clock.ahead is not None
    assert abs(clock.ahead - (ahead - min(delays[-READINGS:]))) <= 1  # ms, of rounding
