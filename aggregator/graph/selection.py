"""What an operation selects: fields merged by response name, fragments spread, directives applied."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from aggregator.graph.arguments import (
    ABSENT,
    Tree,
    check_values,
    default_of,
    evaluate,
    plain,
)
from aggregator.graph.errors import BAD_INPUT, LIMIT_EXCEEDED, GraphError
from aggregator.graph.limits import MAX_ALIASES, MAX_DEPTH, MAX_FIELDS

TYPENAME = "__typename"


@dataclass(slots=True)
class Selected:
    """One field of the answer. `definition` is None for __typename alone."""

    key: str
    name: str
    nodes: list[FieldNode]
    definition: GraphQLField | None
    path: tuple[str, ...]
    parent: str  # the name of the type it is a field of

    @property
    def type_name(self) -> str:
        """The name of the type of the field's value."""
        if self.definition is None:
            return "String"
        return str(get_named_type(self.definition.type).name)

    @property
    def is_list(self) -> bool:
        """Whether the field's value is a list."""
        type_ = self.definition.type if self.definition else None
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        return isinstance(type_, GraphQLList)

    @property
    def sets(self) -> list[SelectionSetNode]:
        """What is selected below the field."""
        return [node.selection_set for node in self.nodes if node.selection_set]


class Selection:
    """Reads selections of one validated operation and counts what they hold."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._fields = 0
        self._aliases = 0

    def fields(
        self, type_name: str, sets: Iterable[SelectionSetNode], path: tuple[str, ...] = ()
    ) -> list[Selected]:
        """Return the fields selected on an object type, in the order of the answer."""
        if len(path) >= MAX_DEPTH:
            raise GraphError(
                LIMIT_EXCEEDED, f"Fields nest at most {MAX_DEPTH} levels deep.", path=path
            )
        type_ = self._schema.type_map[type_name]
        if not isinstance(type_, GraphQLObjectType):
            raise TypeError(f"{type_name} is not an object type.")
        found: dict[str, Selected] = {}
        spread: set[str] = set()
        for selection_set in sets:
            for node in self._spread(type_, selection_set, path, spread):
                name = node.name.value
                key = node.alias.value if node.alias else name
                if key in found:
                    found[key].nodes.append(node)
                    continue
                definition = None if name == TYPENAME else type_.fields.get(name)
                found[key] = Selected(key, name, [node], definition, (*path, key), type_name)
        return list(found.values())

    def arguments(self, field: Selected) -> dict[str, Tree]:
        """Return the arguments that are given or have defaults."""
        if field.definition is None:
            return {}
        given = {argument.name.value: argument.value for argument in field.nodes[0].arguments or ()}
        arguments: dict[str, Tree] = {}
        for name, definition in field.definition.args.items():
            value: Tree = ABSENT
            if name in given:
                value = evaluate(given[name], definition.type, self._variables)
            if value is ABSENT:
                value = default_of(definition)
            if value is not ABSENT:
                check_values(plain(value), name)
                arguments[name] = value
        return arguments

    def _spread(
        self,
        type_: GraphQLObjectType,
        selection_set: SelectionSetNode,
        path: tuple[str, ...],
        spread: set[str],  # the fragments that were spread here before: once is enough
    ) -> Iterator[FieldNode]:
        for node in selection_set.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                self._count(node, path)
                yield node
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                if condition is None or self._applies(type_, condition.name.value):
                    yield from self._spread(type_, node.selection_set, path, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                # Or a few fragments that each spread the next one twice would never end.
                spread.add(node.name.value)
                fragment = self._fragments[node.name.value]
                if self._applies(type_, fragment.type_condition.name.value):
                    yield from self._spread(type_, fragment.selection_set, path, spread)

    def _count(self, node: FieldNode, path: tuple[str, ...]) -> None:
        self._fields += 1
        self._aliases += node.alias is not None
        if self._fields > MAX_FIELDS:
            raise GraphError(
                LIMIT_EXCEEDED, f"At most {MAX_FIELDS} fields may be selected.", path=path
            )
        if self._aliases > MAX_ALIASES:
            raise GraphError(
                LIMIT_EXCEEDED, f"At most {MAX_ALIASES} aliases may be used.", path=path
            )

    @staticmethod
    def _applies(type_: GraphQLObjectType, condition: str) -> bool:
        return type_.name == condition or any(
            interface.name == condition for interface in type_.interfaces
        )

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in {"skip", "include"}:
                continue
            value = self._boolean(directive.arguments[0].value)
            if value == (name == "skip"):
                return False
        return True

    def _boolean(self, node: Any) -> bool:
        if isinstance(node, VariableNode):
            value = self._variables.get(node.name.value)
            if value is None:
                raise GraphError(BAD_INPUT, f"${node.name.value} is null where Boolean! is needed.")
            return bool(value)
        return isinstance(node, BooleanValueNode) and node.value
