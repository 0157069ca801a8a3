"""What is allowed where graphql-core only says what is not."""

import re
from collections.abc import Iterable

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
)

NAMES_MAX = 60  # of one message

_ENUM = re.compile(r"does not exist in '(\w+)' enum")
_FIELD = re.compile(r"Cannot query field '\w+' on type '(\w+)'")
_INPUT = re.compile(r"of type '(\w+)' not to include unknown field")
_ARGUMENT = re.compile(r"Unknown argument '\w+' on field '(\w+)\.(\w+)'")


def advise(schema: GraphQLSchema, message: str) -> str:
    """Add to a validation message the names that would have done."""
    if found := _ENUM.search(message):
        kind = schema.get_type(found[1])
        if isinstance(kind, GraphQLEnumType):
            return f"{message} {found[1]} is one of {_names(kind.values)}."
    elif found := _FIELD.search(message) or _INPUT.search(message):
        kind = schema.get_type(found[1])
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            return f"{message} {found[1]} has {_names(kind.fields)}."
    elif found := _ARGUMENT.search(message):
        kind = schema.get_type(found[1])
        if isinstance(kind, GraphQLObjectType) and found[2] in kind.fields:
            arguments = _names(kind.fields[found[2]].args) or "no arguments"
            return f"{message} {found[2]} takes {arguments}."
    return message


def _names(names: Iterable[str]) -> str:
    chosen = list(names)
    return ", ".join(chosen[:NAMES_MAX]) + (", …" if len(chosen) > NAMES_MAX else "")
