from sources.infra_assessment_report import INFRA_CHECKS
from sources.report import Category, Ref, Status
from tests.sources import samples


def test_a_control_plane_pod() -> None:
    part = samples.split_one(samples.sample("infra_assessment_report/apiserver.yaml"))
    assert part.subject == Ref("", "Pod", "kube-system", "kube-apiserver-cp-1")
    assert part.reported_at is None
    found = samples.by_rule(samples.read(part))
    assert INFRA_CHECKS.category is Category.INFRASTRUCTURE
    assert {rule: one.status for rule, one in found.items()} == {
        "KCV0020": Status.FAIL,
        "KCV0001": Status.PASS,
    }


def test_a_node() -> None:
    part = samples.split_one(samples.sample("infra_assessment_report/node.yaml"))
    assert part.subject == Ref("", "Node", "", "cp-1")
    assert [one.rule for one in samples.read(part).findings] == ["KCV0077"]
