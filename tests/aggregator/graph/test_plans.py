"""Plans and documents are made once for each shape, and never too many."""

from typing import Any

import pytest

from aggregator.access.principal import Scope
from aggregator.graph import limits, plans
from aggregator.graph.arguments import shape
from aggregator.store.pool import KEEPS_PLAN
from tests.aggregator.graph.conftest import Graph, viewer

QUERY = (
    "query ($f: FindingFilter, $n: Int) { findings(filter: $f, first: $n) { nodes { severity } } }"
)


async def statement(graph: Graph, variables: dict[str, Any], scope: Scope | None = None) -> str:
    scope = scope or Scope()
    await graph.ask(QUERY, variables, principal=viewer(scope.clusters, scope.namespaces))
    return graph.counter.statements[-1]


async def test_values_do_not_change_the_statement_and_shapes_do(graph: Graph) -> None:
    one = await statement(graph, {"f": {"rule": {"eq": "a"}, "package": {"in": ["a"]}}})
    assert one == await statement(
        graph, {"f": {"rule": {"eq": "b"}, "package": {"in": ["c", "d"]}}}
    )
    assert one != await statement(graph, {"f": {"rule": {"eq": "a"}}})
    assert await statement(graph, {"f": {"rule": None}}) == await statement(graph, {"f": {}})


async def test_usual_page_sizes_stand_in_the_statement_and_others_do_not(graph: Graph) -> None:
    assert "$1" not in await statement(graph, {"n": 100})
    assert await statement(graph, {"n": 101}) == await statement(graph, {"n": 102})


async def test_a_scope_shares_a_statement_with_other_scopes_of_its_shape(graph: Graph) -> None:
    one = await statement(graph, {}, Scope(clusters=(1,)))
    assert one == await statement(graph, {}, Scope(clusters=(2, 3)))
    assert one != await statement(graph, {}, Scope(clusters=(1,), namespaces=("web",)))


async def test_a_plan_is_made_once(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    await statement(graph, {"f": {"fixable": True}})
    monkeypatch.setattr(plans, "Compilation", None)
    await statement(graph, {"f": {"fixable": True}})


async def test_caches_are_bounded(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph.endpoint._plans._cache, "_size", 3)
    monkeypatch.setattr(graph.endpoint._documents._cache, "_size", 3)
    for number in range(10):
        await graph.ask(f"{{ a{number}: fleet {{ images }} }}")
    assert len(graph.endpoint._plans._cache) == 3
    assert len(graph.endpoint._documents._cache) == 3
    assert limits.PLAN_CACHE > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": "x"}, {"a": "y"}, True),
        ({"a": True}, {"a": False}, False),
        ({"a": ["x"]}, {"a": []}, True),
        ({"a": [{}]}, {"a": []}, False),
        ({"a": None}, {}, False),
        ({"a": 7}, {"a": 8}, True),
        ({"a": 100}, {"a": 8}, False),
    ],
)
def test_shapes(one: Any, other: Any, same: bool) -> None:
    assert (shape(one) == shape(other)) is same


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ('{ findings(filter: {rule: {eq: "a"}}) { nodes { id } } }', True),
        ('{ findings(filter: {namespace: {eq: "a"}}) { nodes { id } } }', True),
        ('{ cluster(name: "a") { findings(first: 5) { nodes { id } } } }', True),
        ("{ findings(first: 50) { nodes { id } } }", False),  # has no parameter to begin with
        ('{ findings(first: 3, filter: {rule: {eq: "a"}}) { nodes { id } } }', True),
        (
            'query ($n: Int = 3) { findings(first: $n, filter: {rule: {eq: "a"}}) { nodes { id } } }',
            False,
        ),
        ('{ findings(filter: {container: {eq: "a"}}) { nodes { id } } }', False),
        (
            '{ findings(filter: {firstSeenAt: {last: "1h"}, rule: {eq: "a"}}) { nodes { id } } }',
            False,
        ),
        ('{ findingGroups(by: [RULE], filter: {namespace: {eq: "a"}}) { totalCount } }', False),
        ('{ runtimeEvents(filter: {rule: {eq: "a"}}) { nodes { id } } }', False),
        ('{ cluster(name: "a") { runtimeEvents { nodes { id } } } }', False),
    ],
)
async def test_a_plan_is_kept_where_no_value_can_change_it(
    graph: Graph, query: str, *, kept: bool
) -> None:
    await graph.ask(query)
    assert graph.counter.statements[-1].startswith(KEEPS_PLAN) is kept
