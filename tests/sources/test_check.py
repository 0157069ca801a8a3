"""The shapes of checks; what each kind makes of them stands in its own test."""

from typing import Any

import pytest

from sources.check import read_checks, split_checks
from sources.config_audit_report import CONFIG_CHECKS
from sources.report import Finding, Severity, Status, UnreadableError


def read(report: dict[str, Any]) -> tuple[Finding, ...]:
    (part,) = split_checks({"report": report}, CONFIG_CHECKS)
    return read_checks(part.content).findings


def test_a_check_needs_nothing() -> None:
    assert read({"checks": [{}]}) == (
        Finding(rule="unknown", severity=Severity.UNKNOWN, status=Status.FAIL),
    )


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("CRITICAL", Severity.CRITICAL),
        ("danger", Severity.HIGH),
        ("warning", Severity.MEDIUM),
        ("", Severity.UNKNOWN),
        (None, Severity.UNKNOWN),
        ("ignore", Severity.UNKNOWN),
    ],
)
def test_severities_of_all_eras(word: str | None, severity: Severity) -> None:
    (finding,) = read({"checks": [{"severity": word}]})
    assert finding.severity is severity


def test_messages_are_lines() -> None:
    (finding,) = read({"checks": [{"messages": ["one", "", None, "two"]}]})
    assert finding.message == "one\ntwo"
    (finding,) = read({"checks": [{"messages": [""]}]})
    assert finding.message is None


def test_old_lists_are_read_where_there_is_no_new_one() -> None:
    old = {"podChecks": [{"checkID": "a"}], "containerChecks": {"c": [{"checkID": "b"}]}}
    assert [(one.rule, one.target) for one in read(old)] == [("a", None), ("b", "c")]
    assert [one.rule for one in read({**old, "checks": [{"checkID": "n"}]})] == ["n"]
    assert [one.rule for one in read({**old, "checks": []})] == ["a", "b"]


def test_the_order_of_checks_says_nothing() -> None:
    checks = [{"checkID": name} for name in "abc"]
    (part,) = split_checks({"report": {"checks": checks}}, CONFIG_CHECKS)
    (other,) = split_checks({"report": {"checks": checks[::-1]}}, CONFIG_CHECKS)
    assert part.content == other.content


def test_a_report_without_any_list_is_no_report() -> None:
    with pytest.raises(UnreadableError, match=r"report\.checks: missing"):
        read({"scanner": {}})
