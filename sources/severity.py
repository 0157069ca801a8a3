"""The severities and outcomes that producers write, in the words of fleetwatch."""

from sources.report import Severity, Status

_SEVERITIES = {severity.value: severity for severity in Severity} | {
    "DANGER": Severity.HIGH,  # Polaris and Conftest, in Starboard
    "WARNING": Severity.MEDIUM,
}
_STATUSES = {status.value: status for status in Status} | {
    "INFO": Status.SKIP,  # kube-bench: what only a person can check
}
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}

MAX_SCORE = 10.0  # CVSS


def severity_of(text: str | None) -> Severity:
    """Read a severity in any case; UNKNOWN where it is missing, empty or another word."""
    return _SEVERITIES.get(text.strip().upper(), Severity.UNKNOWN) if text else Severity.UNKNOWN


def status_of(text: str | None) -> Status:
    """Read an outcome in any case; SKIP where none is given, since nothing was found out."""
    return _STATUSES.get(text.strip().upper(), Status.SKIP) if text else Status.SKIP


def score_of(number: float | None) -> float | None:
    """Keep a CVSS score, None for a number that cannot be one."""
    return number if number is not None and 0 <= number <= MAX_SCORE else None


def worst(first: Severity, second: Severity) -> Severity:
    """Choose the worse of two severities."""
    return first if _ORDER[first] >= _ORDER[second] else second
