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
from aggregator.graph.errors import VALIDATION_FAILED, InvalidError
from aggregator.graph.selection import Selected


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
