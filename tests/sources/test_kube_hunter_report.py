from sources.kube_hunter_report import KUBE_HUNTER
from sources.report import Category, Severity, Status
from sources.resource import CLUSTER
from tests.sources import samples

HUNTED = "kube_hunter_report/cluster.yaml"


def test_a_finding_is_a_weakness_of_the_cluster() -> None:
    part = samples.split_one(samples.sample(HUNTED))
    assert (part.source, part.subject, part.reported_at) == ("starboard", CLUSTER, None)
    found = samples.by_rule(samples.read(part))
    assert KUBE_HUNTER.category is Category.INFRASTRUCTURE
    version = found["KHV002"]
    assert (version.severity, version.status) == (Severity.MEDIUM, Status.FAIL)
    assert (version.target, version.message) == ("10.96.0.1:443", "v1.21.1")
    assert found["None"].severity is Severity.LOW
    rule = next(rule for rule in samples.read(part).rules if rule.key == "KHV002")
    assert rule.title == "K8s Version Disclosure"
    assert rule.links == ("https://avd.aquasec.com/kube-hunter/khv002/",)


def test_the_pod_that_hunts_is_new_each_time() -> None:
    obj = samples.sample(HUNTED)
    obj["report"]["vulnerabilities"][1]["location"] = "Local to Pod (another-pod)"
    part = samples.split_one(obj)
    assert part.content == samples.split_one(samples.sample(HUNTED)).content
    assert samples.by_rule(samples.read(part))["None"].target == "Local to Pod"
