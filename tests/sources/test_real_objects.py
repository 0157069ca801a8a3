"""Every real object that was collected for this project, counted a second way.

The counts are made here from the design's table alone, with plain dictionaries.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sources import registry
from sources.report import UnreadableError
from tests.sources import samples

SHARED = Path(os.environ.get("FLEETWATCH_SHARED") or Path(__file__).parents[3] / "shared")
FIXTURES = SHARED / "fixtures/samples"
OTHER_FORMATS = {"falco", "falcosidekick", "trivy-json"}
# Fragments: expectations of other projects' tests that leave out what every real object has.
FRAGMENTS = {
    "clusterrole-admin.yaml": "report: missing",
    "node-kind-e2e-partial.yaml": "report: missing",
    "exposedsecretreport/e2e-my-pod-assert-partial.yaml": "report.secrets: missing",
    "vulnerabilityreport/e2e-my-pod-assert-partial.yaml": "report.vulnerabilities: missing",
}

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="no collected objects here")


def real_objects() -> list[Any]:
    return [
        pytest.param(path, obj, id=f"{path.relative_to(FIXTURES)}#{number}")
        for path in sorted(FIXTURES.rglob("*.[jy][sa][om][nl]"))
        if path.relative_to(FIXTURES).parts[0] not in OTHER_FORMATS
        for number, obj in enumerate(samples.objects(path))
        if (samples.group_of(obj), obj["kind"]) in registry.kinds()
    ]


def results_of(obj: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: PLR0911 - a row of the table each
    """The results by the design's table."""
    kind, report = obj["kind"].removeprefix("Cluster"), obj.get("report") or {}
    status = obj.get("status") or {}
    if kind in {"PolicyReport", "Report"}:
        return [
            result for result in obj.get("results") or [] for _ in result.get("resources") or [None]
        ]
    if kind == "ComplianceReport":
        if detail := status.get("detailReport"):
            return [check for one in detail["results"] for check in one["checks"] or []]
        summary = status.get("summaryReport") or {}
        return list(summary.get("controlCheck") or status.get("controlCheck") or [])
    if kind == "ComplianceDetailReport":
        return [
            detail
            for control in report["controlCheck"]
            for checked in control["checkResults"]
            for detail in checked["details"]
        ]
    if kind == "CISKubeBenchReport":
        return [
            result
            for section in report["sections"]
            for test in section["tests"]
            for result in test["results"]
        ]
    if kind == "SbomReport":
        return [one for one in report["components"]["components"] if one.get("name")]
    if kind == "ExposedSecretReport":
        return list(report["secrets"] or [])
    if kind in {"VulnerabilityReport", "Vulnerability", "KubeHunterReport"}:
        return list(report["vulnerabilities"] or [])
    if report.get("checks"):
        return list(report["checks"])
    polaris = [*(report.get("podChecks") or [])]
    for checks in (report.get("containerChecks") or {}).values():
        polaris += checks
    return polaris


def severity(result: dict[str, Any]) -> str:
    word = str(result.get("severity") or "unknown").upper()
    return {"DANGER": "HIGH", "WARNING": "MEDIUM"}.get(word, word)


@pytest.mark.parametrize(("path", "obj"), real_objects() if FIXTURES.is_dir() else [])
def test_counts_are_those_of_the_design(path: Path, obj: dict[str, Any]) -> None:
    for fragment, reason in FRAGMENTS.items():
        if str(path).endswith(fragment):
            with pytest.raises(UnreadableError, match=reason):
                samples.split(obj)
            return
    readings = [samples.read(part) for part in samples.split(obj)]
    results = results_of(obj)
    if obj["kind"].endswith("SbomReport"):
        found = [package.name for reading in readings for package in reading.packages]
        assert sorted(found) == sorted(component["name"] for component in results)
        return
    findings = [finding for reading in readings for finding in reading.findings]
    assert len(findings) == len(results)
    if "Compliance" not in obj["kind"] and obj["kind"] != "CISKubeBenchReport":
        expected = Counter(map(severity, results))
        assert Counter(finding.severity.value for finding in findings) == expected
    if obj["kind"].endswith("VulnerabilityReport"):
        assert Counter(
            (finding.rule, finding.package, finding.installed_version) for finding in findings
        ) == Counter(
            (one["vulnerabilityID"], one["resource"], one["installedVersion"]) for one in results
        )


def test_intermediate_reports_of_kyverno_are_not_read() -> None:
    assert not {(group, kind) for group, kind in registry.kinds() if group.endswith("kyverno.io")}
