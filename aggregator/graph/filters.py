"""The inputs that filters are made of, and the SQL conditions that they stand for.

Inputs given beside each other must all hold. An input that is null or not given holds always.
"""

import re
from datetime import timedelta
from typing import Any

import strawberry

from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.scalars import (
    ClusterState,
    DateTime,
    Direction,
    FindingCategory,
    FindingStatus,
    Severity,
)
from aggregator.graph.statement import Bindings, Read, literals

UNSET: Any = strawberry.UNSET


def given(description: str, name: str | None = None) -> Any:
    """Declare an optional field of an input."""
    return strawberry.field(description=description, name=name, default=UNSET)


@strawberry.input(description="Tests a text; case matters. All that is given must hold.")
class StringFilter:
    eq: str | None = given("Equal to this.")
    in_: list[str] | None = given("Equal to one of these; none of them for an empty list.", "in")
    not_: str | None = given("Not equal to this; what has no value is not equal.", "not")
    contains: str | None = given("Contains this.")
    starts_with: str | None = given("Starts with this.")


@strawberry.input(description="Tests a severity.")
class SeverityFilter:
    in_: list[Severity] | None = given("One of these.", "in")
    at_least: Severity | None = given("This bad or worse; UNKNOWN ranks below INFO.")


@strawberry.input(description="Tests the outcome of a check.")
class StatusFilter:
    in_: list[FindingStatus] | None = given("One of these.", "in")


@strawberry.input(description="Tests a category.")
class CategoryFilter:
    in_: list[FindingCategory] | None = given("One of these.", "in")


@strawberry.input(description="Tests a time.")
class TimeFilter:
    since: DateTime | None = given("At this time or later.")
    until: DateTime | None = given("Before this time.")
    last: str | None = given("Within this long until now: 30m, 24h, 7d, 4w.")


@strawberry.input(description="Tests one label.")
class LabelFilter:
    key: str = strawberry.field(description="The label's name.")
    in_: list[str] | None = given("The label's value is one of these.", "in")
    exists: bool | None = given("Whether the label is there, with any value.")


@strawberry.input(description="Tests a cluster.")
class ClusterFilter:
    name: StringFilter | None = given("By its name.")
    labels: list[LabelFilter] | None = given("By its labels; all must hold.")
    state: list[ClusterState] | None = given("By how fresh its data is.")


def order_direction(default: Direction) -> Any:
    """Declare the direction of an order."""
    return strawberry.field(description="Which way.", default=default)


# ---------------------------------------------------------------- SQL


def text(compilation: Compilation, expression: str, tree: Tree) -> list[str]:
    """Return the conditions of a StringFilter."""
    if not isinstance(tree, dict):
        return []
    bind = compilation.statement.bind
    conditions = []
    for name, leaf in tree.items():
        if not isinstance(leaf, Given):
            continue
        if name == "eq":
            conditions.append(f"{expression} = {bind(leaf.read, 'text')}")
        elif name == "in":
            conditions.append(f"{expression} = ANY({bind(leaf.read, 'text[]')})")
        elif name == "not":
            conditions.append(f"{expression} IS DISTINCT FROM {bind(leaf.read, 'text')}")
        else:
            pattern = _pattern(leaf.read, anywhere=name == "contains")
            conditions.append(f"{expression} LIKE {bind(pattern, 'text')}")
    return conditions


def _pattern(read: Read, *, anywhere: bool) -> Read:
    def pattern(bindings: Bindings) -> str:
        escaped = re.sub(r"([\\%_])", r"\\\1", read(bindings))
        return f"%{escaped}%" if anywhere else f"{escaped}%"

    return pattern


def pins(tree: Tree) -> bool:
    """Tell whether a StringFilter names its values."""
    return isinstance(tree, dict) and any(tree.get(name) is not None for name in ("eq", "in"))


def narrows(tree: Tree) -> bool:
    """Tell whether a StringFilter says what a value is, or what is in it."""
    names = ("eq", "in", "contains", "startsWith")
    return isinstance(tree, dict) and any(tree.get(name) is not None for name in names)


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36_525)


def span(value: str) -> timedelta:
    """Return the length of time that "24h" stands for."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", value)
    if not match:
        raise GraphError(
            BAD_INPUT, f"`last` must be a number and s, m, h, d or w, such as 24h, not {value!r}."
        )
    try:
        length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        return _LONGEST
    return min(length, _LONGEST)


def time(compilation: Compilation, expression: str, tree: Tree) -> list[str]:
    """Return the conditions of a TimeFilter."""
    since, until = time_bounds(compilation, tree)
    return [
        *(f"{expression} >= {bound}" for bound in since),
        *(f"{expression} < {bound}" for bound in until),
    ]


def time_bounds(compilation: Compilation, tree: Tree) -> tuple[list[str], list[str]]:
    """Return the bounds of a TimeFilter: not earlier than these, and earlier than these."""
    since: list[str] = []
    until: list[str] = []
    bind = compilation.statement.bind
    for name, leaf in (tree or {}).items():
        if not isinstance(leaf, Given):
            continue
        if name == "since":
            since.append(bind(leaf.read, "timestamptz", steers=True))
        elif name == "until":
            until.append(bind(leaf.read, "timestamptz", steers=True))
        else:
            since.append(f"now() - {bind(_span(leaf.read), 'interval', steers=True)}")
    return since, until


def _span(read: Read) -> Read:
    return lambda bindings: span(read(bindings))


def labels(compilation: Compilation, expression: str, trees: Tree) -> list[str]:
    """Return the conditions of LabelFilters on a jsonb column."""
    bind = compilation.statement.bind
    conditions = []
    for tree in trees or ():
        key = bind(tree["key"].read, "text")
        values, exists = tree.get("in"), tree.get("exists")
        if isinstance(values, Given):
            conditions.append(f"{expression} ->> {key} = ANY({bind(values.read, 'text[]')})")
        if isinstance(exists, Given) or not isinstance(values, Given):
            there = exists.value if isinstance(exists, Given) else True
            conditions.append(f"{'' if there else 'NOT '}{expression} ? {key}")
    return conditions


def chosen(tree: Tree) -> list[Any] | None:
    """Return the members that an enum filter or list asks for; None for all."""
    leaf = tree.get("in") if isinstance(tree, dict) else tree
    return list(dict.fromkeys(leaf.value)) if isinstance(leaf, Given) else None


SEVERITIES = list(Severity)  # worst first


def severities(tree: Tree) -> list[Severity] | None:
    """Return the severities that a SeverityFilter allows; None for all."""
    if not isinstance(tree, dict):
        return None
    allowed = chosen(tree)
    least = tree.get("atLeast")
    if isinstance(least, Given):
        worse = SEVERITIES[: SEVERITIES.index(least.value) + 1]
        allowed = [each for each in worse if allowed is None or each in allowed]
    return allowed


def among(expression: str, members: list[Any] | None, type_: str) -> list[str]:
    """Return the condition that an enum column is one of these."""
    if members is None:
        return []
    return [f"{expression} IN ({literals(members, type_)})"] if members else ["false"]
