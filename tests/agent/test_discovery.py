import pytest

from agent.discovery import Discoverer, Discovery
from agent.kubernetes import Api, UnavailableError
from sources.report import Kind
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.resources import POLICY_REPORTS, VULNERABILITY_REPORTS, ResourceType

GROUPS = ("wgpolicyk8s.io", "aquasecurity.github.io")


def kind(*versions: str) -> Kind:
    return Kind("wgpolicyk8s.io", "PolicyReport", "policyreports", versions, namespaced=True)


@pytest.mark.parametrize("aggregated", [True, False])
async def test_served_versions(fake: FakeKubernetes, api: Api, aggregated: bool) -> None:
    fake.aggregated_discovery = aggregated
    discoverer = Discoverer(api, GROUPS)
    assert (await discoverer.poll()).versions == {}
    fake.serve(POLICY_REPORTS)
    fake.serve(VULNERABILITY_REPORTS)
    found = await discoverer.poll()
    assert found.versions == {
        ("wgpolicyk8s.io", "policyreports"): frozenset({"v1alpha2", "v1beta1"}),
        ("aquasecurity.github.io", "vulnerabilityreports"): frozenset({"v1alpha1"}),
    }
    assert found.choose(kind("v1beta1", "v1alpha2")) == "v1beta1"
    assert found.choose(kind("v1", "v1alpha2")) == "v1alpha2"
    assert found.choose(kind("v1")) is None
    assert found.unknown(kind("v1")) == {"v1alpha2", "v1beta1"}
    assert not found.unknown(kind("v1beta1"))
    fake.withdraw(POLICY_REPORTS)
    assert ("wgpolicyk8s.io", "policyreports") not in (await discoverer.poll()).versions


async def test_nothing_new_is_nothing_sent(fake: FakeKubernetes, api: Api) -> None:
    discoverer = Discoverer(api, GROUPS)
    assert await discoverer.poll() == await discoverer.poll()
    assert [request.status for request in fake.requests] == [200, 304]


async def test_old_servers_are_asked_only_for_our_groups(fake: FakeKubernetes, api: Api) -> None:
    fake.aggregated_discovery = False
    fake.serve(POLICY_REPORTS)
    fake.serve(ResourceType("other.example.com", ("v1",), "others", "Other"))
    await Discoverer(api, GROUPS).poll()
    assert {request.path for request in fake.requests} == {
        "/apis",
        "/apis/wgpolicyk8s.io/v1alpha2",
        "/apis/wgpolicyk8s.io/v1beta1",
    }


async def test_a_server_without_the_common_document(fake: FakeKubernetes, api: Api) -> None:
    fake.serve(POLICY_REPORTS)
    fake.fail("/apis$", status=404)
    found = await Discoverer(api, GROUPS).poll()
    assert found.choose(kind("v1beta1")) == "v1beta1"
    assert ("aquasecurity.github.io", "vulnerabilityreports") not in found.versions


async def test_a_version_that_does_not_answer_leaves_its_group_uncertain(
    fake: FakeKubernetes, api: Api
) -> None:
    fake.aggregated_discovery = False
    fake.serve(POLICY_REPORTS)
    fake.serve(VULNERABILITY_REPORTS)
    fake.fail("wgpolicyk8s.io/v1alpha2", status=503)
    fake.fail("aquasecurity.github.io/v1alpha1", status=404)
    found = await Discoverer(api, GROUPS).poll()
    assert found == Discovery(
        {("wgpolicyk8s.io", "policyreports"): frozenset({"v1beta1"})}, frozenset({"wgpolicyk8s.io"})
    )


async def test_what_is_no_document() -> None:
    class Garbage:
        async def get(self, *_: object, **__: object) -> bytes:
            return b""

        async def get_changed(self, *_: object, **__: object) -> tuple[bytes, str]:
            return b"<html>", ""

    with pytest.raises(UnavailableError, match="not a discovery document"):
        await Discoverer(Garbage(), GROUPS).poll()
