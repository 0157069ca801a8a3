"""Random filters on runtime events, and the callers who ask."""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from aggregator.access.principal import Principal
from tests.aggregator.graph import events as e
from tests.aggregator.graph.conftest import ADMIN, viewer

LIST = """query ($filter: RuntimeEventFilter, $first: Int, $after: String) {
  runtimeEvents(filter: $filter, first: $first, after: $after) {
    totalCount nodes { fields } pageInfo { hasNextPage endCursor }
  }
}"""

texts = st.sampled_from(
    ["Shell", "Read file", "syscall", "k8s_audit", "web", "web-1", "api-1", "node-1", "none", ""]
)


def names(values: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a StringFilter."""
    value = st.sampled_from(values)
    return st.one_of(
        st.fixed_dictionaries({"eq": value}),
        st.fixed_dictionaries({"in": st.lists(value, max_size=3)}),
        st.fixed_dictionaries({"not": value}),
        st.fixed_dictionaries({"in": st.lists(value, max_size=3), "contains": st.just("n")}),
        st.fixed_dictionaries({"eq": value, "in": st.lists(value, max_size=2)}),
        st.fixed_dictionaries({"startsWith": value}),
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
subjects = st.one_of(
    st.fixed_dictionaries({"name": names(["nginx", "unscanned", "none"])}),
    st.fixed_dictionaries({"kind": names(["Deployment", "Node"])}),
    st.fixed_dictionaries({"name": names(["nginx"]), "namespace": names(["web", "shop"])}),
    st.fixed_dictionaries({"labels": st.just([{"key": "app", "in": ["nginx", "x"]}])}),
)
times = st.integers(-60, 60 * 24 * e.DAYS).map(
    lambda minutes: (e.START + timedelta(minutes=minutes)).isoformat()
)
leaves = st.one_of(
    *(
        st.fixed_dictionaries({name: string_filters})
        for name in ("rule", "source", "namespace", "pod", "hostname", "output")
    ),
    st.fixed_dictionaries({"image": names([*e.IMAGES.values(), "none", "docker.io/"])}),
    st.fixed_dictionaries({"subject": subjects}),
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
