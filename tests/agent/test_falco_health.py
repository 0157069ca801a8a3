"""What Falco says of itself becomes a gap where it missed something."""

from agent.falco_health import Health
from agent.gaps import FALCO_DROPS, Loss
from sources.falco import Internal


def internal(
    rule: str, calls: int | None, alerts: int | None, *, hostname: str = "node"
) -> Internal:
    return Internal(0, f"Falco internal: {rule}", 7, hostname, "", {}, calls, alerts)


def taken(*events: Internal) -> list[Loss]:
    losses: list[Loss] = []
    health = Health(losses.append)
    for number, event in enumerate(events):
        health.take(event, number * 1000)
    return losses


def test_a_drop_is_a_gap_of_unknown_size() -> None:
    [loss] = taken(internal("syscall event drop", 12, None))

    assert (loss.reason, loss.events) == (FALCO_DROPS, None)


def test_sums_count_by_what_they_rose() -> None:
    losses = taken(
        internal("metrics snapshot", 100, 5),
        internal("metrics snapshot", 100, 5),
        internal("metrics snapshot", 100, 8),
        internal("metrics snapshot", 0, 0),  # Falco started anew
        internal("metrics snapshot", 0, 2, hostname="other"),
        internal("metrics snapshot", 0, 1),
    )

    assert [(loss.events, loss.started_at, loss.ended_at) for loss in losses] == [
        (3, 1000, 2000),
        (1, 3000, 5000),
    ]


def test_a_healthy_falco_leaves_no_gap() -> None:
    assert (
        taken(internal("metrics snapshot", None, None), internal("syscall event drop", 0, 0)) == []
    )
