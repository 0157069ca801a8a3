"""Connections: a page of rows, where it ends, how many there are.

    WITH page AS (the rows of the page, in order, with the columns that are asked for)
    SELECT edges, nodes, pageInfo over page, totalCount by a count of its own

Only what is selected is computed: one row more than the page for hasNextPage, the count for
totalCount. A page begins after a cursor by comparing the order terms, never by an offset.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import strawberry

from aggregator.graph import cursors, taken
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.mapping import Computed, Inline, mapped
from aggregator.graph.scalars import Direction, Long
from aggregator.graph.selection import Selected
from aggregator.graph.statement import CarriedRow, Cells, PageRow, Row, where
from aggregator.graph.tables import Table

DEFAULT_FIRST = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Term:
    """One expression of an order, never null; `type` is what its text is cast to."""

    sql: str | Callable[[Compilation, Row], str]  # a function where it depends on the scope
    type: str

    def fill(self, compilation: Compilation, row: Row) -> str:
        """Return the expression over a row."""
        return row.fill(self.sql) if isinstance(self.sql, str) else self.sql(compilation, row)


class Pager(Protocol):
    """How the rows of one connection are fetched."""

    @property
    def stems(self) -> tuple[str, ...]:
        """The letters of the tables that a row of the page has."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The order of the rows."""

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows, with the columns that `row` carries."""

    def total(self) -> str:
        """Return an expression for the number of all rows."""


class Terms(Cells):
    """The order terms of an inner row, handed out as columns `t.n0`, `t.n1` and so on."""

    def __init__(self, expressions: Sequence[str]) -> None:
        super().__init__("t")
        self._expressions = expressions

    def __getattr__(self, column: str) -> str:
        return self._expressions[int(column.removeprefix("n"))]


@dataclass(slots=True)
class OpenPage:
    """A page while the fields over it are compiled."""

    compilation: Compilation
    pager: Pager
    name: str  # of the query that holds its rows
    first: str
    after: bool
    key: Callable[[], str]  # the parameter that signs cursors
    carried: dict[tuple[str, str], str]
    ctes: list[str] = dataclasses.field(default_factory=list)  # queries that fields share
    one_more: bool = False

    def row(self, up: Row | None) -> PageRow:
        """Return a row of the page."""
        row = PageRow(self.compilation.statement.alias("x"), (*self.pager.stems, "t"))
        for cells in row.values():
            cells._carried = self.carried  # noqa: SLF001 - one page, several readers
        row.carried = self.carried
        row["page"] = self
        if up is not None:
            row["up"] = up
        return row

    def tail(self, row: PageRow) -> str:
        """Return the FROM clause for the rows of the page, and what they refer to."""
        return f" FROM {self.name} {row.alias}{''.join(row.joins)} LIMIT {self.first}"

    def cursor(self, row: Row) -> str:
        """Return the cursor of a row of the page."""
        terms = [getattr(row["t"], f"n{index}") for index in range(len(self.pager.terms))]
        return cursors.sql(self.key(), terms)


def connection(
    compilation: Compilation,
    field: Selected,
    row: Row,
    make: Callable[["cursors.After | None"], Pager],
    *,
    question: str,
    default: int = DEFAULT_FIRST,
    more: Sequence[Tree] = (),  # arguments that cursors are bound to, beside filter and order
) -> str:
    """Return a connection; `make` gets the cursor to begin after."""
    arguments = compilation.arguments(field)
    statement = compilation.statement
    trees = [arguments.get("filter"), arguments.get("orderBy"), *more]
    key = cursors.key_for(question, trees)
    given = arguments.get("after")
    after = cursors.After(given, key, field.path) if isinstance(given, Given) else None
    with compilation.rows(field, default=default) as first:
        pager = make(after)
        page = OpenPage(
            compilation=compilation,
            pager=pager,
            name=statement.alias("page"),
            first=first,
            after=after is not None,
            key=lambda: statement.bind(key, "bytea", key=("key", field.path)),
            carried={},
        )
        body = compilation.object(field, Row({"page": page, "up": row}))
        if not page.carried and f"FROM {page.name} " not in body:
            return body  # only totalCount, or __typename
        limit = f"{first} + 1" if page.one_more else first
        inner = pager.page(page.row(None), limit)
    return f"(WITH {', '.join([f'{page.name} AS ({inner})', *page.ctes])} SELECT {body})"


# ---------------------------------------------------------------- the fields of a connection


def _edges(compilation: Compilation, row: Row, field: Selected) -> str:
    page: OpenPage = row["page"]
    child = page.row(row["up"])
    return f"({compilation.rows_of(field, child, lambda: page.tail(child))})"


def _cursor(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    page: OpenPage = row["page"]
    return page.cursor(row)


def _has_next(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    page: OpenPage = row["page"]
    page.one_more = True
    return f"((SELECT count(*) FROM {page.name} ) > {page.first})"


def _has_previous(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    page: OpenPage = row["page"]
    return "true" if page.after else "false"


def _start(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    page: OpenPage = row["page"]
    child = page.row(None)
    return (
        f"(SELECT {page.cursor(child)} FROM {page.name} {child.alias} LIMIT least(1, {page.first}))"
    )


def _end(compilation: Compilation, row: Row, field: Selected) -> str:
    del field
    page: OpenPage = row["page"]
    child = page.row(None)
    rows = compilation.statement.alias("n")
    return (
        f"(SELECT {page.cursor(child)} FROM {page.name} {child.alias}"
        f" OFFSET greatest((SELECT least(count(*), {page.first}) FROM {page.name} {rows}) - 1, 0)"
        f" LIMIT least(1, {page.first}))"
    )


def _total(compilation: Compilation, row: Row, field: Selected) -> str:
    del compilation, field
    page: OpenPage = row["page"]
    return page.pager.total()


@strawberry.type(description="Where a page begins and ends, and whether there is more.")
class PageInfo:
    """Mapped over the open page."""

    has_next_page: bool = mapped(Computed(_has_next), "Whether rows follow this page.")
    has_previous_page: bool = mapped(
        Computed(_has_previous), "Whether the page was asked for with `after`."
    )
    start_cursor: str | None = mapped(Computed(_start), "The first row's cursor.")
    end_cursor: str | None = mapped(
        Computed(_end), "The last row's cursor: give it as `after` to get the next page."
    )


@strawberry.type(description="A row of a page and its cursor.")
class Edge(Generic[T]):
    """Mapped over one row of the open page."""

    cursor: str = mapped(Computed(_cursor), "Stands for this row; opaque and signed.")
    node: T = mapped(Inline(), "The row.")


@strawberry.type(description="A page of rows.")
class Connection(Generic[T]):
    """Mapped over the open page."""

    edges: list[Edge[T]] = mapped(Computed(_edges), "The rows with their cursors.")
    nodes: list[T] = mapped(Computed(_edges), "The rows.")
    page_info: PageInfo = mapped(Inline(), "Where the page begins and ends.")
    total_count: Long = mapped(
        Computed(_total), "How many rows there are on all pages; exact, counted when selected."
    )


# ---------------------------------------------------------------- nouns that are one table


Conditions = Callable[[Compilation, Row, dict[str, Tree]], list[str]]


@dataclass(frozen=True, slots=True)
class Listing:
    """How rows of a noun are filtered and ordered; every order ends in the key."""

    table: Table
    orders: Mapping[str, tuple[Term, ...]]
    default: tuple[str, Direction]
    conditions: Conditions
    costly: frozenset[str] = frozenset()  # orders that look at every row in scope
    taken: frozenset[str] = frozenset()  # of these, what counts of the whole fleet know
    counted: str = ""  # the condition that they know of a row


@dataclass(frozen=True, slots=True)
class Page:
    """A connection over a listing: all rows in scope, or those that `link` ties to a row."""

    listing: Listing
    link: Callable[[Compilation, Row], list[str]] | None = None

    def compile(self, compilation: Compilation, row: Row, field: Selected) -> str:
        """Return the connection."""
        order, direction = ordering(
            compilation.arguments(field).get("orderBy"), self.listing.default
        )
        if order in self.listing.costly and self.link is None:
            self._guard(compilation, field, order)

        def make(after: cursors.After | None) -> Pager:
            return _ListingPager(
                compilation,
                field=field,
                up=row,
                page=self,
                order=order,
                direction=direction,
                after=after,
            )

        question = f"{self.listing.table.source}|{order}|{direction.name}"
        return connection(compilation, field, row, make, question=question)

    def _guard(self, compilation: Compilation, field: Selected, order: str) -> None:
        other = f"order by {self.listing.default[0]}"
        if order in self.listing.taken and not compilation.statement.scoped:
            taken.refuse_until_taken(compilation, field.path, other)
            return
        compilation.refuse_unless_small(
            f"Ordering by {order} looks at everything in scope: narrow the filter, or {other}.",
            field.path,
        )


def ordering(given: Tree, default: tuple[str, Direction]) -> tuple[str, Direction]:
    """Return an order argument's field and direction."""
    if not isinstance(given, dict):
        return default
    direction = given.get("direction")
    return given["field"].value.name, direction.value if direction else default[1]


class _ListingPager:
    """Rows of one table under conditions, by an order."""

    def __init__(
        self,
        compilation: Compilation,
        *,
        field: Selected,
        up: Row,
        page: Page,
        order: str,
        direction: Direction,
        after: cursors.After | None,
    ) -> None:
        self._compilation = compilation
        self._field = field
        self._up = up
        self._page = page
        self._direction = direction
        self._after = after
        self.stems = page.listing.table.stems
        self.terms = page.listing.orders[order]
        self._taken = order in page.listing.taken and not compilation.statement.scoped

    def _conditions(self, row: Row) -> list[str]:
        statement = self._compilation.statement
        table = self._page.listing.table
        given = self._compilation.arguments(self._field).get("filter")
        conditions = []
        if self._page.link is not None:
            conditions += [*self._page.link(self._compilation, row), *table.scope(statement, row)]
        elif self._taken:  # what they do not know of is last, if it is there at all
            exact = " AND ".join(table.listed(statement, row))
            conditions.append(taken.either(statement, exact, row.fill(self._page.listing.counted)))
        else:
            conditions += table.listed(statement, row)
        if isinstance(given, dict):
            conditions += self._page.listing.conditions(self._compilation, row, given)
        return conditions

    def page(self, row: CarriedRow, limit: str) -> str:
        """Return the query for the rows of the page."""
        statement = self._compilation.statement
        table = self._page.listing.table
        inner = table.row(statement, self._up)
        terms = [term.fill(self._compilation, inner) for term in self.terms]
        conditions = self._conditions(inner)
        if self._after:
            conditions.append(
                beyond(self._compilation, terms, self.terms, self._after, self._direction)
            )
        columns = row.columns(Row({**inner, "t": Terms(terms)})) or ["1"]
        order = ", ".join(f"{term} {self._direction.name}" for term in terms)
        return (
            f"SELECT {', '.join(columns)} FROM {inner.fill(table.source)}{where(conditions)}"
            f" ORDER BY {order} LIMIT {limit}"
        )

    def total(self) -> str:
        """Return the count of all rows."""
        table = self._page.listing.table
        inner = table.row(self._compilation.statement, self._up)
        return f"(SELECT count(*) FROM {inner.fill(table.source)}{where(self._conditions(inner))})"


def beyond(
    compilation: Compilation,
    expressions: Sequence[str],
    terms: Sequence[Term],
    after: cursors.After,
    direction: Direction,
) -> str:
    """Return the condition for rows after a cursor."""
    bounds = [bound(compilation, term, after, index) for index, term in enumerate(terms)]
    sign = "<" if direction is Direction.DESC else ">"
    return f"({', '.join(expressions)}) {sign} ({', '.join(bounds)})"


def bound(compilation: Compilation, term: Term, after: cursors.After, index: int) -> str:
    """Return one order term of the row that a cursor stands for."""
    key = ("after", after.path, index)
    return f"{compilation.statement.bind(after.term(index), 'text', key=key)}::{term.type}"


FIRST: Any = ("first", int | None, "How many rows at most.", DEFAULT_FIRST)
AFTER: Any = ("after", str | None, "The cursor of the row to begin after.")
