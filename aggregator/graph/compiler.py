"""From a validated operation to one SQL statement whose only value is the JSON of `data`.

Objects are texts made of a row (rendering.py), a list is `string_agg` over such. What a row of a page
refers to is joined to it, once the page is cut, so only its rows are looked up; elsewhere it is a
sub-select. The fields say how they are read (mapping.py); here is only what holds them together.
No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from graphql import GraphQLSchema, SelectionSetNode

from aggregator.graph import introspection, rendering
from aggregator.graph.arguments import Given, Tree, constant
from aggregator.graph.errors import BAD_INPUT, LIMIT_EXCEEDED, TOO_BROAD, GraphError
from aggregator.graph.limits import (
    MAX_COST,
    MAX_PAGE,
    MAX_ROOT_FIELDS,
    PLANNED_SIZES,
    SMALL_SCOPE_FINDINGS,
)
from aggregator.graph.selection import TYPENAME, Selected, Selection
from aggregator.graph.statement import Bindings, Read, Row, Statement, where
from aggregator.graph.tables import severity_counts

Within = Callable[[Row], list[str]]

INTROSPECTION = frozenset({"__schema", "__type"})
REFUSED = b"!"  # begins what a statement answers when a guard refuses; JSON never does


@dataclass(slots=True)
class Rows:
    """Rows asked for at one place of the tree, and what is asked for below each."""

    read: Read
    below: list[Rows] = field(default_factory=list)

    def cost(self, bindings: Bindings) -> int:
        """Return how many rows this place asks for."""
        first = cast("int", self.read(bindings))
        return first * (1 + sum(rows.cost(bindings) for rows in self.below))


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement and what it takes to run it."""

    sql: str | None  # None where all is about the schema
    reads: tuple[Read, ...]
    rows: tuple[Rows, ...]
    refusals: tuple[GraphError, ...]
    splices: bool  # the answer holds contents that are to be put in
    introspection: tuple[Selected, ...] = ()  # root fields that are about the schema

    def cost(self, bindings: Bindings) -> int:
        """Return how many rows are asked for along the tree."""
        return sum(rows.cost(bindings) for rows in self.rows)

    def values(self, bindings: Bindings) -> list[Any]:
        """Return the statement's parameters, having checked them."""
        cost = self.cost(bindings)
        if cost > MAX_COST:
            raise GraphError(
                LIMIT_EXCEEDED,
                f"The operation asks for up to {cost:,} rows, the limit is {MAX_COST:,}:"
                " ask for fewer with `first`.",
            )
        return [read(bindings) for read in self.reads]


class Compilation:
    """One operation being compiled."""

    def __init__(self, schema: GraphQLSchema, selection: Selection, statement: Statement) -> None:
        self.schema = schema
        self.selection = selection
        self.statement = statement
        self.splices = False
        self._roots: list[Rows] = []
        self._open: list[list[Rows]] = [self._roots]
        self._guards: list[tuple[str, GraphError]] = []

    def plan(self, type_name: str, sets: list[SelectionSetNode]) -> Plan:
        """Return the plan for a root type's selection."""
        fields = self.selection.fields(type_name, sets)
        if len(fields) > MAX_ROOT_FIELDS:
            raise GraphError(
                LIMIT_EXCEEDED, f"An operation has at most {MAX_ROOT_FIELDS} root fields."
            )
        about = tuple(field for field in fields if field.name in INTROSPECTION)
        rest = [field for field in fields if field.name not in INTROSPECTION]
        introspection.check(self.selection, about)
        if about and not rest:
            return Plan(None, (), (), (), splices=False, introspection=about)
        return replace(self.finish(self._made(rest, Row())), introspection=about)

    def finish(self, statement: str) -> Plan:
        """Return the plan for an expression of JSON's text, behind its guards."""
        for number, (condition, _) in reversed(list(enumerate(self._guards))):
            statement = f"CASE WHEN {condition} THEN '!{number}' ELSE {statement} END"
        sql, reads = self.statement.numbered(f"SELECT convert_to({statement}, 'UTF8')")
        return Plan(
            sql=sql,
            reads=reads,
            rows=tuple(self._roots),
            refusals=tuple(error for _, error in self._guards),
            splices=self.splices,
        )

    # ------------------------------------------------------------ objects and lists

    def object(self, field: Selected, row: Row) -> str:
        """Return the expression for one object of the field's type, made of a row."""
        return self._made(self.below(field), row)

    def object_from(self, field: Selected, row: Row, tail: str) -> str:
        """Return a query for one object of the field's type; `tail` is its FROM and WHERE."""
        return f"SELECT {self.object(field, row)}{tail}"

    def object_of(self, type_name: str, field: Selected, row: Row, tail: str) -> str:
        """Return a query for one object of a type that the field may have."""
        fields = self.selection.fields(type_name, field.sets, field.path)
        return f"SELECT {self._made(fields, row)}{tail}"

    def rows_of(self, field: Selected, row: Row, tail: Callable[[], str]) -> str:
        """Return a query for a list of objects of the field's type.

        The FROM clause is made last, when it is known what the objects refer to.
        """
        objects = f"SELECT {self.object(field, row)} AS o{tail()}"
        return rendering.listed(objects, self.statement.alias("j"))

    def below(self, field: Selected) -> list[Selected]:
        """Return the fields selected on the field's type."""
        return self.selection.fields(field.type_name, field.sets, field.path)

    def arguments(self, field: Selected) -> dict[str, Tree]:
        """Return the field's arguments."""
        return self.selection.arguments(field)

    def _made(self, fields: list[Selected], row: Row) -> str:
        return rendering.made((field.key, self._written(field, row)) for field in fields)

    def _written(self, field: Selected, row: Row) -> list[str]:
        if field.name == TYPENAME:
            return rendering.text(field.parent)
        if field.definition is None:
            raise TypeError(f"{field.parent}.{field.name} is not compiled.")
        return rendering.written(field.definition.type, self.expression(field, row))

    def expression(self, field: Selected, row: Row) -> str:
        """Return the SQL for one field of the row's object."""
        if field.definition is None:
            raise TypeError(f"{field.parent}.{field.name} is not compiled.")
        mapping = field.definition.extensions["strawberry-definition"].metadata["sql"]
        try:
            return cast("str", mapping.compile(self, row, field))
        except GraphError as error:
            if error.path is None:
                error.path = field.path
            raise

    # ------------------------------------------------------------ rows asked for

    @contextmanager
    def rows(self, field: Selected, *, default: int, estimate: int | None = None) -> Iterator[str]:
        """Count what is compiled inside as asked for a row, `first` times; yield the limit."""
        leaf = self.arguments(field).get("first")
        leaf = leaf if isinstance(leaf, Given) and leaf.value is not None else constant(default)
        read = first(leaf, field)
        rows = Rows(read if estimate is None else constant(estimate).read)
        self._open[-1].append(rows)
        self._open.append(rows.below)
        try:
            if leaf.fixed or leaf.value in PLANNED_SIZES:
                yield str(int(leaf.value))
            else:
                yield self.statement.bind(read, "int", key=("first", id(rows)), steers=True)
        finally:
            self._open.pop()

    def refuse_where(self, condition: str, error: GraphError) -> None:
        """Answer an error in place of data where a condition holds; the same statement looks."""
        self.statement.plans_anew = True
        self._guards.append((condition, error))

    def refuse_unless_small(
        self,
        message: str,
        path: tuple[str, ...],
        *,
        within: Within | None = None,
        namespaces: bool = False,
        unless: Sequence[str] = (),
    ) -> None:
        """Answer TOO_BROAD in place of data where the scope holds too many findings.

        The same statement looks, so that the answer is never about an older state; `within`
        narrows what is summed up by what the filter says of it, `namespaces` whether of these.
        `unless` are conditions, each of which is enough for an answer.
        """
        table = severity_counts(self.statement, namespaces=namespaces)
        row = table.row(self.statement)
        conditions = table.scope(self.statement, row)
        if within is not None:
            conditions += within(row)
        large = (
            f"(SELECT sum({row['sc'].findings}) FROM {row.fill(table.source)}"
            f"{where(conditions)}) > {SMALL_SCOPE_FINDINGS}"
        )
        self.refuse_where(
            " AND ".join([large, *(f"NOT {each}" for each in unless)]),
            GraphError(TOO_BROAD, message, path=path),
        )


def first(leaf: Given, field: Selected) -> Read:
    """Return how to read a page's size."""

    def read(bindings: Bindings) -> int:
        size = leaf.read(bindings)
        if not isinstance(size, int) or not 0 <= size <= MAX_PAGE:
            raise GraphError(
                BAD_INPUT, f"`first` must be between 0 and {MAX_PAGE}, not {size}.", path=field.path
            )
        return size

    return read
