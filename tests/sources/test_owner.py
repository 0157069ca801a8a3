from typing import Any

import pytest

from sources.metadata import Metadata, OwnerReference
from sources.owner import owner_of, producer_of
from sources.report import Ref
from sources.resource import CLUSTER


def labelled(prefix: str = "trivy-operator.", **labels: str) -> dict[str, Any]:
    return {f"{prefix}resource.{key}": value for key, value in labels.items()}


@pytest.mark.parametrize("prefix", ["trivy-operator.", "starboard.", "annotation.trivy-operator."])
def test_the_owner_stands_in_the_labels(prefix: str) -> None:
    labels = labelled(prefix, kind="ReplicaSet", name="web-1", namespace="shop")
    found = owner_of(Metadata(namespace="x", labels={**labels, f"{prefix}container.name": "c"}))
    assert found.subject == Ref("apps", "ReplicaSet", "shop", "web-1")
    assert found.container == "c"


def test_the_annotation_has_the_name_that_is_no_label() -> None:
    metadata = Metadata(
        labels=labelled(kind="ClusterRole", namespace="") | labelled(**{"name-hash": "6f69"}),
        annotations=labelled(name="system:node"),
    )
    assert owner_of(metadata).subject == Ref(
        "rbac.authorization.k8s.io", "ClusterRole", "", "system:node"
    )


def test_without_a_namespace_label_the_owner_is_beside_the_report() -> None:
    metadata = Metadata(namespace="shop", labels=labelled(kind="Pod", name="a"))
    assert owner_of(metadata).subject == Ref("", "Pod", "shop", "a")
    metadata = Metadata(namespace="shop", labels=labelled(kind="Node", name="a"))
    assert owner_of(metadata).subject == Ref("", "Node", "", "a")


def test_a_kind_that_only_the_reference_knows_the_group_of() -> None:
    metadata = Metadata(
        namespace="shop",
        labels=labelled(kind="Rollout", name="web"),
        owner_references=[OwnerReference("Rollout", "web", "argoproj.io/v1alpha1", True)],
    )
    assert owner_of(metadata).subject == Ref("argoproj.io", "Rollout", "shop", "web")


def test_references_are_the_second_choice_the_controller_first() -> None:
    metadata = Metadata(
        name="never-parsed",
        namespace="shop",
        owner_references=[
            OwnerReference("ConfigMap", "other", "v1"),
            OwnerReference("Job", "nightly", "batch/v1", True),
        ],
    )
    assert owner_of(metadata).subject == Ref("batch", "Job", "shop", "nightly")
    metadata.labels = labelled(kind="Pod")  # half of it says nothing
    assert owner_of(metadata).subject == Ref("batch", "Job", "shop", "nightly")


def test_where_nothing_is_known_it_is_the_namespace_or_the_cluster() -> None:
    assert owner_of(Metadata(name="a", namespace="shop")).subject == Ref(
        "", "Namespace", "", "shop"
    )
    assert owner_of(Metadata(name="a")).subject == CLUSTER


@pytest.mark.parametrize(
    ("metadata", "producer"),
    [
        (Metadata(labels={"trivy-operator.container.name": "c"}), "trivy-operator"),
        (Metadata(labels={"starboard.resource.kind": "Pod"}), "starboard"),
        (
            Metadata(annotations={"trivy-operator.aquasecurity.github.io/report-ttl": "24h"}),
            "trivy-operator",
        ),
        (Metadata(labels={"app.kubernetes.io/managed-by": "starboard"}), "starboard"),
        (
            Metadata(
                labels={
                    "app.kubernetes.io/managed-by": "kubectl",
                    "app.kubernetes.io/name": "starboard-operator",
                }
            ),
            "starboard",
        ),
        (Metadata(labels={"app.kubernetes.io/managed-by": "kubectl"}), "default"),
        (Metadata(), "default"),
    ],
)
def test_who_wrote_it(metadata: Metadata, producer: str) -> None:
    assert producer_of(metadata, "default") == producer
