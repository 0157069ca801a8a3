"""Runtime events: every filter, page and group equals the same done by hand."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.access.principal import Principal
from aggregator.graph import event_page, limits
from tests.aggregator.graph import events as e
from tests.aggregator.graph.conftest import ADMIN, Graph, viewer

LIST = """query ($filter: RuntimeEventFilter, $first: Int, $after: String) {
  runtimeEvents(filter: $filter, first: $first, after: $after) {
    totalCount nodes { fields } pageInfo { hasNextPage endCursor }
  }
}"""
GROUP = """query ($by: [RuntimeEventDimension!]!, $interval: Interval, $filter: RuntimeEventFilter,
                  $order: GroupOrder) {
  runtimeEventGroups(by: $by, interval: $interval, filter: $filter, orderBy: $order) {
    cluster { name } namespace rule priority source hostname image time events
  }
}"""

texts = st.sampled_from(
    ["Shell", "Read file", "syscall", "k8s_audit", "web", "web-1", "api-1", "node-1", "none", ""]
)
string_filters = st.one_of(
    st.fixed_dictionaries({"eq": texts}),
    st.fixed_dictionaries({"in": st.lists(texts, max_size=3)}),
    st.fixed_dictionaries({"not": texts}),
    st.fixed_dictionaries({"contains": st.sampled_from(["e", "1", "hell"])}),
    st.fixed_dictionaries({"startsWith": st.sampled_from(["S", "web", "k8s"])}),
)
clusters = st.one_of(
    st.fixed_dictionaries({"eq": st.sampled_from([*e.CLUSTERS, "none"])}),
    st.fixed_dictionaries({"in": st.lists(st.sampled_from(e.CLUSTERS), max_size=2)}),
)
times = st.integers(-60, 60 * 24 * e.DAYS).map(
    lambda minutes: (e.START + timedelta(minutes=minutes)).isoformat()
)
leaves = st.one_of(
    *(
        st.fixed_dictionaries({name: string_filters})
        for name in ("rule", "source", "namespace", "pod", "hostname", "output")
    ),
    st.fixed_dictionaries(
        {"image": st.fixed_dictionaries({"eq": st.sampled_from([*e.IMAGES.values(), "none"])})}
    ),
    st.fixed_dictionaries({"cluster": st.fixed_dictionaries({"name": clusters})}),
    st.fixed_dictionaries({"tag": st.sampled_from(["shell", "container", "none"])}),
    st.fixed_dictionaries(
        {
            "priority": st.one_of(
                st.fixed_dictionaries({"atLeast": st.sampled_from(e.PRIORITIES)}),
                st.fixed_dictionaries(
                    {"in": st.lists(st.sampled_from(e.PRIORITIES), max_size=3, unique=True)}
                ),
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.lists(
                st.fixed_dictionaries(
                    {"name": st.just("proc.name"), "eq": st.sampled_from(["bash", "zsh"])}
                ),
                min_size=1,
                max_size=2,
            )
        }
    ),
    st.fixed_dictionaries({"time": st.fixed_dictionaries({"since": times})}),
    st.fixed_dictionaries({"time": st.fixed_dictionaries({"since": times, "until": times})}),
)
filters = st.recursive(
    st.lists(leaves, max_size=3).map(lambda found: {k: v for one in found for k, v in one.items()}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"and": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=3,
)
scopes = st.sampled_from(
    [
        (ADMIN, (1, 2, 3), None),
        (viewer((1, 3), None), (1, 3), None),
        (viewer(None, ("web",)), (1, 2, 3), ("web",)),
        (viewer((2,), ("web", "api")), (2,), ("web", "api")),
    ]
)
Scope = tuple[Principal, tuple[int, ...], tuple[str, ...] | None]


def visible(scope: Scope, wanted: dict[str, Any]) -> list[e.Event]:
    _, clusters, namespaces = scope
    return e.ordered(
        [
            event
            for event in e.EVENTS
            if event.cluster in clusters
            and (namespaces is None or event.namespace in namespaces)
            and e.holds(event, wanted)
        ]
    )


FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


DIMENSIONS = ("CLUSTER", "NAMESPACE", "RULE", "PRIORITY", "SOURCE", "HOSTNAME", "IMAGE")


@FEW
@given(
    wanted=filters,
    scope=scopes,
    by=st.lists(st.sampled_from([*DIMENSIONS, "TIME"]), min_size=1, max_size=3, unique=True),
    interval=st.sampled_from(["HOUR", "DAY", "WEEK"]),
)
async def test_groups_equal_a_recount(
    graph: Graph, wanted: dict[str, Any], scope: Scope, by: list[str], interval: str
) -> None:
    events = visible(scope, wanted)
    bounded = {"and": [wanted, {"time": {"until": (e.START + timedelta(days=4)).isoformat()}}]}
    variables = {"by": by, "interval": interval, "filter": bounded}
    data = await graph.ask(GROUP, variables, principal=scope[0])
    found = {
        tuple(
            (group["cluster"] or {}).get("name") if name == "CLUSTER" else group[name.lower()]
            for name in by
        ): group["events"]
        for group in data["runtimeEventGroups"]
    }
    expected = e.counted(events, tuple(by), interval)
    if len(data["runtimeEventGroups"]) < limits.MAX_PAGE:
        assert {key: count for key, count in found.items() if count} == expected


@pytest.mark.parametrize("minutes", [0, 30])
async def test_intervals_without_events_are_there(graph: Graph, minutes: int) -> None:
    since = e.START + timedelta(hours=3, minutes=minutes)
    until = e.START + timedelta(hours=30, minutes=minutes)
    wanted = {"time": {"since": since.isoformat(), "until": until.isoformat()}}
    data = await graph.ask(GROUP, {"by": ["TIME"], "interval": "HOUR", "filter": wanted})
    groups = data["runtimeEventGroups"]

    hours = [e.bucket(since, "HOUR") + timedelta(hours=n) for n in range(27 + bool(minutes))]
    assert [group["time"] for group in groups] == [hour.isoformat() for hour in hours]
    counts = e.counted([one for one in e.EVENTS if since <= one.at < until], ("TIME",), "HOUR")
    assert [group["events"] for group in groups] == [counts[hour.isoformat(),] for hour in hours]
    assert 0 in [group["events"] for group in groups]


async def test_intervals_are_filled_for_each_key(graph: Graph) -> None:
    wanted = {
        "time": {"since": e.START.isoformat(), "until": (e.START + timedelta(days=3)).isoformat()}
    }
    variables = {"by": ["RULE", "TIME"], "interval": "DAY", "filter": wanted}
    groups = (await graph.ask(GROUP, variables))["runtimeEventGroups"]

    assert len(groups) == 9
    assert sum(group["events"] for group in groups) == len(e.EVENTS)


async def test_groups_are_ordered_as_asked(graph: Graph) -> None:
    async def counts(order: str) -> list[int]:
        data = await graph.ask(GROUP, {"by": ["RULE"], "order": order})
        return [group["events"] for group in data["runtimeEventGroups"]]

    assert await counts("COUNT_DESC") == sorted(await counts("KEY_ASC"), reverse=True)
    assert await counts("COUNT_ASC") == sorted(await counts("KEY_DESC"))
    data = await graph.ask(GROUP, {"by": ["PRIORITY"], "order": "KEY_DESC"})
    found = [group["priority"] for group in data["runtimeEventGroups"]]
    assert found == [each for each in e.PRIORITIES if each in found]


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
        ({"rule": {"contains": "e"}}, "rule"),
        ({"field": [{"name": "n", "eq": "1"}]}, "field"),
    ],
)
async def test_what_no_index_serves_is_refused_where_there_is_much(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(event_page, "SMALL_SCOPE_EVENTS", 20)
    error = await graph.error(LIST, {"filter": wanted})
    assert error["extensions"]["code"] == "TOO_BROAD"
    assert says in error["message"]
    hour = {"since": e.START.isoformat(), "until": (e.START + timedelta(hours=2)).isoformat()}
    await graph.ask(LIST, {"filter": {**wanted, "time": hour}})
    await graph.ask(LIST, {"filter": {**wanted, "pod": {"eq": "web-1"}}})
    await graph.ask(LIST, {"filter": {**wanted, "cluster": {"name": {"eq": "none"}}}})


async def test_groups_of_what_no_rollup_holds_are_refused_where_there_is_much(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_page, "SMALL_SCOPE_EVENTS", 20)
    error = await graph.error(GROUP, {"by": ["HOSTNAME"]})
    assert error["extensions"]["code"] == "TOO_BROAD"
    await graph.ask(GROUP, {"by": ["HOSTNAME"], "filter": {"pod": {"in": ["web-1"]}}})
    await graph.ask(GROUP, {"by": ["RULE", "CLUSTER", "NAMESPACE"]})


@pytest.mark.parametrize(
    ("variables", "code", "says"),
    [
        ({"by": ["TIME"]}, "BAD_INPUT", "interval"),
        ({"by": []}, "BAD_INPUT", "1 to 4"),
        ({"by": ["TIME"], "interval": "MINUTE"}, "BAD_INPUT", "MINUTE"),
        (
            {
                "by": ["TIME"],
                "interval": "MINUTE",
                "filter": {"time": {"since": "2026-01-01T00:00:00Z"}},
            },
            "LIMIT_EXCEEDED",
            "more than 1,000 intervals",
        ),
    ],
)
async def test_groups_that_make_no_sense_say_why(
    graph: Graph, variables: dict[str, Any], code: str, says: str
) -> None:
    error = await graph.error(GROUP, variables)
    assert error["extensions"]["code"] == code
    assert says in error["message"]


async def test_gaps_are_out_of_sight_of_a_scope_of_namespaces(graph: Graph) -> None:
    query = '{ cluster(name: "prod-eu") { eventGaps { from to events reason priorities } } }'
    gaps = (await graph.ask(query))["cluster"]["eventGaps"]
    assert [gap["reason"] for gap in gaps] == ["RECEIVER_DOWN", "OVERFLOW"]
    assert (gaps[0]["from"], gaps[0]["events"], gaps[1]["priorities"]) == (None, None, {"DEBUG": 7})
    hidden = await graph.ask(query, principal=viewer(None, ("web",)))
    assert hidden["cluster"]["eventGaps"] == []
