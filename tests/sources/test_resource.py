import pytest

from sources.report import Ref
from sources.resource import CLUSTER, group_of, namespace_or_cluster, ref


@pytest.mark.parametrize(
    ("kind", "api_version", "group"),
    [
        ("Deployment", "apps/v1", "apps"),
        ("Pod", "v1", ""),
        ("Deployment", None, "apps"),
        ("Role", "", "rbac.authorization.k8s.io"),
        ("Job", None, "batch"),
        ("Rollout", None, ""),
        ("Ingress", "extensions/v1beta1", "extensions"),
    ],
)
def test_the_group_of_a_kind(kind: str, api_version: str | None, group: str) -> None:
    assert group_of(kind, api_version) == group


def test_no_namespace_holds_what_is_cluster_wide() -> None:
    assert ref(group="", kind="Node", namespace="x", name="n") == Ref("", "Node", "", "n")
    # a Cluster of Cluster API is another kind of the same name
    assert ref(group="cluster.x-k8s.io", kind="Cluster", namespace="x", name="n") == Ref(
        "cluster.x-k8s.io", "Cluster", "x", "n"
    )
    assert ref(group="", kind="Cluster", namespace=None, name="cluster") == CLUSTER


def test_names_are_clean() -> None:
    assert ref(group="\0", kind=None, namespace=None, name="a\0") == Ref(
        "\ufffd", "", "", "a\ufffd"
    )


def test_the_smallest_thing_known() -> None:
    assert namespace_or_cluster("shop") == Ref("", "Namespace", "", "shop")
    assert namespace_or_cluster("") == namespace_or_cluster(None) == CLUSTER
