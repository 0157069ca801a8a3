"""The subscription: one statement a round, that says what came since a position.

Rows carry the transaction that wrote them. A round looks at rows behind its position in the order
(tx, id), up to the oldest transaction that is still under way: what lies below it is decided, for
every reader on every replica alike. So nothing is missed when a transaction commits late, and a
position means the same everywhere. A round looks at so many rows at most, whether they pass the
filter or not, so it is short however far behind it is. docs/decisions/0006-subscription-cursors.md
"""

from datetime import timedelta

import strawberry
from graphql import OperationDefinitionNode

from aggregator.graph import cursors, rendering
from aggregator.graph.arguments import Given
from aggregator.graph.compiler import Compilation, Plan
from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.event import RuntimeEvent
from aggregator.graph.event_filter import RuntimeEventFilter, conditions
from aggregator.graph.limits import ROUND_BYTES, ROUND_EVENTS
from aggregator.graph.mapping import Inline, mapped
from aggregator.graph.pages import Edge
from aggregator.graph.position import EARLY, LATE, LIFE, MARGIN, OLDEST, Position, microseconds
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Bindings, Cells, Read, Row, where
from aggregator.graph.tables import RUNTIME_EVENT

XMIN = "pg_snapshot_xmin(pg_current_snapshot())"
XMAX = "pg_snapshot_xmax(pg_current_snapshot())"
DAY = timedelta(days=1)


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

    def __init__(self, key: str, position: "_Bound") -> None:
        self._key = key
        self._position = position

    def cursor(self, row: Row) -> str:
        """Return the signed cursor of a row, which is a `Position` with the row that it is of."""
        bound = self._position
        event = row["e"]
        early = f"interval '{EARLY.total_seconds():.0f} seconds'"
        since = f"({bound.since})::pg_snapshot"
        terms = [
            bound.life,
            event.tx,
            event.id,
            microseconds(f"greatest({bound.arrived}, {event.at} - {early})"),
            # Once no transaction of the beginning can follow, the beginning is of no more interest.
            f"CASE WHEN {event.tx} < pg_snapshot_xmax({since}) THEN {bound.since} ELSE '' END",
            event.cluster_id,
            microseconds(event.at),
        ]
        return cursors.sql(self._key, terms)


class _Bound:
    """The parameters of a round."""

    def __init__(self, compilation: Compilation) -> None:
        bind = compilation.statement.bind
        self.life = bind(lambda b: _position(b).life, "text", key="life")
        self.tx = bind(lambda b: str(_position(b).tx), "text", key="tx")
        self.id = bind(lambda b: _position(b).id, "bigint", key="id")
        self.arrived = bind(lambda b: _position(b).arrived_at, "timestamptz", key="arrived")
        # Counted here, so that the planner has a constant and leaves out whole days.
        self.oldest = bind(
            lambda b: _position(b).arrived_at - LATE - MARGIN, "timestamptz", key="oldest"
        )
        self.since = bind(lambda b: _position(b).snapshot, "text", key="since")
        self.looks = bind(lambda b: b.memo["looks"], "int", key="looks")


def _position(bindings: Bindings) -> Position:
    position: Position = bindings.memo["position"]
    return position


def plan(compilation: Compilation, operation: OperationDefinitionNode) -> tuple[Plan, Read]:
    """Return the plan for a round, and how to read the terms of the cursor that is given, if any."""
    fields = compilation.selection.fields("Subscription", [operation.selection_set])
    if len(fields) != 1 or fields[0].definition is None:
        raise GraphError(BAD_INPUT, "A subscription has one root field: runtimeEvents.")
    [field] = fields
    arguments = compilation.arguments(field)
    key = cursors.key_for("subscription", [arguments.get("filter")], lasting=True)
    with compilation.rows(field, default=ROUND_EVENTS, estimate=ROUND_EVENTS):
        query = _round(compilation, field, key)
    if compilation.splices:
        raise GraphError(
            BAD_INPUT, "A subscription cannot select `content`: ask for it by a query."
        )
    given = arguments.get("after")
    after = cursors.After(given, key, field.path) if isinstance(given, Given) else None
    return compilation.finish(f"({query})::text"), (after.terms if after else lambda _: None)


def _round(compilation: Compilation, field: Selected, key: Read) -> str:
    """Return the query whose answer a `Round` is."""
    statement = compilation.statement
    bound = _Bound(compilation)
    looked, event = statement.alias("e"), statement.alias("e")
    row = Row({"e": Cells(event)})
    row["page"] = _Followed(statement.bind(key, "bytea", key="key"), bound)
    passing = [
        # What was committed when the subscription began is none of its events.
        f"NOT pg_visible_in_snapshot({event}.tx, ({bound.since})::pg_snapshot)",
        *RUNTIME_EVENT.scope(statement, row),
        *conditions(compilation, row, compilation.arguments(field).get("filter")),
    ]
    answer = rendering.made(
        [("data", [rendering.made([(field.key, [compilation.object(field, row)])])])]
    )
    return f"""
WITH seen AS MATERIALIZED (
    SELECT * FROM runtime_event {looked}
    WHERE ({looked}.tx, {looked}.id) > (({bound.tx})::xid8, {bound.id})
        AND {looked}.tx < {XMIN} AND {looked}.at >= {bound.oldest}
    ORDER BY {looked}.tx, {looked}.id LIMIT {bound.looks}),
picked AS MATERIALIZED (
    SELECT {event}.tx, {event}.id, {event}.at, ({answer})::json AS o FROM seen {event}{where(passing)}
    ORDER BY {event}.tx, {event}.id LIMIT {ROUND_EVENTS}),
told AS MATERIALIZED (
    SELECT * FROM (SELECT *, sum(octet_length(o::text)) OVER (ORDER BY tx, id ROWS UNBOUNDED PRECEDING)
        - octet_length(o::text) AS before FROM picked) sized WHERE before < {ROUND_BYTES})
SELECT json_build_object(
    'life', {LIFE}, 'xmin', {XMIN}::text, 'xmax', {XMAX}::text,
    'now', {microseconds("statement_timestamp()")},
    'oldest', CASE WHEN {bound.arrived} < statement_timestamp() - interval '{DAY.days} day'
        THEN {microseconds(OLDEST)} END,
    'held', EXISTS (SELECT FROM runtime_event h WHERE h.tx >= {XMIN} AND h.at >= {bound.oldest}),
    'looks', (SELECT count(*) FROM seen), 'seen', {_last("seen")},
    'picked', (SELECT count(*) FROM picked), 'told', {_last("told")},
    'events', (SELECT coalesce(json_agg(o ORDER BY tx, id), '[]'::json) FROM told))
"""


def _last(rows: str) -> str:
    latest = microseconds(f"(SELECT max(at) FROM {rows})")
    return (
        f"(SELECT json_build_object('tx', tx::text, 'id', id, 'latest', {latest})"
        f" FROM {rows} ORDER BY tx DESC, id DESC LIMIT 1)"
    )
