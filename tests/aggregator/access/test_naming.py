"""Names and labels at the door."""

from typing import Any

import pytest

from aggregator.access import naming


@pytest.mark.parametrize("name", ["a", "prod-eu", "Prod_1.example.com", "x" * 253])
def test_cluster_names(name: str) -> None:
    assert naming.cluster_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a/b", "a\n", "a\x00b", "x" * 254])
def test_cluster_names_that_are_refused(name: str) -> None:
    with pytest.raises(naming.BadNameError, match="1 to 253"):
        naming.cluster_name(name)


@pytest.mark.parametrize(
    "labels",
    [{}, {"env": "prod"}, {"example.com/team": "Größe 1"}, {"a": ""}, {"a_b.c-d": "x" * 253}],
)
def test_labels(labels: dict[str, str]) -> None:
    assert naming.cluster_labels(labels) == labels


@pytest.mark.parametrize(
    "labels",
    [
        None,
        [],
        "env=prod",
        {"env": 1},
        {"env": None},
        {"": "x"},
        {"a b": "x"},
        {"a": "x\x00"},
        {"a": "\ud800"},
        {"a": "x" * 254},
        {f"k{number}": "" for number in range(65)},
    ],
)
def test_labels_that_are_refused(labels: Any) -> None:
    with pytest.raises(naming.BadNameError):
        naming.cluster_labels(labels)


def test_namespaces_are_sorted_and_distinct() -> None:
    assert naming.namespaces(["b", "a", "b"]) == ["a", "b"]
    assert naming.namespaces([]) == []
    assert naming.namespaces(None) is None
    with pytest.raises(naming.BadNameError):
        naming.namespaces(["Not A Namespace"])


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "x" * 201])
def test_token_names_that_are_refused(name: str) -> None:
    with pytest.raises(naming.BadNameError):
        naming.token_name(name)
