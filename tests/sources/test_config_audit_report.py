from sources.config_audit_report import CONFIG_CHECKS
from sources.report import Category, Ref, Severity, Status
from tests.sources import samples


def test_a_finding_is_a_check() -> None:
    reading = samples.read_sample("config_audit_report/shop-web.yaml")
    assert CONFIG_CHECKS.category is Category.MISCONFIGURATION
    found = samples.by_rule(reading)
    assert {rule: one.status for rule, one in found.items()} == {
        "KSV014": Status.FAIL,
        "KSV001": Status.PASS,
        "KSV011": Status.FAIL,
        "unknown": Status.FAIL,
    }
    message = found["KSV014"].message
    assert message is not None
    assert message.count("\n") == 1
    assert found["KSV001"].message is None
    rule = next(rule for rule in reading.rules if rule.key == "KSV014")
    assert (rule.severity, rule.title) == (Severity.HIGH, "Root file system is not read-only")
    assert rule.remediation == "Set 'containers[].securityContext.readOnlyRootFilesystem' to true."


def test_polaris_has_lists_for_pod_and_containers() -> None:
    part = samples.split_one(samples.sample("config_audit_report/polaris.yaml"))
    assert (part.source, part.scanner, part.reported_at) == ("starboard", "Polaris", None)
    found = {(one.rule, one.target): one for one in samples.read(part).findings}
    assert {key: (one.severity.value, one.status.value) for key, one in found.items()} == {
        ("hostPIDSet", None): ("HIGH", "PASS"),
        ("cpuLimitsMissing", "cart"): ("MEDIUM", "FAIL"),
        ("hostPortSet", "cart"): ("MEDIUM", "PASS"),
        ("cpuLimitsMissing", "redis"): ("MEDIUM", "FAIL"),
        ("dangerousCapabilities", "redis"): ("HIGH", "FAIL"),
    }
    assert found["cpuLimitsMissing", "redis"].message == "CPU limits should be set"


def test_lists_of_both_eras_are_counted_once() -> None:
    reading = samples.read_sample("config_audit_report/both-lists.yaml")
    assert [(one.rule, one.target) for one in reading.findings] == [
        ("KSV013", "shell"),
        ("KSV013", "tools"),
    ]


def test_checks_of_what_no_namespace_holds() -> None:
    part = samples.split_one(samples.sample("config_audit_report/cluster.yaml"))
    assert part.subject == Ref(
        "apiextensions.k8s.io", "CustomResourceDefinition", "", "orders.shop.example.com"
    )
    assert samples.read(part).findings == ()
