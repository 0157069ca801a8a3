import copy

from sources.compliance_report import COMPLIANCE
from sources.report import Category, Severity, Status
from sources.resource import CLUSTER
from tests.sources import samples

DETAIL = "compliance_report/detail.yaml"
SUMMARY = "compliance_report/summary.yaml"


def test_a_finding_is_a_check_of_a_control() -> None:
    part = samples.split_one(samples.sample(DETAIL))
    assert (part.source, part.subject) == ("trivy-operator", CLUSTER)
    assert part.reported_at == 1772431204_000
    reading = samples.read(part)
    assert COMPLIANCE.category is Category.BENCHMARK
    assert {(one.rule, one.severity, one.status, one.target) for one in reading.findings} == {
        ("k8s-pss-baseline-0.1/2", Severity.HIGH, Status.FAIL, "edge/replicaset-edge-5c4d8"),
        (
            "k8s-pss-baseline-0.1/2",
            Severity.HIGH,
            Status.FAIL,
            "monitoring/daemonset-node-metrics",
        ),
        ("k8s-pss-baseline-0.1/3", Severity.HIGH, Status.PASS, None),
    }
    assert len(reading.findings) == 3
    rules = {rule.key: rule for rule in reading.rules}
    assert rules["k8s-pss-baseline-0.1/2"].title == "Host Namespaces"
    assert rules["k8s-pss-baseline-0.1/2"].remediation is not None
    assert rules["k8s-pss-baseline-0.1/13"].title == "Review (Manual)"


def test_where_there_are_only_counts_a_finding_is_a_control() -> None:
    reading = samples.read_sample(SUMMARY)
    found = samples.by_rule(reading)
    assert {rule: (one.status, one.severity) for rule, one in found.items()} == {
        "k8s-nsa-1.0/1.0": (Status.FAIL, Severity.MEDIUM),
        "k8s-nsa-1.0/1.1": (Status.PASS, Severity.LOW),
        "k8s-nsa-1.0/3.0": (Status.PASS, Severity.CRITICAL),
    }
    descriptions = {rule.key: rule.description for rule in reading.rules}
    assert descriptions["k8s-nsa-1.0/1.0"] == "Containers do not run as root."


def test_before_0_9_the_object_names_the_benchmark() -> None:
    part = samples.split_one(samples.sample("compliance_report/before-0.9.yaml"))
    assert part.source == "starboard"
    found = samples.by_rule(samples.read(part))
    assert {rule: one.status for rule, one in found.items()} == {
        "nsa/1.0": Status.FAIL,
        "nsa/1.2": Status.PASS,
    }


def test_a_benchmark_that_has_not_run_has_no_report() -> None:
    obj = samples.sample("compliance_report/not-run.yaml")
    assert samples.split(obj) == []
    assert samples.split({**obj, "status": {}}) == []
    assert samples.split({**obj, "status": None}) == []


def test_details_say_more_than_counts() -> None:
    obj = samples.sample(DETAIL)
    obj["status"]["summaryReport"] = samples.sample(SUMMARY)["status"]["summaryReport"]
    assert samples.split_one(obj).content == samples.split_one(samples.sample(DETAIL)).content


def test_the_order_of_checks_and_of_controls_says_nothing() -> None:
    obj = samples.sample(DETAIL)
    other = copy.deepcopy(obj)
    other["status"]["detailReport"]["results"].reverse()
    other["spec"]["compliance"]["controls"].reverse()
    for result in other["status"]["detailReport"]["results"]:
        result["checks"] = result["checks"] and result["checks"][::-1]
    assert samples.split_one(other).content == samples.split_one(obj).content


def test_the_same_control_of_two_benchmarks_is_two_rules() -> None:
    obj = samples.sample(SUMMARY)
    obj["spec"]["compliance"]["id"] = "other"
    assert {one.rule for one in samples.read(samples.split_one(obj)).findings} == {
        "other/1.0",
        "other/1.1",
        "other/3.0",
    }
