"""What may be answered to an operation, whatever it is."""

import json
from typing import Any

from graphql import GraphQLResolveInfo, execute_sync, get_operation_ast, parse

from aggregator.graph.errors import (
    BAD_INPUT,
    CODES,
    INTERNAL,
    LIMIT_EXCEEDED,
    TIMEOUT,
    TOO_BROAD,
    UNAVAILABLE,
)
from tests.aggregator.graph.operations import SCHEMA, Question

OURS = {INTERNAL, TIMEOUT, UNAVAILABLE}  # the codes of failures that no operation may bring about
REFUSALS = {BAD_INPUT, LIMIT_EXCEEDED, TOO_BROAD}  # what a valid operation may be answered
LEAKS = ("asyncpg", "postgres", "traceback", "sqlstate", "syntax error at", "relation ", "select ")


def codes(answer: Any) -> set[str]:
    """Return the codes of a failure, which must be whole; none of an answer."""
    if "errors" not in answer:
        assert set(answer) == {"data"}, answer
        assert isinstance(answer["data"], dict), answer
        return set()
    assert set(answer) == {"errors", "data"}, answer
    assert answer["data"] is None, answer
    assert answer["errors"], answer
    for error in answer["errors"]:
        assert set(error) <= {"message", "path", "locations", "extensions"}, error
        assert isinstance(error["message"], str), error
        assert not any(leak in error["message"].lower() for leak in LEAKS), error
    found = {error["extensions"]["code"] for error in answer["errors"]}
    assert found <= {*CODES} - OURS, answer
    return found


def _given(source: Any, info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
    return source[info.path.key]


def _kind(value: Any, _info: Any, _type: Any) -> str:
    """Return the type of a node, which says it unless nothing of it is asked for: then any does."""
    return str(value.get("__typename", "Cluster"))


def conforms(question: Question, data: Any) -> None:
    """Check that an answer is what its types promise: names, order, nullability, enums, ranges."""
    document = parse(question.text)
    assert get_operation_ast(document) is not None
    result = execute_sync(
        SCHEMA,
        document,
        root_value=data,
        variable_values=question.variables,
        field_resolver=_given,
        type_resolver=_kind,
    )
    assert result.errors is None, (result.errors, question, data)
    assert json.dumps(_unordered(result.data, data)) == json.dumps(data), (question, data)


def _unordered(expected: Any, data: Any) -> Any:
    """Return what is expected with the root fields in the order of the answer: the schema's first."""
    if expected is None or set(expected) != set(data):
        return expected
    return {name: expected[name] for name in data}
