"""The schema holds the contract, is printed in the repository, and says what everything means."""

import re
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    print_ast,
)

from aggregator.graph import schema

SHARED = Path(__file__).parents[4] / "shared"
# Runtime events come with their own issue.
LATER = {
    "Query.runtimeEvents",
    "Query.runtimeEventGroups",
    "Cluster.runtimeEvents",
    "Cluster.eventGaps",
    "Subject.runtimeEvents",
}
LATER_TYPES = {
    "Subscription",
    "RuntimeEvent",
    "RuntimeEventEdge",
    "RuntimeEventConnection",
    "RuntimeEventGroup",
    "RuntimeEventFilter",
    "RuntimeEventDimension",
    "EventGap",
    "Interval",
    "Priority",
    "PriorityFilter",
    "FieldFilter",
}


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return build_schema(schema.build().as_str())


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    path = SHARED / "schema.graphql"
    if not path.exists():
        pytest.skip(f"no contract at {path}")
    text = path.read_text()
    for name in sorted(set(re.findall(r"\b(\w+)Connection\b", text)) - {"X"}):
        text += (
            f"\ntype {name}Connection {{ edges: [{name}Edge!]! nodes: [{name}!]!"
            f" pageInfo: PageInfo! totalCount: Long! }}"
            f"\ntype {name}Edge {{ cursor: String! node: {name}! }}"
        )
    # The contract lists members on one line, which its comments may cut.
    return build_schema(text, assume_valid=True)


def test_every_part_of_the_contract_is_there(ours: GraphQLSchema, contract: GraphQLSchema) -> None:
    missing = []
    for name, theirs in contract.type_map.items():
        if name in LATER_TYPES or name.startswith("__"):
            continue
        mine = ours.type_map.get(name)
        if mine is None or type(mine).__mro__[1].__name__ not in str(type(mine).__mro__):
            missing.append(name)
            continue
        if isinstance(theirs, GraphQLEnumType):
            assert isinstance(mine, GraphQLEnumType)
            assert set(mine.values) >= set(theirs.values), name
        if isinstance(theirs, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            assert isinstance(
                mine, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType
            )
            for field_name, field in theirs.fields.items():
                place = f"{name}.{field_name}"
                if place in LATER:
                    continue
                if field_name not in mine.fields:
                    missing.append(place)
                    continue
                own = mine.fields[field_name]
                assert str(own.type) == str(field.type), place
                for argument_name, argument in getattr(field, "args", {}).items():
                    argument_place = f"{place}({argument_name}:)"
                    assert argument_name in own.args, argument_place
                    own_argument = own.args[argument_name]
                    assert str(own_argument.type) == str(argument.type), argument_place
                    assert _default(own_argument) == _default(argument), argument_place
        if isinstance(theirs, GraphQLObjectType):
            assert isinstance(mine, GraphQLObjectType)
            assert {each.name for each in mine.interfaces} >= {
                each.name for each in theirs.interfaces
            }, name
    assert not missing


def _default(argument: GraphQLArgument) -> str | None:
    literal = argument.default.literal if argument.default else None
    return print_ast(literal) if literal else None


def test_the_printed_schema_is_current() -> None:
    printed = schema.build().as_str() + "\n"
    assert printed == schema.SDL.read_text(), "run python -m aggregator.graph.schema"


def test_everything_is_described(ours: GraphQLSchema) -> None:
    silent = []
    for name, type_ in ours.type_map.items():
        if name.startswith("__") or name in {"String", "Int", "Float", "Boolean", "ID"}:
            continue
        if not type_.description:
            silent.append(name)
        for field_name, field in getattr(type_, "fields", {}).items():
            if not field.description:
                silent.append(f"{name}.{field_name}")
            silent += [
                f"{name}.{field_name}({argument_name}:)"
                for argument_name, argument in getattr(field, "args", {}).items()
                if not argument.description
            ]
    assert not silent
