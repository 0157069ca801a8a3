"""JSON as the statement writes it: texts put together by `concat`, faster than `row_to_json`.

The type that the schema gives a field says how its value is written: numbers as they are, enums and
ids in quotes, as they hold nothing to escape, all else by `to_json`. Response names are GraphQL's,
so letters, digits and underscores, and stand in the SQL.
"""

from collections.abc import Iterable, Sequence

from graphql import (
    GraphQLEnumType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLScalarType,
)

ARGUMENTS = 100  # that Postgres takes of one function
NOTHING = "NULL"  # the expression of a field that has no value here
NUMBERS = frozenset({"Int", "Long"})

Pair = tuple[
    str, Sequence[str]
]  # a response name, and the arguments of `concat` that make its value


def written(type_: GraphQLOutputType, expression: str) -> list[str]:
    """Return the arguments of `concat` that make a value's JSON; objects and lists are JSON already."""
    if expression == NOTHING:
        return ["'null'"]
    never_null = isinstance(type_, GraphQLNonNull)
    named = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(named, GraphQLScalarType):
        return _scalar(named.name, expression, never_null=never_null)
    if isinstance(named, GraphQLEnumType):
        return _quoted(expression, never_null=never_null)
    if _holds_scalars(named):
        return [_null_where_null(f"to_json({expression})", never_null=never_null)]
    return [_null_where_null(expression, never_null=never_null)]


def text(type_name: str) -> list[str]:
    """Return what makes the JSON of a type's name."""
    return [f"'\"{type_name}\"'"]


def made(pairs: Iterable[Pair]) -> str:
    """Return the expression for an object's JSON."""
    parts: list[str] = []
    for name, value in pairs:
        parts += [f"'{',' if parts else '{'}\"{name}\":'", *value]
    return _concat([*parts, "'}'"] if parts else ["'{}'"])


def listed(objects: str, alias: str) -> str:
    """Return the query for a list's JSON; `objects` is a query whose rows have the column `o`."""
    return f"SELECT concat('[', string_agg({alias}.o, ','), ']') FROM ({objects}) {alias}"


def _scalar(name: str, expression: str, *, never_null: bool) -> list[str]:
    if name in NUMBERS:
        return [expression if never_null else f"coalesce(({expression})::text, 'null')"]
    if name == "ID":
        return _quoted(expression, never_null=never_null)
    if name == "Boolean" and never_null:
        return [f"CASE WHEN {expression} THEN 'true' ELSE 'false' END"]
    return [_null_where_null(f"to_json({expression})", never_null=never_null)]


def _quoted(expression: str, *, never_null: bool) -> list[str]:
    if never_null:
        return ["'\"'", expression, "'\"'"]
    return [f"coalesce('\"' || ({expression}) || '\"', 'null')"]


def _holds_scalars(type_: object) -> bool:
    while (inner := getattr(type_, "of_type", None)) is not None:
        type_ = inner
    return isinstance(type_, GraphQLScalarType | GraphQLEnumType)


def _null_where_null(expression: str, *, never_null: bool) -> str:
    return expression if never_null else f"coalesce({expression}, 'null')"


def _concat(parts: Sequence[str]) -> str:
    """Return the text of parts, literals that stand together put into one."""
    joined: list[str] = []
    for part in parts:
        if _literal(part) and joined and _literal(joined[-1]):
            joined[-1] = joined[-1][:-1] + part[1:]
        else:
            joined.append(part)
    while len(joined) > ARGUMENTS:
        groups = [joined[n : n + ARGUMENTS] for n in range(0, len(joined), ARGUMENTS)]
        joined = [f"concat({', '.join(group)})" for group in groups]
    return f"concat({', '.join(joined)})"


def _literal(part: str) -> bool:
    """Whether a part is a literal of this module: names and punctuation, no quote within."""
    return len(part) > 1 and part[0] == part[-1] == "'" and "'" not in part[1:-1]
