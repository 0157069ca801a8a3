"""A scope's ClusterFilter: what is accepted, and what is kept of it."""

from typing import Any

import pytest

from aggregator.access.scope import BadScopeError, canonical


@pytest.mark.parametrize("given", [None, {}, {"name": None}, {"name": {"eq": None}, "labels": []}])
def test_a_filter_that_limits_nothing_is_every_cluster(given: dict[str, Any] | None) -> None:
    assert canonical(given) is None


def test_nulls_go_and_a_bare_label_must_exist() -> None:
    given = {
        "name": {"eq": None, "in": ["a", "b"]},
        "labels": [{"key": "env", "in": ["prod"], "exists": None}, {"key": "team"}],
        "state": None,
    }

    assert canonical(given) == {
        "name": {"in": ["a", "b"]},
        "labels": [{"key": "env", "in": ["prod"]}, {"key": "team", "exists": True}],
    }


def test_an_empty_list_of_names_is_kept_for_it_matches_nothing() -> None:
    assert canonical({"name": {"in": []}}) == {"name": {"in": []}}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"state": ["ONLINE"]}, "clusters.state"),
        ({"names": {}}, "clusters.names"),
        ({"name": "prod"}, "clusters.name"),
        ({"name": {"like": "x"}}, "clusters.name.like"),
        ({"name": {"eq": 1}}, "clusters.name.eq"),
        ({"name": {"eq": "a\x00"}}, "clusters.name.eq"),
        ({"name": {"in": "prod"}}, "clusters.name.in"),
        ({"labels": {"key": "env"}}, "clusters.labels"),
        ({"labels": [{"in": ["x"]}]}, "clusters.labels[0].key"),
        ({"labels": [{"key": "env", "exists": "yes"}]}, "clusters.labels[0].exists"),
        ({"labels": [{"key": "a"}] * 21}, "clusters.labels"),
    ],
)
def test_a_refusal_names_the_field(given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadScopeError) as refusal:
        canonical(given)

    assert str(refusal.value).startswith(f"{named}:")
