from agent.backoff import FIRST_SECONDS, MAX_SECONDS, Backoff


def test_waits_double_up_to_a_limit() -> None:
    backoff = Backoff(draw=lambda: 0.0)
    assert [backoff.next() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_jitter_takes_at_most_half() -> None:
    backoff = Backoff(draw=lambda: 1.0)
    assert [backoff.next() for _ in range(3)] == [0.25, 0.5, 1.0]


def test_success_starts_again() -> None:
    backoff = Backoff(draw=lambda: 0.0)
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() == FIRST_SECONDS


def test_very_many_failures_stay_at_the_limit() -> None:
    backoff = Backoff(draw=lambda: 0.0)
    backoff.failures = 10_000
    assert backoff.next() == MAX_SECONDS
