from sources.compliance_detail_report import COMPLIANCE_DETAIL
from sources.report import Category, Ref, Severity, Status
from sources.resource import CLUSTER
from tests.sources import samples

DETAILS = "compliance_detail_report/nsa-details.yaml"
WEB = Ref("apps", "ReplicaSet", "kube-system", "replicaset-web-7d9c6f5b48")


def test_an_object_splits_into_a_report_for_each_subject() -> None:
    parts = samples.by_subject(samples.split(samples.sample(DETAILS)))
    assert set(parts) == {
        WEB,
        Ref("apps", "ReplicaSet", "kube-system", "replicaset-dns-96cc4f57d"),
        Ref("batch", "Job", "kube-system", "job-install"),
        CLUSTER,
    }
    assert {part.source for part in parts.values()} == {"starboard"}
    assert parts[WEB].sub_key == "starboard/apps/ReplicaSet/kube-system/replicaset-web-7d9c6f5b48"


def test_a_finding_is_a_detail() -> None:
    parts = samples.by_subject(samples.split(samples.sample(DETAILS)))
    reading = samples.read(parts[WEB])
    assert COMPLIANCE_DETAIL.category is Category.BENCHMARK
    assert {(one.rule, one.severity, one.status, one.message) for one in reading.findings} == {
        (
            "nsa-details/1.12",
            Severity.MEDIUM,
            Status.FAIL,
            "ReplicaSet 'web-7d9c6f5b48' should not be set with 'kube-system' namespace",
        ),
        (
            "nsa-details/1.0",
            Severity.HIGH,
            Status.FAIL,
            "Container 'web' should set 'securityContext.runAsNonRoot' to true",
        ),
    }
    (warned,) = samples.read(parts[Ref("batch", "Job", "kube-system", "job-install")]).findings
    assert warned.status is Status.WARN
    (about_nothing,) = samples.read(parts[CLUSTER]).findings
    assert about_nothing.message == "Resource do not exist in cluster"
