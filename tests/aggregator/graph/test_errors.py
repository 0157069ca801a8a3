"""What fails does so as a whole, with a code, and says what to do."""

import logging
import sys
from typing import Any

import msgspec
import pytest
from graphql import get_introspection_query

from aggregator.access.principal import Principal, Role
from aggregator.graph import compiler, finding_pins, finding_recent, group_sources, limits, taken
from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.store import finding_stats
from aggregator.store.pool import open_pool
from tests.aggregator.graph.conftest import ADMIN, KEY, Graph, viewer


async def test_syntax_and_validation_answer_400_with_places(graph: Graph) -> None:
    error = await graph.error("{ findings( }")
    assert (error["status"], error["extensions"]["code"]) == (400, "GRAPHQL_PARSE_FAILED")
    assert error["locations"] == [{"line": 1, "column": 13}]
    error = await graph.error("{ findings { nodes { colour } } }")
    assert (error["status"], error["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION_FAILED")
    assert "colour" in error["message"]
    assert graph.counter.statements == []


@pytest.mark.parametrize(
    ("query", "variables", "code", "named"),
    [
        (
            '{ findingGroups(by: [CLUSTER_LABEL, SUBJECT_LABEL], labelKey: "a") { totalCount } }',
            {},
            "BAD_INPUT",
            "one of CLUSTER_LABEL and SUBJECT_LABEL",
        ),
        ("{ findings(first: -1) { totalCount } }", {}, "BAD_INPUT", "between 0 and 1000"),
        ("{ findings(first: 1001) { nodes { id } } }", {}, "BAD_INPUT", "between 0 and 1000"),
        ('{ findings(after: "x") { nodes { id } } }', {}, "BAD_INPUT", "`after`"),
        ('{ node(id: "x") { id } }', {}, "BAD_INPUT", "`id`"),
        (
            '{ findings(filter: {observedAt: {last: "soon"}}) { nodes { id } } }',
            {},
            "BAD_INPUT",
            "`last`",
        ),
        ("{ findingGroups(by: []) { totalCount } }", {}, "BAD_INPUT", "`by`"),
        ("{ findingGroups(by: [CLUSTER_LABEL]) { totalCount } }", {}, "BAD_INPUT", "`labelKey`"),
        (
            "query ($f: FindingFilter) { findings(filter: $f) { totalCount } }",
            {"f": {"severity": {"atLeast": "AWFUL"}}},
            "BAD_INPUT",
            "AWFUL",
        ),
        (
            "query ($f: FindingFilter) { findings(filter: $f) { totalCount } }",
            {"f": {"rule": {"eq": "a\0b"}}},
            "BAD_INPUT",
            "variables.f.rule.eq",
        ),
        (
            '{ findings(filter: {rule: {eq: "a\\u0000b"}}) { totalCount } }',
            {},
            "BAD_INPUT",
            "filter.rule.eq",
        ),
        ("query A { fleet { images } } query B { fleet { images } }", {}, "BAD_REQUEST", "A, B"),
    ],
)
async def test_bad_input_names_the_field_and_what_is_allowed(
    graph: Graph, query: str, variables: dict[str, Any], code: str, named: str
) -> None:
    error = await graph.error(query, variables)
    assert error["extensions"]["code"] == code
    assert named in error["message"]


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ('query ($x: String = "a") { cluster(name: $x) { id } }', "String!"),
        ('query ($x: ID = "a") { node(id: $x) { id } }', "ID!"),
        ("query ($x: Severity = LOW) { findings(filter: {severity: {in: [$x]}}) { totalCount } }", "Severity!"),
        ("query ($x: FindingFilter = {}) { findings(filter: {and: [$x]}) { totalCount } }", "FindingFilter!"),
        ("query ($x: FindingOrderField = RULE) { findings(orderBy: {field: $x}) { totalCount } }", "FindingOrderField!"),
        ("query ($x: [FindingDimension!] = [RULE]) { findingGroups(by: $x) { totalCount } }", "[FindingDimension!]!"),
        ('query ($x: String = "a") { clusters(filter: {labels: [{key: $x}]}) { totalCount } }', "String!"),
        ("query ($x: Boolean = true) { fleet { images @skip(if: $x) } }", "Boolean!"),
    ],
)  # fmt: skip
async def test_null_is_refused_where_a_default_let_a_nullable_variable_stand(
    graph: Graph, query: str, needed: str
) -> None:
    error = await graph.error(query, {"x": None})
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert error["message"] == f"$x is null where {needed} is needed."


async def test_fragments_that_double_at_every_level_are_read_once(graph: Graph) -> None:
    levels = 60
    doubling = " ".join(
        f"fragment F{n} on Fleet {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)
    )
    text = f"{{ fleet {{ reports ...F0 }} }} {doubling} fragment F{levels} on Fleet"
    skipped = await graph.ask(text + " { images @skip(if: true) }")
    assert list(skipped["fleet"]) == ["reports"]
    assert list((await graph.ask(text + " { images }"))["fleet"]) == ["reports", "images"]


async def test_values_that_nest_deeper_than_python_goes_are_refused(graph: Graph) -> None:
    query = 'mutation ($x: JSON) { updateCluster(name: "no", labels: $x) { id } }'
    deep: Any = []
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    error = await graph.error(query, {"x": deep})
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert "deep" in error["message"]


async def test_a_failure_inside_names_its_path(graph: Graph) -> None:
    error = await graph.error(
        '{ cluster(name: "prod-eu") { f: findings(first: 9999) { nodes { id } } } }'
    )
    assert error["path"] == ["cluster", "f"]


async def test_cursors_fit_the_question_that_they_came_from_alone(graph: Graph) -> None:
    query = "query ($f: FindingFilter, $o: FindingOrder, $after: String) { findings(filter: $f, orderBy: $o, first: 2, after: $after) { edges { cursor node { id } } } }"
    filter_ = {"severity": {"atLeast": "LOW"}}
    edges = (await graph.ask(query, {"f": filter_}))["findings"]["edges"]
    cursor = edges[-1]["cursor"]
    after = {"f": filter_, "after": cursor}
    assert (await graph.ask(query, after))["findings"]["edges"][0] not in edges
    for other in (
        {**after, "f": {"severity": {"atLeast": "HIGH"}}},
        {**after, "o": {"field": "SEVERITY", "direction": "ASC"}},
        {**after, "f": None},
        {**after, "after": cursor[:-4] + "AAAA"},
        {**after, "after": cursor[:8]},
        {**after, "after": ""},
    ):
        assert (await graph.error(query, other))["extensions"]["code"] == "BAD_INPUT"
    error = await graph.error(query, after, principal=viewer((1, 2)))
    assert error["extensions"]["code"] == "BAD_INPUT"
    stranger = GraphQL(graph.pool, cursor_key=b"another")
    response = await stranger.execute(GraphQLRequest(query, after), ADMIN)
    assert b"BAD_INPUT" in response.body


async def test_limits_say_the_limit(graph: Graph) -> None:
    deep = (
        "{ findings { nodes "
        + "{ rule { findings { nodes " * 10
        + "{ id }"
        + " } } }" * 10
        + " } }"
    )
    aliases = "{ fleet { " + " ".join(f"a{n}: images" for n in range(300)) + " } }"
    fields = "{ " + " ".join(f"fleet {{ ...F }} x{n}: fleet {{ ...F }}" for n in range(3)) + " }"
    many = fields + " fragment F on Fleet { " + " ".join(f"a{n}: images" for n in range(700)) + " }"
    roots = "{ " + " ".join(f"a{n}: fleet {{ images }}" for n in range(30)) + " }"
    costly = "{ clusters(first: 1000) { nodes { findings(first: 1000) { nodes { id } } } } }"
    tokens = "{ fleet { " + "images " * 6000 + "} }"
    long = "{ fleet { images } } #" + "x" * limits.MAX_DOCUMENT_BYTES
    for query, limit in (
        (deep, str(limits.MAX_DEPTH)),
        (aliases, str(limits.MAX_ALIASES)),
        (many, "At most"),
        (roots, str(limits.MAX_ROOT_FIELDS)),
        (costly, f"{limits.MAX_COST:,}"),
        (tokens, str(limits.MAX_TOKENS)),
        (long, f"{limits.MAX_DOCUMENT_BYTES:,}"),
        ("{" * 2000, str(limits.MAX_NESTING)),
        ("#\r" + "{" * 2000, str(limits.MAX_NESTING)),
        ("{ " + "findings { nodes { id } } " * 200 + "}", str(limits.MAX_REPEATS)),
    ):
        error = await graph.error(query)
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED", error
        assert limit in error["message"]
    assert graph.counter.statements == []


async def test_a_question_outside_the_fast_set_is_refused_where_the_scope_is_large(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "SMALL_SCOPE_FINDINGS", 3)
    monkeypatch.setattr(finding_pins, "PINNED_VALUES", 1)
    monkeypatch.setattr(finding_recent, "RECENT_OPENED", 1)
    monkeypatch.setattr(group_sources, "USED_CONTENTS", 1)
    for query in (
        "{ findings(orderBy: {field: RULE}) { nodes { id } } }",
        '{ findings(orderBy: {field: SCORE}, filter: {container: {eq: "x"}}) { nodes { id } } }',
        "{ findings(orderBy: {field: SCORE}, filter: {status: {in: [PASS, FAIL]}}) { nodes { id } } }",
        '{ findings(filter: {rule: {contains: "CVE"}}) { nodes { id } } }',
        '{ findings(filter: {package: {startsWith: ""}}) { nodes { id } } }',
        '{ findings(filter: {firstSeenAt: {since: "2026-01-01T00:00:00Z"}}) { nodes { id } } }',
        "{ findings(orderBy: {field: FIRST_SEEN, direction: ASC}) { nodes { id } } }",
        "{ findings(orderBy: {field: FIRST_SEEN}, filter: {fixable: true}) { nodes { id } } }",
        '{ findings(filter: {container: {contains: "x"}}) { nodes { id } } }',
        "{ findings(filter: {or: [{fixable: true}, {fixable: false}]}) { nodes { id } } }",
        "{ findingGroups(by: [RULE, CLUSTER]) { totalCount } }",
        "{ findingGroups(by: [CONTAINER]) { totalCount } }",
        "{ subjects(orderBy: {field: CRITICAL}) { nodes { name } } }",
    ):
        error = await graph.error(query)
        assert error["extensions"]["code"] == "TOO_BROAD"
        assert "filter" in error["message"]
        assert error["path"] == [query.split("(")[0].strip("{ ")]
    for query in (
        "{ findings { totalCount nodes { id } } }",
        "{ findings(orderBy: {field: SCORE}) { nodes { id } } }",
        "{ findings(orderBy: {field: FIRST_SEEN}) { nodes { id } } }",
        '{ findings(filter: {rule: {contains: "CVE-2024-0001"}}) { nodes { id } } }',
        '{ findings(filter: {package: {contains: "ssl"}}) { nodes { id } } }',
        '{ findings(filter: {firstSeenAt: {since: "2026-02-20T00:00:00Z"}}) { nodes { id } } }',
        '{ findings(orderBy: {field: SCORE}, filter: {rule: {eq: "CVE-2024-0001"}}) { nodes { id } } }',
        '{ findings(orderBy: {field: SCORE}, filter: {cluster: {name: {eq: "empty"}}}) { nodes { id } } }',
        "{ findingGroups(by: [CLUSTER, SEVERITY]) { totalCount } }",
        "{ findingGroups(by: [RULE, SEVERITY]) { totalCount } }",
        '{ findingGroups(by: [RULE], filter: {cluster: {name: {eq: "empty"}}}) { totalCount } }',
        '{ cluster(name: "prod-eu") { findings(orderBy: {field: SCORE}) { totalCount } } }',
    ):
        await graph.ask(query)


async def test_an_id_that_is_none_is_told_with_its_field(graph: Graph) -> None:
    error = await graph.error('{ one: node(id: "x") { id } }')
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert error["path"] == ["one"]


async def test_lists_within_lists_of_the_schema_are_limited(graph: Graph) -> None:
    await graph.execute(get_introspection_query(input_value_deprecation=True))
    fields = " ".join(f"a{n}: fields {{ type {{ ...F }} }}" for n in range(6))
    names = " ".join(f"b{n}: fields {{ name }}" for n in range(6))
    error = await graph.error(
        f"{{ __schema {{ types {{ {fields} }} }} }} fragment F on __Type {{ {names} }}"
    )
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "the limit is 400,000" in error["message"]
    aliases = " ".join(f"a{n}: name" for n in range(201))
    error = await graph.error(f'{{ __type(name: "Query") {{ {aliases} }} }}')
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_a_large_fleet_that_was_never_counted_is_not_answered_with_nothing(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken, "SMALL_SCOPE_FINDINGS", -1)
    pool = await open_pool(dsn, size=1, statement_timeout=30.0)
    never = Graph(pool)
    queries = (
        "{ findingGroups(by: [RULE]) { asOf nodes { findings } } }",
        "{ rules(orderBy: {field: FINDINGS}) { nodes { key } } }",
        "{ images(orderBy: {field: CLUSTERS}) { nodes { name } } }",
    )
    for query in queries:
        error = await never.error(query)
        assert error["extensions"]["code"] == "TOO_BROAD"
        assert "not been counted yet" in error["message"]
    await finding_stats.take(pool)
    for query in queries:
        await never.ask(query)
    groups = await never.ask(queries[0])
    assert groups["findingGroups"]["asOf"] is not None
    monkeypatch.setattr(taken, "SMALL_SCOPE_FINDINGS", 300_000)
    exact = await Graph(pool).ask(queries[0])
    assert exact["findingGroups"]["asOf"] is None
    await pool.close()


class Broken(Exception):  # noqa: N818 - as the driver's
    """An error of the driver."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("secret words")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Broken("57014"), "TIMEOUT"),
        (TimeoutError(), "TIMEOUT"),
        (Broken("57P01"), "UNAVAILABLE"),
        (ConnectionRefusedError(), "UNAVAILABLE"),
        (Broken("42703"), "INTERNAL"),
    ],
)
async def test_what_the_database_says_stays_here(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Pool:
        async def fetchval(self, query: str, *args: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109
            del query, args, timeout
            raise error

    caplog.set_level(logging.CRITICAL)
    response = await GraphQL(Pool(), cursor_key=KEY).execute(
        GraphQLRequest("{ fleet { images } }"), ADMIN
    )
    answer = msgspec.json.decode(response.body)
    assert answer["errors"][0]["extensions"]["code"] == code
    assert "secret" not in answer["errors"][0]["message"]


async def test_a_statement_that_takes_too_long_is_ended(graph: Graph) -> None:
    endpoint = GraphQL(graph.pool, cursor_key=KEY, statement_timeout=0.000001)
    response = await endpoint.execute(GraphQLRequest("{ fleet { images } }"), ADMIN)
    assert b'"TIMEOUT"' in response.body


async def test_mutations_need_an_admin(graph: Graph) -> None:
    for principal in (viewer(), Principal("i", "a", Role.AGENT, cluster_id=1)):
        error = await graph.error(
            'mutation { removeCluster(name: "prod-eu") }', principal=principal
        )
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert error["path"] == ["removeCluster"]
    assert graph.counter.statements == []
