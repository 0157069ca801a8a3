"""Introspection: questions about the schema, answered by graphql-core without the database."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute_sync,
)
from graphql.language import FragmentDefinitionNode

from aggregator.graph.documents import told
from aggregator.graph.errors import LIMIT_EXCEEDED, VALIDATION_FAILED, GraphError, InvalidError
from aggregator.graph.limits import MAX_INTROSPECTION
from aggregator.graph.selection import Selected, Selection

# How many there are of what is listed, about: what lists within lists come to is estimated by these.
LISTED = {
    "types": 100,
    "fields": 10,
    "inputFields": 6,
    "args": 3,
    "enumValues": 6,
    "possibleTypes": 4,
    "interfaces": 1,
    "directives": 6,
    "locations": 4,
}


def check(selection: Selection, fields: Sequence[Selected]) -> None:
    """Refuse what would take long to answer: no statement's time limit holds here."""
    cost = sum(_cost(selection, _root(field), field) for field in fields if field.sets)
    if cost > MAX_INTROSPECTION:
        raise GraphError(
            LIMIT_EXCEEDED,
            f"The operation asks for about {cost:,} fields of the schema, the limit is"
            f" {MAX_INTROSPECTION:,}: ask for fewer lists within lists.",
        )


def _root(field: Selected) -> str:
    return {"__schema": "__Schema", "__type": "__Type"}[field.name]


def _cost(selection: Selection, type_name: str, field: Selected) -> int:
    below = selection.fields(type_name, field.sets, field.path)
    each = sum(_cost(selection, one.type_name, one) if one.sets else 1 for one in below)
    return 1 + LISTED.get(field.name, 1) * each


def answer(
    schema: GraphQLSchema,
    fields: Sequence[Selected],
    fragments: Sequence[FragmentDefinitionNode],
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> bytes:
    """Return the JSON object for root fields that ask about the schema."""
    asked = OperationDefinitionNode(
        operation=OperationType.QUERY,
        variable_definitions=operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(
            selections=tuple(node for field in fields for node in field.nodes)
        ),
    )
    result = execute_sync(
        schema,
        DocumentNode(definitions=(asked, *fragments)),
        variable_values=dict(variables),
    )
    if result.errors:
        raise InvalidError([told(error, VALIDATION_FAILED) for error in result.errors])
    return msgspec.json.encode(result.data)
