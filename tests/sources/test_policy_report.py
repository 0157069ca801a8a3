import copy
import json
from typing import Any

import pytest

from sources.policy_report import POLICY_RESULTS, split
from sources.report import Category, Part, Ref, Severity, Status, UnreadableError
from sources.resource import CLUSTER
from tests.sources import samples

DEPLOYMENT = Ref("apps", "Deployment", "shop", "web")


def report(*results: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "apiVersion": "wgpolicyk8s.io/v1alpha2",
        "kind": "PolicyReport",
        "metadata": {"namespace": "shop"},
        "results": [{"policy": "p", **result} for result in results],
        **others,
    }


def by_source(parts: list[Part]) -> dict[str, Part]:
    return {part.source: part for part in parts}


def subjects(obj: dict[str, Any]) -> list[Ref]:
    return [part.subject for part in split(obj)]


def test_one_object_of_several_sources_is_several_reports() -> None:
    parts = by_source(samples.split(samples.sample("policy_report/kyverno-deployment.yaml")))
    assert set(parts) == {"kyverno", "validatingadmissionpolicy"}
    assert {part.subject for part in parts.values()} == {DEPLOYMENT}
    assert parts["kyverno"].sub_key == "kyverno/apps/Deployment/shop/web"
    assert parts["kyverno"].reported_at == 1772432160_000
    assert parts["validatingadmissionpolicy"].reported_at is None
    assert len(samples.read(parts["kyverno"]).findings) == 2


def test_a_finding_is_a_result() -> None:
    parts = by_source(samples.split(samples.sample("policy_report/kyverno-deployment.yaml")))
    assert POLICY_RESULTS.category is Category.POLICY
    found = samples.by_rule(samples.read(parts["kyverno"]))
    failed = found["disallow-host-namespaces/host-namespaces"]
    assert (failed.severity, failed.status) == (Severity.HIGH, Status.FAIL)
    assert failed.message is not None
    assert failed.message.startswith("validation error: Sharing the host namespaces")
    assert found["disallow-capabilities/adding-capabilities"].status is Status.PASS
    (warned,) = samples.read(parts["validatingadmissionpolicy"]).findings
    assert (warned.rule, warned.severity, warned.status) == (
        "shop/replica-limit",
        Severity.UNKNOWN,
        Status.WARN,
    )


def test_a_result_is_in_one_report_for_each_resource_that_it_names() -> None:
    parts = samples.by_subject(
        samples.split(samples.sample("policy_report/kyverno-namespace.yaml"))
    )
    assert {subject: len(samples.read(part).findings) for subject, part in parts.items()} == {
        Ref("apps", "StatefulSet", "payments", "payments-api"): 1,
        Ref("", "Service", "payments", "payments-api"): 1,
        Ref("", "Namespace", "", "payments"): 2,
    }
    assert {part.source for part in parts.values()} == {"kyverno"}


def test_words_of_the_first_version_are_put_right() -> None:
    part = samples.split_one(samples.sample("policy_report/v1alpha1.yaml"))
    assert (part.source, part.subject) == ("policy-report", Ref("", "Namespace", "", "kube-system"))
    found = samples.by_rule(samples.read(part))
    assert {rule: one.status for rule, one in found.items()} == {
        "api-server/anonymous-auth": Status.FAIL,
        "api-server/basic-auth-file": Status.PASS,
        "api-server/token-auth-file": Status.SKIP,
    }
    later = samples.sample("policy_report/v1alpha1.yaml")
    for result in later["results"]:
        for old, new in {"status": "result", "data": "properties"}.items():
            if old in result:
                result[new] = result.pop(old)
    assert samples.split_one(later).content == part.content


def test_seconds_of_the_minute_are_no_time() -> None:
    part = samples.split_one(samples.sample("policy_report/falcosidekick.yaml"))
    assert (part.source, part.subject, part.reported_at) == ("falco", CLUSTER, None)
    assert {(one.severity, one.status) for one in samples.read(part).findings} == {
        (Severity.HIGH, Status.FAIL),
        (Severity.INFO, Status.SKIP),
    }


def test_a_resource_with_no_more_than_a_name() -> None:
    part = samples.split_one(samples.sample("policy_report/adapter.yaml"))
    assert part.source == "trivy compliance"
    assert part.subject == Ref("", "", "", "kube-system/pod-kube-apiserver-cp-1")
    assert part.sub_key == "trivy%20compliance////kube-system%2Fpod-kube-apiserver-cp-1"
    assert part.reported_at == 1772432100_000


def test_openreports_names_the_source_for_all_its_results() -> None:
    part = samples.split_one(samples.sample("policy_report/openreports.yaml"))
    assert (part.source, part.subject) == ("kubewarden", Ref("apps", "Deployment", "shop", "cart"))
    (result,) = json.loads(part.content)["results"]
    assert result["properties"] == {
        "policy-name": "safe-labels",
        "policy-namespace": "shop",
        "validating": "true",
    }
    assert set(result) == {
        "policy",
        "category",
        "message",
        "result",
        "severity",
        "scored",
        "properties",
    }


def test_no_results_about_a_scope_is_a_report_without_findings() -> None:
    part = samples.split_one(samples.sample("policy_report/no-results.yaml"))
    assert (part.source, part.subject) == ("kyverno", Ref("", "Node", "", "worker-1"))
    assert part.content == b'{"results":[]}'
    assert samples.read(part).findings == ()


def test_no_results_about_nothing_is_no_report() -> None:
    assert split(report()) == []
    assert split({"kind": "PolicyReport"}) == []


@pytest.mark.parametrize(
    ("result", "others", "source"),
    [
        ({"source": " Kyverno "}, {"source": "other"}, "kyverno"),
        ({"source": ""}, {"source": "Kubewarden"}, "kubewarden"),
        ({}, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Kyverno"}}}, "kyverno"),
        ({}, {}, "policy-report"),
    ],
)
def test_who_wrote_a_result(result: dict[str, Any], others: dict[str, Any], source: str) -> None:
    (part,) = split(report(result, **others))
    assert part.source == source


def test_what_a_result_is_about() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "a"}
    scope = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    in_shop = Ref("", "Pod", "shop", "a")
    assert subjects(report({"resources": [pod]}, scope=scope)) == [in_shop]
    assert subjects(report({"resources": []}, scope=scope)) == [DEPLOYMENT]
    assert subjects(report({"resources": [{}]}, scope=scope)) == [DEPLOYMENT]
    assert subjects(report({"resources": None})) == [Ref("", "Namespace", "", "shop")]
    assert subjects(report({}, metadata={})) == [CLUSTER]
    assert subjects(report({"resources": [pod]}, metadata={})) == [Ref("", "Pod", "", "a")]
    there = {**pod, "namespace": "other"}
    assert subjects(report({"resources": [there]})) == [Ref("", "Pod", "other", "a")]
    node = {"apiVersion": "v1", "kind": "Node", "name": "n"}
    assert subjects(report({"resources": [node]})) == [Ref("", "Node", "", "n")]
    unversioned = {"kind": "Deployment", "name": "web"}
    assert subjects(report({"resources": [unversioned]})) == [DEPLOYMENT]


def test_a_resource_named_twice_is_two_findings() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "a"}
    (part,) = split(report({"resources": [pod, pod]}))
    assert len(samples.read(part).findings) == 2


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ({"policy": "p", "rule": "r"}, "p/r"),
        ({"policy": "p", "rule": ""}, "p"),
        ({"policy": "p"}, "p"),
        ({"policy": "", "rule": "r"}, "r"),
        ({"policy": ""}, "unknown"),
    ],
)
def test_the_key_of_a_rule(names: dict[str, str], rule: str) -> None:
    (part,) = split(report(names))
    assert [one.rule for one in samples.read(part).findings] == [rule]


def test_evaluating_again_makes_the_same_content() -> None:
    obj = samples.sample("policy_report/kyverno-namespace.yaml")
    again = copy.deepcopy(obj)
    for result in again["results"]:
        result["timestamp"] = {"seconds": 1772440000, "nanos": 0}
    again["results"].reverse()
    before, after = (samples.by_subject(samples.split(one)) for one in (obj, again))
    assert {subject: part.content for subject, part in before.items()} == {
        subject: part.content for subject, part in after.items()
    }


def test_ten_thousand_resources_are_ten_thousand_reports() -> None:
    pods = [{"apiVersion": "v1", "kind": "Pod", "name": f"p{number}"} for number in range(10_000)]
    parts = split(report(*({"resources": [pod]} for pod in pods)))
    assert len({part.sub_key for part in parts}) == 10_000


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        ({"results": {}}, "results: expected list, found object"),
        ({"results": [{"rule": "r"}]}, r"results\[0\]\.policy: missing"),
        (report({"result": 1}), r"results\[0\]\.result: expected text, found number"),
        (report({"properties": []}), r"results\[0\]\.properties: expected object, found list"),
        (report({"resources": "x"}), r"results\[0\]\.resources: expected list, found text"),
        (report({"properties": {"a": float("inf")}}), "properties.a: a number that is not finite"),
    ],
)
def test_what_cannot_be_read_says_why(obj: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        split(obj)
