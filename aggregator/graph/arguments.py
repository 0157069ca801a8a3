"""Arguments of a field as a plan sees them: a tree whose leaves say how to read their value.

A plan is made once and run with other values, so what it may depend on is fixed here: which
inputs are present, how many objects a list holds, booleans, enums and empty strings (`shape`). Other
strings, numbers and times are read anew for each request (`Given.read`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
)
from graphql.utilities import coerce_input_literal
from graphql.utilities.coerce_input_value import coerce_default_value

from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.limits import (
    MAX_FILTER_NODES,
    MAX_LIST_VALUES,
    MAX_TEXT,
    PLANNED_SIZES,
)
from aggregator.graph.statement import Read


@dataclass(frozen=True, slots=True)
class Given:
    """A leaf: a scalar, an enum or a list of them. `value` is that of the planning request."""

    value: Any
    read: Read
    fixed: bool = False  # whether it stands in the text, or is a default: the same in every request


Tree = Any  # Given | list[Tree] | dict[str, Tree] | None
ABSENT: Final = object()


def constant(value: Any) -> Given:
    """Return a leaf that is the same in every request."""
    return Given(value, lambda _: value, fixed=True)


def _is_object(type_: GraphQLInputType) -> bool:
    return isinstance(get_named_type(type_), GraphQLInputObjectType)


def evaluate(node: ValueNode, type_: GraphQLInputType, variables: Mapping[str, Any]) -> Tree:
    """Return the tree for a value in the document; ABSENT for a variable that is not given."""
    needed, type_ = type_, type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(node, VariableNode):
        name = node.name.value
        if name not in variables:
            return ABSENT
        if variables[name] is None and needed is not type_:
            # A variable that may be null stands where null may not, because it has a default.
            raise GraphError(BAD_INPUT, f"${name} is null where {needed} is needed.")
        return _wrap(variables[name], type_, lambda bindings: bindings.variables[name])
    if isinstance(node, NullValueNode):
        return None
    if isinstance(type_, GraphQLList):
        return _list(node, type_, variables)
    if isinstance(type_, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return _fields(node, type_, variables)
    value = coerce_input_literal(node, type_)
    if value is Undefined:  # validation has refused it before
        raise GraphError(BAD_INPUT, f"A value is not a valid {type_}.")
    return constant(value)


def _list(node: ValueNode, type_: GraphQLList[Any], variables: Mapping[str, Any]) -> Tree:
    nodes = node.values if isinstance(node, ListValueNode) else (node,)
    items = [evaluate(item, type_.of_type, variables) for item in nodes]
    items = [None if item is ABSENT else item for item in items]
    if _is_object(type_):
        return items
    leaves = [constant(None) if item is None else item for item in items]
    return Given(
        [leaf.value for leaf in leaves],
        lambda bindings: [leaf.read(bindings) for leaf in leaves],
    )


def _fields(
    node: ObjectValueNode, type_: GraphQLInputObjectType, variables: Mapping[str, Any]
) -> Tree:
    given = {field.name.value: field.value for field in node.fields}
    tree: dict[str, Tree] = {}
    for name, field in type_.fields.items():
        value: Tree = ABSENT
        if name in given:
            value = evaluate(given[name], field.type, variables)
        if value is ABSENT:
            value = default_of(field)
        if value is not ABSENT:
            tree[name] = value
    return tree


def default_of(definition: Any) -> Tree:
    """Return the default of an argument or input field, or ABSENT."""
    default = coerce_default_value(definition)
    return ABSENT if default is Undefined or default is None else constant(default)


def _wrap(value: Any, type_: GraphQLInputType, read: Read) -> Tree:
    if value is None:
        return None
    if isinstance(type_, GraphQLNonNull):
        return _wrap(value, type_.of_type, read)
    if isinstance(type_, GraphQLList) and _is_object(type_):
        return [_wrap(item, type_.of_type, _item(read, index)) for index, item in enumerate(value)]
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: _wrap(item, type_.fields[name].type, _item(read, name))
            for name, item in value.items()
        }
    return Given(value, read)


def _item(read: Read, key: str | int) -> Read:
    return lambda bindings: read(bindings)[key]


def plain(tree: Tree) -> Any:
    """Return the values of a tree as the planning request gives them."""
    if isinstance(tree, Given):
        return tree.value
    if isinstance(tree, dict):
        return {name: plain(item) for name, item in tree.items()}
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    return tree


def shape(value: Any) -> Any:
    """Return what a plan may depend on in a variable's value, hashable."""
    if isinstance(value, dict):
        return tuple((name, shape(item)) for name, item in value.items())
    if isinstance(value, list):
        each = value and isinstance(value[0], dict | Enum | list)
        if each:
            return tuple(shape(item) for item in value)
        return "['']" if "" in value else "[]"
    if isinstance(value, Enum):
        return value.name
    told = value is None or isinstance(value, bool) or value == "" or value in PLANNED_SIZES
    return value if told else "*"


def check_values(value: Any, name: str) -> None:
    """Refuse what exceeds the limits on values, or what Postgres cannot hold."""
    try:
        _check(value, name, [0])
    except RecursionError:
        raise GraphError(BAD_INPUT, f"{name}: values nest too deep.") from None


def _check(value: Any, name: str, nodes: list[int]) -> None:
    nodes[0] += 1
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise GraphError(BAD_INPUT, f"{name}: at most {MAX_TEXT} characters are allowed.")
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise GraphError(BAD_INPUT, f"{name}: NUL and lone surrogates are not allowed.")
    elif isinstance(value, dict):
        if nodes[0] > MAX_FILTER_NODES:
            raise GraphError(
                BAD_INPUT, f"{name}: at most {MAX_FILTER_NODES} values in objects are allowed."
            )
        for key, item in value.items():
            _check(item, f"{name}.{key}", nodes)
    elif isinstance(value, list):
        if len(value) > MAX_LIST_VALUES:
            raise GraphError(BAD_INPUT, f"{name}: at most {MAX_LIST_VALUES} values are allowed.")
        for item in value:
            # A list of plain values is one parameter, whatever its length.
            _check(item, name, nodes if isinstance(item, dict) else [0])
    elif isinstance(value, int) and abs(value) > 2**63 - 1:
        raise GraphError(BAD_INPUT, f"{name}: the number is too large.")
