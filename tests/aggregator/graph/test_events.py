"""Runtime events: every filter and page equals the same done by hand."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.graph import event_hours, event_page, limits, plans
from tests.aggregator.graph import events as e
from tests.aggregator.graph.conftest import ADMIN, Graph, viewer
from tests.aggregator.graph.event_filters import (
    FEW,
    LIST,
    Scope,
    clusters,
    filters,
    names,
    scopes,
    times,
    visible,
)


@FEW
@given(wanted=filters, scope=scopes, first=st.sampled_from([1, 7, 50]))
async def test_pages_are_what_filtering_by_hand_gives(
    graph: Graph, wanted: dict[str, Any], scope: Scope, first: int
) -> None:
    expected = [event.fields["n"] for event in visible(scope, wanted)]
    found: list[int] = []
    after = None
    for _ in range(4):
        data = await graph.ask(
            LIST, {"filter": wanted, "first": first, "after": after}, principal=scope[0]
        )
        page = data["runtimeEvents"]
        assert page["totalCount"] == len(expected)
        found += [node["fields"]["n"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] == (len(found) < len(expected))
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == expected[: len(found)]


@FEW
@given(wanted=filters, scope=scopes, first=st.sampled_from([3, 50]))
async def test_a_cluster_answers_of_itself(
    graph: Graph, wanted: dict[str, Any], scope: Scope, first: int
) -> None:
    query = """query ($filter: RuntimeEventFilter, $first: Int) { clusters { nodes { name
      runtimeEvents(filter: $filter, first: $first) { totalCount nodes { fields } } } } }"""
    data = await graph.ask(query, {"filter": wanted, "first": first}, principal=scope[0])
    events = visible(scope, wanted)
    for cluster in data["clusters"]["nodes"]:
        mine = [
            each.fields["n"] for each in events if e.CLUSTERS[each.cluster - 1] == cluster["name"]
        ]
        page = cluster["runtimeEvents"]
        assert page["totalCount"] == len(mine)
        assert [node["fields"]["n"] for node in page["nodes"]] == mine[:first]


KNOWN_BY_HOURS = st.fixed_dictionaries(
    {},
    optional={
        "rule": names(["Shell", "Read file", "none"]),
        "priority": st.fixed_dictionaries({"atLeast": st.sampled_from(e.PRIORITIES)}),
        "source": names(["syscall", "k8s_audit"]),
        "namespace": names(["web", "api", ""]),
        "cluster": st.fixed_dictionaries({"name": clusters}),
        "time": st.fixed_dictionaries({"since": times}),
    },
)


@FEW
@given(wanted=KNOWN_BY_HOURS, scope=scopes, many=st.booleans())
async def test_walks_from_hour_to_hour_miss_nothing(
    graph: Graph, wanted: dict[str, Any], scope: Scope, *, many: bool
) -> None:
    expected = [event.fields["n"] for event in visible(scope, wanted)]
    found: list[int] = []
    after = None
    with pytest.MonkeyPatch.context() as patch:
        for module in (event_page, plans):  # as if there were too many clusters to look into each
            patch.setattr(module, "WALKED_CLUSTERS", 0 if many else limits.WALKED_CLUSTERS)
        graph = Graph(graph.pool)
        while True:
            data = await graph.ask(
                LIST, {"filter": wanted, "first": 40, "after": after}, principal=scope[0]
            )
            page = data["runtimeEvents"]
            found += [node["fields"]["n"] for node in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
    assert found == expected


@pytest.mark.parametrize("name", ["pod", "namespace"])
async def test_what_has_no_pod_or_namespace_is_found_but_is_not_few(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    query = """query ($of: [String!], $one: String) { runtimeEvents(filter: {%s: {in: $of, eq: $one}},
      first: 500) { nodes { fields } } }"""
    none = [each.fields["n"] for each in e.ordered(e.EVENTS) if not each.pod]
    few = {"of": ["web", "web-1"]}
    monkeypatch.setattr(event_hours, "SMALL_SCOPE_EVENTS", 20)
    for given_empty in ({"of": ["", "none"]}, {"one": ""}):
        await graph.ask(query % name, few)  # planned for values that have an index
        monkeypatch.setattr(event_hours, "SMALL_SCOPE_EVENTS", 20)
        error = await graph.error(query % name, given_empty)
        assert error["extensions"]["code"] == "TOO_BROAD"
        monkeypatch.undo()
        found = await Graph(graph.pool).ask(query % name, given_empty)
        assert [node["fields"]["n"] for node in found["runtimeEvents"]["nodes"]] == none


async def test_one_input_given_twice_holds_twice(graph: Graph) -> None:
    wanted = {
        "and": [
            {"pod": {"in": ["web-1", "web-2"]}},
            {"pod": {"in": ["web-2", "api-1"]}},
            {"pod": {"contains": "2"}},
            {"rule": {"eq": "Shell"}},
            {"rule": {"in": ["Shell", "Connect"]}},
        ]
    }
    data = await graph.ask(LIST, {"filter": wanted, "first": 200})
    found = [node["fields"]["n"] for node in data["runtimeEvents"]["nodes"]]
    assert found == [each.fields["n"] for each in visible((ADMIN, (1, 2, 3), None), wanted)]
    assert found


async def test_an_event_is_found_again_by_its_id(graph: Graph) -> None:
    listed = await graph.ask("{ runtimeEvents(first: 5) { nodes { id fields } } }")
    for node in listed["runtimeEvents"]["nodes"]:
        query = "query ($id: ID!) { node(id: $id) { id ... on RuntimeEvent { fields } } }"
        assert (await graph.ask(query, {"id": node["id"]}))["node"] == node
        hidden = viewer((), None)
        assert (await graph.ask(query, {"id": node["id"]}, principal=hidden))["node"] is None


async def test_times_keep_their_nanoseconds(graph: Graph) -> None:
    data = await graph.ask("{ runtimeEvents(first: 1000) { nodes { time fields } } }")
    for node in data["runtimeEvents"]["nodes"]:
        event = e.EVENTS[node["fields"]["n"] - 1]
        odd = f"{event.at:%Y-%m-%dT%H:%M:%S}.000000001+00:00"
        assert node["time"] == (odd if event.id % 2 else event.at.isoformat())


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"output": {"contains": "x"}}, "output"),
        ({"hostname": {"eq": "x"}}, "hostname"),
        ({"or": [{"rule": {"eq": "x"}}]}, "or"),
        ({"source": {"contains": "e"}}, "source"),
        ({"rule": {"contains": "e"}, "tag": "shell"}, "tag"),
        ({"field": [{"name": "n", "eq": "1"}]}, "field"),
    ],
)
async def test_what_no_index_serves_is_refused_where_there_is_much(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(event_hours, "SMALL_SCOPE_EVENTS", 20)
    error = await graph.error(LIST, {"filter": wanted})
    assert error["extensions"]["code"] == "TOO_BROAD"
    assert says in error["message"]
    hour = {"since": e.START.isoformat(), "until": (e.START + timedelta(hours=2)).isoformat()}
    await graph.ask(LIST, {"filter": {**wanted, "time": hour}})
    await graph.ask(LIST, {"filter": {**wanted, "pod": {"eq": "web-1"}}})
    await graph.ask(LIST, {"filter": {**wanted, "cluster": {"name": {"eq": "none"}}}})


async def test_a_part_of_a_rule_is_looked_up_in_what_the_fleet_counts(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hours, "SMALL_SCOPE_EVENTS", 20)
    wanted = {"rule": {"contains": "ell"}}
    found = (await graph.ask(LIST, {"filter": wanted, "first": 200}))["runtimeEvents"]["nodes"]
    expected = visible((ADMIN, (1, 2, 3), None), wanted)
    assert [node["fields"]["n"] for node in found] == [each.fields["n"] for each in expected]
    error = await graph.error(LIST, {"filter": wanted}, principal=viewer((1, 2), None))
    assert error["extensions"]["code"] == "TOO_BROAD"


async def test_gaps_are_out_of_sight_of_a_scope_of_namespaces(graph: Graph) -> None:
    query = '{ cluster(name: "prod-eu") { eventGaps { from to events reason priorities } } }'
    gaps = (await graph.ask(query))["cluster"]["eventGaps"]
    assert [gap["reason"] for gap in gaps] == ["RECEIVER_DOWN", "OVERFLOW"]
    assert (gaps[0]["from"], gaps[0]["events"], gaps[1]["priorities"]) == (None, None, {"DEBUG": 7})
    hidden = await graph.ask(query, principal=viewer(None, ("web",)))
    assert hidden["cluster"]["eventGaps"] == []
