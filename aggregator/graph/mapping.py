"""How a field of the schema is read from SQL: declared in the field's metadata, beside its type.

Each kind turns one selected field into one SQL expression over the row of its object. A field
without a mapping stops the start-up (schema.py), so no field can fall back to a query of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Protocol

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

from aggregator.graph.compiler import Compilation
from aggregator.graph.selection import Selected
from aggregator.graph.statement import PageRow, Row, Statement, where
from aggregator.graph.tables import Table


class Mapping(Protocol):
    """What a field's metadata holds."""

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the SQL expression for the field."""


@dataclass(frozen=True, slots=True)
class Column:
    """A scalar over the row's own tables."""

    sql: str

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the expression."""
        del compilation, field
        return row.fill(self.sql)


@dataclass(frozen=True, slots=True)
class Computed:
    """An expression that a function makes, for what depends on arguments or scope."""

    make: Callable[[Compilation, Row, Selected], str]

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the expression."""
        return self.make(compilation, row, field)


@dataclass(frozen=True, slots=True)
class Inline:
    """An object made of the same row; null where `when` does not hold."""

    when: str | None = None

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the object."""
        made = compilation.object(field, row)
        return f"CASE WHEN {row.fill(self.when)} THEN {made} END" if self.when else made


@dataclass(frozen=True, slots=True)
class One:
    """The object that a row refers to; it is in scope because the row is."""

    table: Table
    link: str  # `{up[x].y}` is a column of the referring row

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the object, null where there is none."""
        if isinstance(row, PageRow):
            return self._joined(compilation, row, field)
        child = self.table.row(compilation.statement, row)
        return (
            f"({compilation.object_from(field, child, self._tail(compilation.statement, child))})"
        )

    def _joined(self, compilation: Compilation, row: PageRow, field: Selected) -> str:
        """Join it to the row of a page. OFFSET keeps the rows' order: they are looked up in turn."""
        statement = compilation.statement
        child = row.joined(statement.alias("o"), self.table.stems)
        place = len(row.joins)  # before what this object refers to itself
        made = compilation.object(field, child)
        inner = self.table.row(statement, row)
        columns = ", ".join(["true AS found", *child.columns(inner)])
        tail = self._tail(statement, inner)
        join = f" LEFT JOIN LATERAL (SELECT {columns}{tail} OFFSET 0) {child.alias} ON true"
        row.joins.insert(place, join)
        return f"CASE WHEN {child.alias}.found THEN {made} END"

    def _tail(self, statement: Statement, child: Row) -> str:
        conditions = [child.fill(self.link), *self.table.scope(statement, child)]
        return f" FROM {child.fill(self.table.source)}{where(conditions)}"


@dataclass(frozen=True, slots=True)
class Many:
    """All objects that refer to a row, bounded by `limit` or by the argument `first`."""

    table: Table
    link: str
    order: str
    limit: int
    estimate: int | None = None  # what it costs; None where it is the limit

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the list."""
        child = self.table.row(compilation.statement, row)
        conditions = [child.fill(self.link), *self.table.scope(compilation.statement, child)]
        with compilation.rows(field, default=self.limit, estimate=self.estimate) as limit:
            tail = (
                f" FROM {child.fill(self.table.source)}{where(conditions)}"
                f" ORDER BY {child.fill(self.order)} LIMIT {limit}"
            )
            return f"({compilation.rows_of(field, child, lambda: tail)})"


@dataclass(frozen=True, slots=True)
class Later:
    """A mapping that another noun's module declares: nouns refer to each other in circles."""

    module: str  # within this package
    name: str

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return what the other mapping makes of the field."""
        return self.resolve().compile(compilation, row, field)

    def resolve(self) -> Mapping:
        """Return the other mapping."""
        found: Mapping = getattr(import_module(f"aggregator.graph.{self.module}"), self.name)
        return found


Argument = tuple[str, Any, str] | tuple[str, Any, str, Any]


def mapped(
    mapping: Mapping,
    description: str,
    *arguments: Argument,
    returns: object = None,  # None where the class says it
    name: str | None = None,  # None where it is the attribute's
) -> Any:
    """Declare a field: how it is read, what it means, which arguments it takes."""
    field = strawberry.field(
        description=description, metadata={"sql": mapping}, graphql_type=returns, name=name
    )
    field.arguments = declared(arguments)
    return field


def lazy(module: str, name: str) -> Any:
    """Return a type of another noun's module."""
    return Annotated[name, strawberry.lazy(f"aggregator.graph.{module}")]


def listed(module: str, name: str) -> Any:
    """Return a list of a type of another noun's module."""
    return list[lazy(module, name)]  # type: ignore[misc]  # it is a type at run time only


def column(sql: str, description: str) -> Any:
    """Declare a scalar field."""
    return mapped(Column(sql), description)


def declared(arguments: Sequence[Argument]) -> list[StrawberryArgument]:
    """Return arguments of (name, type, description[, default])."""
    return [
        StrawberryArgument(
            python_name=name,
            graphql_name=None,
            type_annotation=StrawberryAnnotation(type_),
            description=description,
            default=default[0] if default else strawberry.UNSET,
        )
        for name, type_, description, *default in arguments
    ]
