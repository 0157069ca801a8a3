from sources.rbac_assessment_report import RBAC_CHECKS
from sources.report import Category, Ref, Severity, Status
from tests.sources import samples


def test_the_name_of_a_role_stands_in_the_annotation() -> None:
    part = samples.split_one(samples.sample("rbac_assessment_report/role.yaml"))
    assert part.subject == Ref("rbac.authorization.k8s.io", "Role", "shop", "shop:deployer")
    assert part.reported_at is None
    found = samples.by_rule(samples.read(part))
    assert RBAC_CHECKS.category is Category.RBAC
    assert (found["KSV041"].severity, found["KSV041"].status) == (Severity.CRITICAL, Status.FAIL)
    assert found["KSV051"].status is Status.PASS


def test_a_cluster_role_is_in_no_namespace() -> None:
    part = samples.split_one(samples.sample("rbac_assessment_report/clusterrole.yaml"))
    assert part.subject == Ref(
        "rbac.authorization.k8s.io", "ClusterRole", "", "system:controller:job-runner"
    )
    (finding,) = samples.read(part).findings
    assert finding.message == "ClusterRole permits creation of workloads"
