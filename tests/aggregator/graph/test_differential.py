"""Random operations through the compiler give what a plain evaluation in Python gives."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.access.principal import Scope
from aggregator.graph import compiler, documents, finding_reach, limits, selection, taken
from tests.aggregator.graph import fleet
from tests.aggregator.graph.conftest import Graph, viewer
from tests.aggregator.graph.evaluation import CAMEL, SEVERITIES, Row, Selection, World, rows_of

TEXTS = st.sampled_from(
    [
        "nginx",
        "api",
        "web",
        "shop",
        "",
        "openssl",
        "zlib",
        "CVE-2024-0001",
        "shared-key",
        "CVE-",
        "prod-eu",
        "prod",
        "docker.io/library/nginx:1.25@sha256:aa",
        "kyverno",
        "%",
        "_",
        "\\",
    ]
)


@st.composite
def few(draw: st.DrawFn, options: dict[str, Any], most: int) -> Row:
    """Draw a dict with some of the keys."""
    names = draw(st.lists(st.sampled_from(sorted(options)), max_size=most, unique=True))
    return {name: draw(options[name]) for name in names}


LISTED = st.lists(TEXTS, max_size=3)
STRINGS = few({"eq": TEXTS, "in": LISTED, "not": TEXTS, "contains": TEXTS, "startsWith": TEXTS}, 2)
TIMES = st.integers(-1, 60).map(lambda day: (fleet.START + timedelta(days=day)).isoformat())
STATUSES = st.lists(st.sampled_from(["FAIL", "WARN", "ERROR", "SKIP", "PASS"]), min_size=1)
CATEGORIES = st.lists(st.sampled_from(["VULNERABILITY", "POLICY", "SECRET", "RBAC"]))
LEAVES: dict[str, Any] = {
    "cluster": few({"name": STRINGS}, 1),
    "category": CATEGORIES.map(lambda names: {"in": names}),
    "status": STATUSES.map(lambda names: {"in": names}),
    "severity": few(
        {"in": st.lists(st.sampled_from(SEVERITIES)), "atLeast": st.sampled_from(SEVERITIES)}, 2
    ),
    **dict.fromkeys(("source", "rule", "namespace", "container", "image", "package"), STRINGS),
    "subject": few({"name": STRINGS, "kind": STRINGS}, 2),
    "firstSeenAt": few({"since": TIMES, "until": TIMES}, 2),
    "fixable": st.booleans(),
    "scoreAtLeast": st.sampled_from([0.0, 3.1, 7.5, 9.8, 9.9]),
    "state": st.lists(st.sampled_from(["LIVE", "ABSENT", "SUPERSEDED"]), min_size=1, unique=True),
}


@st.composite
def filters(draw: st.DrawFn, depth: int = 2) -> Row:
    """Draw a FindingFilter."""
    made = draw(few(LEAVES, 2))
    if depth and draw(st.booleans()):
        inner = filters(depth - 1)
        more = {
            "and": st.lists(inner, max_size=2),
            "or": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        }
        made |= draw(few(more, 2))
    return made


FILTERS = filters()
ORDERS = st.fixed_dictionaries(
    {"field": st.sampled_from(["SEVERITY", "RULE", "FIRST_SEEN", "SCORE"])},
    optional={"direction": st.sampled_from(["ASC", "DESC"])},
)
FINDINGS = st.fixed_dictionaries(
    {}, optional={"filter": FILTERS, "orderBy": ORDERS, "first": st.sampled_from([0, 1, 3, 50, 7])}
)
FIRST = st.fixed_dictionaries({}, optional={"first": st.sampled_from([1, 2, 50])})
CATEGORY = st.fixed_dictionaries(
    {}, optional={"category": st.sampled_from(["VULNERABILITY", "POLICY"])}
)
NONE: st.SearchStrategy[Row] = st.just({})

# Fields of a type: name -> (arguments, type below); "" is a scalar, "*X" a connection of X.
FIELDS: dict[str, dict[str, tuple[Any, str]]] = {
    "Finding": {
        **dict.fromkeys(
            ["category", "source", "status", "severity", "score", "message", "namespace", "container", "target", "occurrences", "state", "observedAt", "firstSeenAt", "__typename"],
            (NONE, ""),
        ),
        "rule": (NONE, "Rule"),
        "cluster": (NONE, "Cluster"),
        "subject": (NONE, "Subject"),
        "image": (NONE, "Image"),
        "package": (NONE, "Package"),
    },
    "Package": dict.fromkeys(["name", "installedVersion", "fixedVersion"], (NONE, "")),
    "Counts": dict.fromkeys(["critical", "high", "unknown", "total"], (NONE, "")),
    "Cluster": {
        "name": (NONE, ""),
        "uid": (NONE, ""),
        "failedReports": (NONE, ""),
        "severities": (CATEGORY, "Counts"),
        "findings": (FINDINGS, "*Finding"),
        "images": (FIRST, "*Image"),
    },
    "Subject": {
        **dict.fromkeys(["name", "kind", "namespace", "pods", "scanned"], (NONE, "")),
        "cluster": (NONE, "Cluster"),
        "severities": (NONE, "Counts"),
        "findings": (FINDINGS, "*Finding"),
    },
    "Image": {
        **dict.fromkeys(
            ["name", "tag", "clusterCount", "workloadCount", "running", "scanned"], (NONE, "")
        ),
        "severities": (NONE, "Counts"),
        "clusters": (FIRST, "*Cluster"),
        "findings": (FINDINGS, "*Finding"),
    },
    "Rule": {
        **dict.fromkeys(
            ["key", "category", "title", "score", "links", "findingCount", "clusterCount", "fixedVersions"],
            (NONE, ""),
        ),
        "clusters": (FIRST, "*Cluster"),
        "images": (FIRST, "*Image"),
        "findings": (FINDINGS, "*Finding"),
    },
    "Query": {
        "findings": (FINDINGS, "*Finding"),
        "clusters": (FIRST, "*Cluster"),
        "subjects": (FIRST, "*Subject"),
        "images": (st.builds(lambda f: {**f, "orderBy": {"field": "NAME", "direction": "ASC"}}, FIRST), "*Image"),
        "rules": (FIRST, "*Rule"),
    },
}  # fmt: skip


@st.composite
def selections(draw: st.DrawFn, type_name: str, depth: int) -> Selection:
    """Draw a selection on a type; aliases are unique, so that nothing has to merge."""
    fields = FIELDS[type_name]
    names = [name for name, (_, below) in fields.items() if depth > 0 or not below]
    chosen = draw(st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=4))
    made: Selection = []
    for number, name in enumerate(chosen):
        arguments, below = fields[name]
        inner: Selection = []
        if below.startswith("*"):
            inner = draw(connections(below[1:], depth - 1))
        elif below:
            inner = draw(selections(below, depth - 1))
        made.append((f"{name.strip('_')}{number}", name, draw(arguments), inner))
    return made


@st.composite
def connections(draw: st.DrawFn, type_name: str, depth: int) -> Selection:
    """Draw a selection on a connection."""
    made: Selection = []
    parts = draw(
        st.lists(
            st.sampled_from(["nodes", "edges", "totalCount", "pageInfo"]), min_size=1, unique=True
        )
    )
    for part in parts:
        if part == "nodes":
            made.append((part, part, {}, draw(selections(type_name, depth))))
        elif part == "edges":
            made.append((part, part, {}, [("n", "node", {}, draw(selections(type_name, depth)))]))
        elif part == "totalCount":
            made.append((part, part, {}, []))
        else:
            made.append((part, part, {}, [("more", "hasNextPage", {}, [])]))
    return made


class Text:
    """Writes a selection as GraphQL: arguments as literals or variables, parts as fragments."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.variables: dict[str, Any] = {}
        self.declared: list[str] = []

    def operation(self, selection: Selection) -> str:
        body = self._below(selection)
        head = f"query ({', '.join(self.declared)})" if self.declared else "query"
        return f"{head} {body}"

    def _below(self, selection: Selection) -> str:
        parts = [self._field(each) for each in selection]
        if len(parts) > 1 and self._draw(st.booleans()):
            parts = [parts[0], f"... {{ {' '.join(parts[1:])} }}"]
        if self._draw(st.booleans()):
            parts.append("gone: __typename @skip(if: true)")
        return f"{{ {' '.join(parts)} }}"

    def _field(self, field: tuple[str, str, dict[str, Any], Any]) -> str:
        key, name, arguments, below = field
        given = ", ".join(f"{each}: {self._value(each, arguments[each])}" for each in arguments)
        text = f"{key}: {name}" + (f"({given})" if given else "")
        return f"{text} {self._below(below)}" if below else text

    def _value(self, name: str, value: Any) -> str:
        types = {
            "filter": "FindingFilter",
            "orderBy": "FindingOrder",
            "first": "Int",
            "by": "[FindingDimension!]!",
            "category": "FindingCategory",
        }
        typed = name != "orderBy" or value["field"] != "NAME"
        if typed and self._draw(st.booleans()):
            variable = f"v{len(self.variables)}"
            self.variables[variable] = value
            self.declared.append(f"${variable}: {types[name]}")
            return f"${variable}"
        return literal(value)


@st.composite
def operations(draw: st.DrawFn) -> tuple[str, Row, Selection]:
    """Draw an operation: its text, its variables, what it selects."""
    selection = draw(selections("Query", 3))
    text = Text(draw)
    return text.operation(selection), text.variables, selection


ENUMS = {*SEVERITIES, "FAIL", "WARN", "ERROR", "SKIP", "PASS", "LIVE", "ABSENT", "SUPERSEDED"} | {
    "VULNERABILITY", "POLICY", "SECRET", "RBAC", "ASC", "DESC", "SEVERITY", "RULE", "FIRST_SEEN",
    "SCORE", "NAME", *CAMEL,
}  # fmt: skip


def literal(value: Any) -> str:
    """Write a value as a GraphQL literal."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return value if isinstance(value, str) and value in ENUMS else json.dumps(value)


SCOPES = st.builds(
    Scope,
    clusters=st.none() | st.lists(st.sampled_from([1, 2, 3, 4]), unique=True).map(tuple),
    namespaces=st.none() | st.lists(st.sampled_from(["web", "shop", "no"]), unique=True).map(tuple),
)


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is drawn ask for as much as it likes."""
    monkeypatch.setattr(compiler, "MAX_COST", 10**12)
    monkeypatch.setattr(documents, "MAX_REPEATS", 10**6)
    monkeypatch.setattr(selection, "MAX_FIELDS", 10**6)
    monkeypatch.setattr(selection, "MAX_ALIASES", 10**6)


class Tables(dict[str, list[Row]]):
    """All rows, which nobody wants to see when a test fails."""

    def __repr__(self) -> str:
        return "…"


@pytest.fixture(params=["small", "middling", "large"], autouse=True)
def _fleet(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the small fleet for what it is, and for a larger one: the ways to answer differ."""
    contents = {"small": limits.WALKED_CONTENTS, "middling": 2, "large": 0}[request.param]
    monkeypatch.setattr(finding_reach, "WALKED_CONTENTS", contents)
    if request.param == "large":
        monkeypatch.setattr(taken, "SMALL_SCOPE_FINDINGS", -1)


@pytest.fixture
async def tables(fleet_dsn: str) -> AsyncIterator[Tables]:
    """Yield all rows of the small fleet."""
    connection = await asyncpg.connect(fleet_dsn, server_settings={"timezone": "UTC"})
    yield Tables(await rows_of(connection))
    await connection.close()


def slow(examples: int) -> settings:
    """Run as many examples as it takes, with fixtures that no example changes."""
    return settings(
        max_examples=examples * int(os.environ.get("DIFFERENTIAL", "1")),  # times as many
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )


@slow(20)
@given(operation=operations(), scope=SCOPES)
async def test_any_operation_gives_what_plain_python_gives(
    graph: Graph,
    tables: Tables,
    operation: tuple[str, Row, Selection],
    scope: Scope,
) -> None:
    text, variables, selection = operation
    principal = viewer(scope.clusters, scope.namespaces)
    actual = await graph.ask(text, variables, principal=principal)
    assert actual == World(tables, scope).answer(selection)


@slow(20)
@given(
    by=st.lists(st.sampled_from(sorted(CAMEL)), min_size=1, max_size=3, unique=True),
    filter_=FILTERS,
    scope=SCOPES,
)
async def test_any_group_counts_what_plain_python_counts(
    graph: Graph, tables: Tables, by: list[str], filter_: Row, scope: Scope
) -> None:
    below = {"CLUSTER": " { name }", "RULE": " { id }", "IMAGE": " { name }", "SUBJECT": " { id }"}
    fields = " ".join(CAMEL[name] + below.get(name, "") for name in by)
    data = await graph.ask(
        "query ($by: [FindingDimension!]!, $filter: FindingFilter) {"
        " findingGroups(by: $by, filter: $filter, first: 1000) { totalCount nodes {"
        f" {fields} findings occurrences clusters subjects {{ value relation }} }} }} }}",
        {"by": by, "filter": filter_},
        principal=viewer(scope.clusters, scope.namespaces),
    )
    world = World(tables, scope)
    expected = [
        {**row, "subjects": row["subjects"][1]}
        for row in world.groups({"by": by, "filter": filter_}).rows
    ]
    actual = [flat(world, group) for group in data["findingGroups"]["nodes"]]
    assert sorted(map(str_of, actual)) == sorted(map(str_of, expected))
    assert data["findingGroups"]["totalCount"] == len(expected)


def flat(world: World, group: Row) -> Row:
    """Return a group with keys in place of objects."""
    from aggregator.graph.node import decode

    made = dict(group)
    for name in ("rule", "subject"):
        if made.get(name):
            made[name] = decode(made[name]["id"])[1][0]
    for name in ("cluster", "image"):
        if made.get(name):
            made[name] = made[name]["name"]
    del world
    return made


def str_of(row: Row) -> str:
    """Return a text to sort and compare by."""
    return json.dumps(row, sort_keys=True)


@slow(20)
@given(
    arguments=st.fixed_dictionaries({}, optional={"filter": FILTERS, "orderBy": ORDERS}),
    size=st.sampled_from([1, 2, 3, 5]),
    scope=SCOPES,
)
async def test_pages_joined_are_the_whole(
    graph: Graph, tables: Tables, arguments: Row, size: int, scope: Scope
) -> None:
    query = (
        "query ($filter: FindingFilter, $orderBy: FindingOrder, $first: Int, $after: String) {"
        " findings(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {"
        " pageInfo { hasNextPage endCursor } edges { cursor node {"
        " severity message rule { key } cluster { name } subject { name } container } } } }"
    )
    principal = viewer(scope.clusters, scope.namespaces)
    below: Selection = [(name, name, {}, []) for name in ("severity", "message")]
    below += [
        (name, name, {}, [(key, key, {}, [])])
        for name, key in (("rule", "key"), ("cluster", "name"), ("subject", "name"))
    ]
    below.append(("container", "container", {}, []))
    page = World(tables, scope)
    expected = page.findings_page(page.findings, {**arguments, "first": 1000}).answer(
        page, [("nodes", "nodes", {}, below)]
    )["nodes"]
    found: list[Row] = []
    after = None
    for _ in range(100):
        variables = {**arguments, "first": size, "after": after}
        data = (await graph.ask(query, variables, principal=principal))["findings"]
        found += [edge["node"] for edge in data["edges"]]
        if not data["pageInfo"]["hasNextPage"]:
            break
        after = data["pageInfo"]["endCursor"]
        assert after == data["edges"][-1]["cursor"]
        await asyncio.sleep(0)
    assert found == expected
