"""The subscription: one statement a round, that says what came since a position.

Rows carry the transaction that wrote them. A round looks at rows behind its position in the order
(tx, id), up to the oldest transaction that is still under way: what lies below it is complete, for
every reader on every replica alike. So nothing is missed when a transaction commits late, and a
position means the same everywhere. A round looks at `ROUND_EVENTS` rows at most, whether they pass
the filter or not, so it is short however far behind it is.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import strawberry
from graphql import OperationDefinitionNode
from msgspec import Struct

from aggregator.graph import cursors
from aggregator.graph.arguments import Given
from aggregator.graph.compiler import Compilation, Plan
from aggregator.graph.errors import BAD_INPUT, CURSOR_EXPIRED, GraphError
from aggregator.graph.event import RuntimeEvent
from aggregator.graph.event_filter import RuntimeEventFilter, conditions
from aggregator.graph.limits import ROUND_EVENTS
from aggregator.graph.mapping import Inline, mapped
from aggregator.graph.pages import Edge
from aggregator.graph.statement import Bindings, Cells, Read, Row, where
from aggregator.graph.tables import RUNTIME_EVENT

LAST_ID = 2**63 - 1

# Which database this is: a restored one goes on under another timeline.
LIFE = (
    "(SELECT system_identifier::text FROM pg_control_system()) || '/'"
    " || (SELECT timeline_id FROM pg_control_checkpoint())"
)
# Where a subscription begins: every transaction that may still commit is ahead of it.
BEGIN = f"""
SELECT convert_to(json_build_object(
    'life', {LIFE}, 'xmin', pg_snapshot_xmin(pg_current_snapshot())::text,
    'xmax', pg_snapshot_xmax(pg_current_snapshot())::text,
    'oldest', coalesce((SELECT extract(epoch FROM min(hour)) FROM runtime_event_fleet_hour), 0)
)::text, 'UTF8')
"""


class Position(Struct, frozen=True):
    """Up to where events were seen; the next one lies behind it."""

    life: str
    tx: int
    id: int = LAST_ID


class Beginning(Struct, frozen=True):
    """What BEGIN answers."""

    life: str
    xmin: str
    xmax: str
    oldest: float  # seconds since 1970

    @property
    def now(self) -> Position:
        """The position before all that is still to come."""
        return Position(self.life, int(self.xmin) - 1)


class Round(Struct, frozen=True):
    """What a round's statement answers."""

    xmin: str
    behind: bool  # a transaction under way holds rows back
    seen: int
    last: tuple[str, int] | None
    events: list[msgspec.Raw]  # each {"data": …}

    def advance(self, position: Position) -> Position:
        """Return the position after this round."""
        if self.seen >= ROUND_EVENTS and self.last is not None:
            return Position(position.life, int(self.last[0]), self.last[1])
        return Position(position.life, max(position.tx, int(self.xmin) - 1))


@strawberry.type(description="What is told as it happens, over `graphql-transport-ws`.")
class Subscription:
    runtime_events: Edge[RuntimeEvent] = mapped(
        Inline(),
        "Runtime events in the order in which they are stored; none is missed and none repeated, also"
        " across reconnects with `after`.",
        ("filter", RuntimeEventFilter | None, "Which events."),
        (
            "after",
            str | None,
            "The cursor of an earlier event; without it, what happens from now on.",
        ),
    )


class _Followed:
    """Stands for the open page: gives an event the cursor to come back with."""

    def __init__(self, key: str) -> None:
        self._key = key

    def cursor(self, row: Row) -> str:
        """Return the signed cursor of a row."""
        terms = [LIFE, row.fill("{e.tx}"), row.fill("{e.id}"), "extract(epoch FROM now())::bigint"]
        return cursors.sql(self._key, terms)


def plan(compilation: Compilation, operation: OperationDefinitionNode) -> tuple[Plan, Read]:
    """Return the plan for a round, and how to read the cursor of a request; `Position` is bound."""
    fields = compilation.selection.fields("Subscription", [operation.selection_set])
    if len(fields) != 1 or fields[0].definition is None:
        raise GraphError(BAD_INPUT, "A subscription has one root field: runtimeEvents.")
    [field] = fields
    arguments = compilation.arguments(field)
    tree = arguments.get("filter")
    statement = compilation.statement
    key = cursors.key_for("subscription", [tree], scoped=False)
    bound = statement.bind(key, "bytea", key="key")
    seen, event = statement.alias("e"), statement.alias("e")
    inner = Row({"e": Cells(seen)})
    tx = statement.bind(lambda bindings: str(bindings.memo["position"].tx), "text", key="tx")
    id_ = statement.bind(lambda bindings: bindings.memo["position"].id, "bigint", key="id")
    behind = [
        f"({seen}.tx, {seen}.id) > ({tx}::xid8, {id_})",
        f"{seen}.tx < pg_snapshot_xmin(pg_current_snapshot())",
        *RUNTIME_EVENT.scope(statement, inner),
    ]
    row = Row({"e": Cells(event), "page": _Followed(bound)})
    found = conditions(compilation, row, tree)
    answer = f"json_build_object('data', json_build_object('{field.key}', ({compilation.object(field, row)})))"
    query = (
        f"WITH seen AS MATERIALIZED (SELECT * FROM runtime_event {seen}{where(behind)}"
        f" ORDER BY {seen}.tx, {seen}.id LIMIT {ROUND_EVENTS})"
        " SELECT json_build_object("
        "'xmin', pg_snapshot_xmin(pg_current_snapshot())::text,"
        " 'behind', pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot()),"
        " 'seen', (SELECT count(*) FROM seen),"
        " 'last', (SELECT json_build_array(tx::text, id) FROM seen ORDER BY tx DESC, id DESC LIMIT 1),"
        " 'events', (SELECT coalesce(json_agg(found.o ORDER BY found.tx, found.id), '[]'::json)"
        f" FROM (SELECT {event}.tx, {event}.id, {answer} AS o FROM seen {event}{where(found)}) found))"
    )
    if compilation.splices:
        raise GraphError(
            BAD_INPUT, "A subscription cannot select `content`: ask for it by a query."
        )
    given = arguments.get("after")
    after = cursors.After(given, key, field.path) if isinstance(given, Given) else None
    return compilation.finish(query), (after.terms if after else lambda _: None)


def position(read: Read, bindings: Bindings, beginning: Beginning) -> Position:
    """Return where a subscription begins. Raises `GraphError` with CURSOR_EXPIRED or BAD_INPUT."""
    terms: list[str] | None = read(bindings)
    if terms is None:
        return beginning.now
    life, tx, id_, given_at = terms
    if life != beginning.life or int(tx) >= int(beginning.xmax):
        raise GraphError(
            CURSOR_EXPIRED,
            "`after` is of another life of the database, which was restored or replaced since: begin"
            " without it, and look for what happened meanwhile with runtimeEvents.",
        )
    if beginning.oldest and int(given_at) < beginning.oldest:
        raise GraphError(
            CURSOR_EXPIRED,
            "`after` is older than the events that are kept: begin without it.",
        )
    return Position(life, int(tx), int(id_))


def bind(variables: Mapping[str, Any], bindings: Bindings, at: Position) -> Bindings:
    """Return what a round brings to its plan."""
    return Bindings(variables, bindings.scope, bindings.cursor_key, {"position": at})
