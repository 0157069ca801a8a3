"""Groups of runtime events equal a recount."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.graph import event_hours, limits
from tests.aggregator.graph import events as e
from tests.aggregator.graph.conftest import Graph
from tests.aggregator.graph.event_filters import FEW, LIST, Scope, filters, scopes, visible

GROUP = """query ($by: [RuntimeEventDimension!]!, $interval: Interval, $filter: RuntimeEventFilter,
                  $order: GroupOrder) {
  runtimeEventGroups(by: $by, interval: $interval, filter: $filter, orderBy: $order) {
    cluster { name } namespace rule priority source hostname image time events
  }
}"""


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


async def test_intervals_go_on_until_now(graph: Graph) -> None:
    before = datetime.now(UTC)
    data = await graph.ask(GROUP, {"by": ["TIME"], "interval": "WEEK"})
    groups = data["runtimeEventGroups"]
    times = [event.at for event in e.EVENTS]
    assert groups[0]["time"] == e.bucket(min(times), "WEEK").isoformat()
    ends = {e.bucket(max([*times, now]), "WEEK").isoformat() for now in (before, datetime.now(UTC))}
    assert groups[-1]["time"] in ends
    assert sum(group["events"] for group in groups) == len(e.EVENTS)


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


@pytest.mark.parametrize("interval", ["DAY", "WEEK"])
@pytest.mark.parametrize(
    ("since", "until"),
    [
        ((0, 0), (72, 0)),
        ((5, 20), (66, 40)),
        ((5, 0), (66, 0)),
        ((5, 20), (20, 50)),
        ((5, 20), (5, 58)),
        ((30, 0), (49, 1)),
        ((23, 59), (48, 0)),
    ],
)
async def test_days_that_a_time_bound_cuts_are_counted_exactly(
    graph: Graph, interval: str, since: tuple[int, int], until: tuple[int, int]
) -> None:
    begin, end = (e.START + timedelta(hours=h, minutes=m) for h, m in (since, until))
    within = [one for one in e.EVENTS if begin <= one.at < end]
    wanted = {"time": {"since": begin.isoformat(), "until": end.isoformat()}}
    data = await graph.ask(GROUP, {"by": ["TIME"], "interval": interval, "filter": wanted})
    found = {(group["time"],): group["events"] for group in data["runtimeEventGroups"]}
    assert {key: n for key, n in found.items() if n} == e.counted(within, ("TIME",), interval)
    data = await graph.ask(GROUP, {"by": ["RULE"], "filter": wanted})
    rules = {(group["rule"],): group["events"] for group in data["runtimeEventGroups"]}
    assert rules == e.counted(within, ("RULE",), interval)
    data = await graph.ask(LIST, {"filter": wanted})
    assert data["runtimeEvents"]["totalCount"] == len(within)


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


async def test_groups_of_what_no_rollup_holds_are_refused_where_there_is_much(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hours, "SMALL_SCOPE_EVENTS", 20)
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
                "interval": "HOUR",
                "filter": {"time": {"until": "2026-03-01T00:00:00Z"}},
            },
            "LIMIT_EXCEEDED",
            "more than 1,000 intervals",
        ),
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
