"""Documents: query text parsed, validated and taken apart into operations, once per text."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    Source,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from msgspec import Struct

from aggregator.graph.advice import advise
from aggregator.graph.arguments import check_values
from aggregator.graph.errors import (
    BAD_INPUT,
    BAD_REQUEST,
    LIMIT_EXCEEDED,
    PARSE_FAILED,
    VALIDATION_FAILED,
    GraphError,
    InvalidError,
)
from aggregator.graph.limits import (
    DOCUMENT_CACHE,
    DOCUMENT_CACHE_BYTES,
    MAX_DOCUMENT_BYTES,
    MAX_ERRORS,
    MAX_NESTING,
    MAX_REPEATS,
    MAX_TOKENS,
)
from aggregator.graph.lru import Lru

_QUOTED = re.compile(r'"""(?:\\"""|[^"]|"(?!""))*"""|"(?:\\.|[^"\\\n\r])*"|#[^\n\r]*')
_BRACKETS = re.compile(r"[{}()\[\]]")


def _nesting(text: str) -> int:
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(_QUOTED.sub("", text)):
        depth += 1 if bracket[0] in "{([" else -1
        deepest = max(deepest, depth)
    return deepest


def _check_repeats(document: DocumentNode) -> None:
    names: Counter[str] = Counter()
    sets = [
        definition.selection_set
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while sets:
        for node in sets.pop().selections:
            if isinstance(node, FieldNode):
                names[(node.alias or node.name).value] += 1
            elif isinstance(node, FragmentSpreadNode):
                names["..." + node.name.value] += 1
            below = getattr(node, "selection_set", None)
            if below:
                sets.append(below)
    for name, repeats in names.most_common(1):
        if repeats > MAX_REPEATS:
            raise GraphError(
                LIMIT_EXCEEDED, f"{name} stands {repeats} times, the limit is {MAX_REPEATS}."
            )


class Document(Struct, frozen=True):
    """A valid document."""

    node: DocumentNode
    operations: dict[str | None, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation that is asked for."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name) if name is not None else None
        if found is None:
            names = ", ".join(sorted(str(each) for each in self.operations))
            raise GraphError(BAD_REQUEST, f"`operationName` must be one of: {names}.")
        return found


class Documents:
    """Reads documents against a schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._cache: Lru[str, Document] = Lru(DOCUMENT_CACHE, DOCUMENT_CACHE_BYTES)

    def read(self, text: str) -> Document:
        """Return the document for a query text."""
        document = self._cache.get(text)
        if document is None:
            document = self._parse(text)
            self._cache.put(text, document, len(text))
        return document

    def _parse(self, text: str) -> Document:
        if len(text.encode("utf-8", "replace")) > MAX_DOCUMENT_BYTES:
            raise GraphError(
                LIMIT_EXCEEDED, f"A query text has at most {MAX_DOCUMENT_BYTES:,} bytes."
            )
        if _nesting(text) > MAX_NESTING:
            raise GraphError(LIMIT_EXCEEDED, f"Brackets nest at most {MAX_NESTING} deep.")
        try:
            node = parse(Source(text), max_lexical_tokens=MAX_TOKENS, no_location=False)
            _check_repeats(node)
            errors = validate(self._schema, node, max_errors=MAX_ERRORS)
        except GraphQLSyntaxError as error:
            limit = "Parsing aborted" in error.message  # graphql-core's own: too long, too deep
            raise told(error, LIMIT_EXCEEDED if limit else PARSE_FAILED) from None
        if errors:
            raise InvalidError(
                [told(error, VALIDATION_FAILED, self._schema) for error in errors[:MAX_ERRORS]]
            )
        operations: dict[str | None, OperationDefinitionNode] = {}
        fragments = {}
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                operations[definition.name.value if definition.name else None] = definition
            elif isinstance(definition, FragmentDefinitionNode):
                fragments[definition.name.value] = definition
        return Document(node, operations, fragments)

    def variables(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues:
        """Return the coerced variables of an operation."""
        if not operation.variable_definitions:
            return VariableValues({}, {})
        check_values(dict(given), "variables")
        values = get_variable_values(
            self._schema, operation.variable_definitions, dict(given), max_errors=MAX_ERRORS
        )
        if isinstance(values, list):
            raise InvalidError(
                [told(error, BAD_INPUT, self._schema) for error in values[:MAX_ERRORS]]
            )
        return values


def told(error: GraphQLError, code: str, schema: GraphQLSchema | None = None) -> GraphError:
    """Return graphql-core's error as one of ours; with a schema it says what is allowed."""
    locations: Sequence[Any] = error.locations or ()
    return GraphError(
        code,
        error.message if schema is None else advise(schema, error.message),
        path=error.path,
        locations=[(location.line, location.column) for location in locations],
    )
