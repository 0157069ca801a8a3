import pytest

from sources.report import Severity, Status
from sources.severity import score_of, severity_of, status_of, worst


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("CRITICAL", Severity.CRITICAL),
        ("high", Severity.HIGH),
        ("Medium", Severity.MEDIUM),
        (" low ", Severity.LOW),
        ("info", Severity.INFO),
        ("danger", Severity.HIGH),
        ("warning", Severity.MEDIUM),
        ("NEGLIGIBLE", Severity.UNKNOWN),
        ("", Severity.UNKNOWN),
        (None, Severity.UNKNOWN),
    ],
)
def test_severities(word: str | None, severity: Severity) -> None:
    assert severity_of(word) is severity


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pass", Status.PASS),
        ("FAIL", Status.FAIL),
        ("Warn", Status.WARN),
        ("error", Status.ERROR),
        ("skip", Status.SKIP),
        ("INFO", Status.SKIP),
        ("maybe", Status.SKIP),
        ("", Status.SKIP),
        (None, Status.SKIP),
    ],
)
def test_statuses(word: str | None, status: Status) -> None:
    assert status_of(word) is status


def test_scores_are_of_cvss() -> None:
    assert [score_of(score) for score in (None, 0, 9.8, 10, -0.1, 10.5)] == [
        None,
        0,
        9.8,
        10,
        None,
        None,
    ]


def test_the_worse_of_two() -> None:
    assert worst(Severity.LOW, Severity.HIGH) is Severity.HIGH
    assert worst(Severity.INFO, Severity.UNKNOWN) is Severity.INFO
