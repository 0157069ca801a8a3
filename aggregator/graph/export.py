"""All rows of a connection, as lines of JSON or as CSV, page by page in constant memory.

    Accept: application/x-ndjson   a row's JSON a line
    Accept: text/csv               a header and a line a row; `rule { key }` is the column rule.key

The operation asks for one connection, as `{ findings { nodes { … } } }` or below single objects. It
is asked again for each page after the last one's cursor, so each page is one statement. Without
`first` all rows come, with it as many. What fails before the first row is an error as of any other
answer; later, lines of JSON end with `{"errors": …}`, and CSV ends without its last chunk, which
HTTP clients report.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    FieldNode,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from msgspec import Struct

from aggregator.graph.compiler import Compilation, Plan
from aggregator.graph.errors import BAD_INPUT, BAD_REQUEST, GraphError
from aggregator.graph.limits import EXPORT_PAGES, MAX_COST, MAX_EXPORT_ROWS
from aggregator.graph.selection import Selected, Selection
from aggregator.graph.statement import Bindings

AFTER = "__after"  # the variable for the cursor; names of clients may not begin so
ROWS, PAGE_INFO = "rows", "pageInfo"

Compile = Callable[[Mapping[str, Any]], Compilation]
Run = Callable[[Plan, Bindings], Awaitable[bytes]]


class _PageInfo(Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None


class _Page(Struct, rename="camel"):
    rows: list[msgspec.Raw]
    page_info: _PageInfo


@dataclass(frozen=True, slots=True)
class Export:
    """Where the rows of an operation are: the fields down to the connection, and its list."""

    fields: tuple[Selected, ...]
    rows: Selected

    @property
    def connection(self) -> Selected:
        """The connection."""
        return self.fields[-1]

    def page(self, size: int, *, after: bool) -> SelectionSetNode:
        """Return what is asked for one page; `after` the cursor in the variable."""
        replaced = {"first", "after"} if after else {"first"}
        arguments = [
            each
            for each in self.connection.nodes[0].arguments or ()
            if each.name.value not in replaced
        ]
        arguments.append(_argument("first", IntValueNode(value=str(size))))
        if after:
            arguments.append(_argument("after", VariableNode(name=NameNode(value=AFTER))))
        rows = [each for node in self.rows.sets for each in node.selections]
        info = [_field(None, name) for name in ("hasNextPage", "endCursor")]
        below = [
            _field(ROWS, self.rows.name, below=rows),
            _field(PAGE_INFO, "pageInfo", below=info),
        ]
        made = _field(self.connection.key, self.connection.name, arguments, below)
        for field in reversed(self.fields[:-1]):
            made = _field(field.key, field.name, list(field.nodes[0].arguments or ()), [made])
        return SelectionSetNode(selections=(made,))

    def read(self, body: bytes) -> _Page:
        """Return a page of an answer's `data`."""
        for field in self.fields:
            inner = msgspec.json.decode(body, type=dict[str, msgspec.Raw] | None)
            if inner is None:  # no such object
                return _Page([], _PageInfo(has_next_page=False, end_cursor=None))
            body = bytes(inner[field.key])
        if body == b"null":
            return _Page([], _PageInfo(has_next_page=False, end_cursor=None))
        return msgspec.json.decode(body, type=_Page)


def find(selection: Selection, operation: OperationDefinitionNode) -> Export:
    """Find the one connection that an operation asks for."""
    type_name, sets, found = "Query", [operation.selection_set], list[Selected]()
    while not found or not found[-1].type_name.endswith("Connection"):
        fields = selection.fields(type_name, sets, tuple(each.key for each in found))
        if len(fields) != 1 or not fields[0].sets or fields[0].is_list:
            raise _unfit()
        found.append(fields[0])
        type_name, sets = fields[0].type_name, fields[0].sets
    inner = selection.fields(type_name, sets, tuple(each.key for each in found))
    rows = [each for each in inner if each.name in {"nodes", "edges"}]
    if len(rows) != 1:
        raise _unfit()
    return Export(tuple(found), rows[0])


async def pages(
    export: Export, compile_: Compile, run: Run, bindings: Bindings
) -> AsyncIterator[list[msgspec.Raw]]:
    """Yield the rows, a page at a time."""
    left = _limit(export, compile_(bindings.variables), bindings)
    plan = _plan(export, compile_, bindings, left, after=False)
    further = None
    while left > 0:
        page = export.read(await run(plan, bindings))
        yield page.rows[:left]
        left -= len(page.rows)
        if not page.page_info.has_next_page:
            return
        bindings = replace(
            bindings,
            variables={**bindings.variables, AFTER: page.page_info.end_cursor},
            memo={},
        )
        plan = further = further or _plan(export, compile_, bindings, left, after=True)


def _plan(export: Export, compile_: Compile, bindings: Bindings, most: int, *, after: bool) -> Plan:
    """Return the plan for the largest page that the limit on rows along the tree allows."""
    for size in EXPORT_PAGES:
        page = export.page(min(size, most), after=after)
        plan = compile_(bindings.variables).plan("Query", [page])
        if plan.cost(bindings) <= MAX_COST:
            break
    return plan


def _limit(export: Export, compilation: Compilation, bindings: Bindings) -> int:
    """Return how many rows are asked for."""
    named = {each.name.value for each in export.connection.nodes[0].arguments or ()}
    leaf = compilation.arguments(export.connection).get("first") if "first" in named else None
    if leaf is None:
        return MAX_EXPORT_ROWS
    asked = leaf.read(bindings)
    if not isinstance(asked, int) or not 0 <= asked <= MAX_EXPORT_ROWS:
        raise GraphError(
            BAD_INPUT,
            f"`first` of an export must be between 0 and {MAX_EXPORT_ROWS:,}, not {asked}.",
            path=export.connection.path,
        )
    return asked


def _unfit() -> GraphError:
    return GraphError(
        BAD_REQUEST,
        "Rows are exported of one connection: ask for nothing beside it, and for its `nodes` or"
        " `edges`, as in { findings { nodes { severity rule { key } } } }.",
    )


def _argument(name: str, value: IntValueNode | VariableNode) -> ArgumentNode:
    return ArgumentNode(name=NameNode(value=name), value=value)


def _field(
    key: str | None,
    name: str,
    arguments: list[ArgumentNode] | None = None,
    below: list[Any] | None = None,
) -> FieldNode:
    return FieldNode(
        alias=NameNode(value=key) if key else None,
        name=NameNode(value=name),
        arguments=tuple(arguments or ()),
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(below)) if below else None,
    )
