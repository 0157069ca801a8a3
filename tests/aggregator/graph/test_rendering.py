"""JSON as the statement writes it: whatever the names, the number of fields and the values."""

import json
from typing import Any

import pytest
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
)

from aggregator.graph import rendering
from tests.aggregator.graph.conftest import Graph

Nullable = (
    GraphQLScalarType
    | GraphQLObjectType
    | GraphQLEnumType
    | GraphQLList[GraphQLNonNull[Any]]
    | GraphQLList[Any]
)
COLOUR = GraphQLEnumType("Colour", {"RED": "RED"})
OBJECT = GraphQLObjectType("Thing", {"a": GraphQLField(GraphQLInt)})
VALUES: list[tuple[Nullable, str, object]] = [
    (GraphQLInt, "12::bigint", 12),
    (GraphQLFloat, "9.8::real", 9.8),
    (GraphQLBoolean, "true", True),
    (GraphQLBoolean, "false", False),
    (COLOUR, "'RED'::text", "RED"),
    (GraphQLID, "'eA=='::text", "eA=="),
    (GraphQLString, "E'a \"b\" \\\\ \u00e9\\n'::text", 'a "b" \\ \u00e9\n'),
    (GraphQLString, "''::text", ""),
    (GraphQLList(GraphQLNonNull(GraphQLString)), "ARRAY['a', 'b''c']", ["a", "b'c"]),
    (OBJECT, "concat('{\"a\":', 1, '}')", {"a": 1}),
    (GraphQLList(OBJECT), "concat('[', '{}', ']')", [{}]),
]


async def answered(graph: Graph, expression: str) -> object:
    """Return what Postgres makes of an expression."""
    return json.loads(await graph.pool.fetchval(f"SELECT {expression}"))


@pytest.mark.parametrize(("type_", "expression", "value"), VALUES)
@pytest.mark.parametrize("never_null", [True, False])
async def test_a_value_is_written_as_its_type_says(
    graph: Graph, type_: Nullable, expression: str, value: object, *, never_null: bool
) -> None:
    given: GraphQLOutputType = GraphQLNonNull(type_) if never_null else type_
    made = rendering.made([("a", rendering.written(given, expression))])
    assert await answered(graph, made) == {"a": value}


@pytest.mark.parametrize(
    ("type_", "expression"),
    [
        (GraphQLInt, "NULL::bigint"),
        (GraphQLFloat, "NULL::real"),
        (GraphQLBoolean, "NULL::boolean"),
        (COLOUR, "NULL::text"),
        (GraphQLString, "NULL::text"),
        (GraphQLList(GraphQLNonNull(GraphQLString)), "NULL::text[]"),
        (OBJECT, "CASE WHEN false THEN concat('{', '}') END"),
        (GraphQLString, "NULL"),
        (COLOUR, "NULL"),
        (OBJECT, "NULL"),
    ],
)
async def test_what_is_null_is_written_so(
    graph: Graph, type_: GraphQLOutputType, expression: str
) -> None:
    made = rendering.made([("a", rendering.written(type_, expression)), ("b", ["1"])])
    assert await answered(graph, made) == {"a": None, "b": 1}


@pytest.mark.parametrize("fields", [0, 1, 50, 51, 120, 6_000])
async def test_an_object_has_any_number_of_fields(graph: Graph, fields: int) -> None:
    names = [f"{'long' * 20}{number}" for number in range(fields)]
    pairs = [(name, rendering.written(GraphQLString, f"'{name}'::text")) for name in names]
    assert await answered(graph, rendering.made(pairs)) == {name: name for name in names}


async def test_a_list_keeps_the_order_of_its_rows(graph: Graph) -> None:
    rows = "SELECT concat(n) AS o FROM generate_series(5, 1, -1) n"
    assert await answered(graph, f"({rendering.listed(rows, 'j')})") == [5, 4, 3, 2, 1]
    assert await answered(graph, f"({rendering.listed(rows + ' LIMIT 0', 'j')})") == []


async def test_what_rows_of_a_page_refer_to_may_refer_to_more(graph: Graph) -> None:
    answer = await graph.ask(
        "{ findings(first: 3) { nodes { subject { cluster { name } } cluster { name } } } }"
    )
    for node in answer["findings"]["nodes"]:
        assert node["subject"]["cluster"] == node["cluster"]
