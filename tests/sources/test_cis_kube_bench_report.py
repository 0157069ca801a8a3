from sources.cis_kube_bench_report import CIS_KUBE_BENCH
from sources.report import Category, Ref, Severity, Status
from tests.sources import samples

WORKER = "cis_kube_bench_report/worker-1.yaml"


def test_a_finding_is_a_result() -> None:
    part = samples.split_one(samples.sample(WORKER))
    assert part.subject == Ref("", "Node", "", "worker-1")
    assert (part.source, part.scanner_version) == ("starboard", "v0.6.5")
    reading = samples.read(part)
    assert CIS_KUBE_BENCH.category is Category.BENCHMARK
    found = samples.by_rule(reading)
    assert {rule: one.status for rule, one in found.items()} == {
        "1.6/4.1.1": Status.PASS,
        "1.6/4.1.3": Status.FAIL,
        "1.6/4.2.9": Status.WARN,
        "1.6/4.2.12": Status.SKIP,
    }
    assert {one.severity for one in reading.findings} == {Severity.UNKNOWN}
    rules = {rule.key: rule for rule in reading.rules}
    assert rules["1.6/4.1.1"].remediation == "Run chmod 644 on the service file of the kubelet."
    assert rules["1.6/4.2.12"].remediation is None


def test_without_labels_the_object_is_named_like_the_node() -> None:
    obj = samples.sample(WORKER)
    obj["metadata"] = {"name": "worker-2"}
    part = samples.split_one(obj)
    assert (part.source, part.subject) == ("starboard", Ref("", "Node", "", "worker-2"))


def test_counts_are_derived_and_cut() -> None:
    obj = samples.sample(WORKER)
    section = obj["report"]["sections"][0]
    section["total_pass"] = section["tests"][0]["pass"] = 99
    assert samples.split_one(obj).content == samples.split_one(samples.sample(WORKER)).content
