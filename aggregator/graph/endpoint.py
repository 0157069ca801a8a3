"""The GraphQL endpoint: a request in, the bytes of an answer out.

    app = Starlette(routes=[Route("/graphql", GraphQL(pool, cursor_key=key).handle, methods=[…])])

Authentication is not done here: `request.state.principal` says who asks. A query is one statement
whose value is the answer's `data`; a text seen before costs a look-up and the statement.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from graphql import OperationType
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.responses import Response as HttpResponse
from strawberry.http.ides import get_graphql_ide_html

from aggregator.access.principal import Principal, Scope
from aggregator.graph import export, follower, introspection, position, rows, schema
from aggregator.graph.answer import JSON, respond, stream
from aggregator.graph.changes import Changes
from aggregator.graph.compiler import REFUSED, Compilation, Plan
from aggregator.graph.documents import Documents
from aggregator.graph.errors import (
    BAD_INPUT,
    BAD_REQUEST,
    INTERNAL,
    LIMIT_EXCEEDED,
    TIMEOUT,
    UNAVAILABLE,
    GraphError,
    InvalidError,
    failure,
    status_of,
)
from aggregator.graph.limits import MAX_BODY_BYTES, STATEMENT_TIMEOUT
from aggregator.graph.plans import Plans
from aggregator.graph.reading import Reading, may_be_older
from aggregator.graph.splices import splice
from aggregator.graph.statement import Bindings, Read
from aggregator.graph.turns import Turns
from aggregator.store.pool import AWAY
from aggregator.store.replica import Replica, Stand

log = logging.getLogger(__name__)

QUERY_CANCELED = "57014"  # SQLSTATE of a statement that ran out of time
BAD_DATA = "22"  # SQLSTATE class of values that do not fit
CONNECTION_LOST = ("08", "57P", "53")  # SQLSTATE classes: connection, shutdown, resources


class Pool(Protocol):
    """What the endpoint needs of a pool of connections."""

    async def fetchval(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's own
    ) -> Any:
        """Run a statement and return its one value."""


class GraphQLRequest(Struct, rename="camel"):
    """The body of a request."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class Response(Struct, frozen=True):
    """An answer: what HTTP says of it, and its body. `stand`: of the replica, where one answered."""

    status: int
    body: bytes
    stand: Stand | None = None


def wants_page(request: Request) -> bool:
    """Whether a browser comes for GraphiQL, which is told no data and asks nobody's token."""
    if request.method != "GET":
        return False
    return "query" not in request.query_params or "text/html" in request.headers.get("accept", "")


class GraphQL:
    """Answers operations from a database."""

    def __init__(
        self,
        pool: Pool,
        *,
        replica: Replica | None = None,  # a standby that answers queries
        cursor_key: bytes | None = None,  # the same in all replicas; None is one for this process
        statement_timeout: float = STATEMENT_TIMEOUT,
    ) -> None:
        self._wakes = follower.Wakes(self._fetch)
        self._pool = pool
        self._replica = replica
        self._cursor_key = cursor_key or secrets.token_bytes(32)
        self._timeout = statement_timeout
        self._schema = schema.core(schema.build())
        self._documents = Documents(self._schema)
        self._plans = Plans(self._schema)
        self._turns = Turns()
        self._decoder = msgspec.json.Decoder(GraphQLRequest)

    async def handle(self, request: Request) -> HttpResponse:
        """Answer an HTTP request: POST with JSON, GET with a query; else GET shows GraphiQL."""
        if wants_page(request):
            return HTMLResponse(get_graphql_ide_html())
        if request.method not in ("GET", "POST"):
            return PlainTextResponse("Use POST.", 405, {"allow": "GET, POST"})
        by_get = request.method == "GET"
        try:
            asked = self._read_url(request) if by_get else await self._read(request)
        except (GraphError, InvalidError) as error:
            errors = error.errors if isinstance(error, InvalidError) else [error]
            return HttpResponse(failure(errors), status_of(errors), media_type=JSON)
        format_ = rows.wanted(request.headers.get("accept", ""))
        if format_ is not None:
            return await self._export(request, asked, format_)
        older = may_be_older(request)
        answer = await self.execute(asked, request.state.principal, older=older)
        tagged = by_get and answer.status == HTTPStatus.OK
        return await respond(request, answer.body, answer.status, tagged=tagged, stand=answer.stand)

    async def _export(self, request: Request, asked: GraphQLRequest, format_: str) -> HttpResponse:
        reading = Reading(self._replica if may_be_older(request) else None)
        try:
            writer, pages = self._exported(asked, request.state.principal, format_, reading)
            first: list[msgspec.Raw] = await anext(pages, [])
        except (GraphError, InvalidError) as error:
            errors = error.errors if isinstance(error, InvalidError) else [error]
            return HttpResponse(failure(errors), status_of(errors), media_type=JSON)
        chunks = rows.written(writer, first, pages)
        return await stream(request, chunks, writer.media_type, stand=reading.stand)

    def _exported(
        self, asked: GraphQLRequest, principal: Principal, format_: str, reading: Reading
    ) -> tuple[rows.Writer, AsyncIterator[list[msgspec.Raw]]]:
        document = self._documents.read(asked.query)
        operation = document.operation(asked.operation_name)
        if operation.operation is not OperationType.QUERY:
            raise GraphError(BAD_REQUEST, "Only queries answer with rows.")
        variables = self._documents.variables(operation, asked.variables or {}).coerced

        def compilation(given: Mapping[str, Any]) -> Compilation:
            return self._plans.compilation(document, given, principal.scope)

        async def run(plan: Plan, bindings: Bindings) -> bytes:
            async with self._turns.turn(principal.credential_id):
                return await self._run(plan, bindings, reading)

        selection = compilation(variables).selection
        found = export.find(selection, operation)
        bindings = Bindings(variables, principal.scope, self._cursor_key)
        return (
            rows.writer(format_, selection, found.rows),
            export.pages(found, compilation, run, bindings),
        )

    def _read_url(self, request: Request) -> GraphQLRequest:
        given = request.query_params
        try:
            variables = msgspec.json.decode(
                given.get("variables") or "null", type=dict[str, Any] | None
            )
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            message = f"`variables` must be a JSON object: {error}."
            raise GraphError(BAD_REQUEST, message) from None
        asked = GraphQLRequest(given["query"], variables, given.get("operationName") or None)
        if self.kind(asked) is not OperationType.QUERY:
            raise GraphError(BAD_REQUEST, "GET answers queries only: use POST.")
        return asked

    async def _read(self, request: Request) -> GraphQLRequest:
        if not request.headers.get("content-type", "").startswith(JSON):
            raise GraphError(BAD_REQUEST, f"The content type must be {JSON}.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise GraphError(LIMIT_EXCEEDED, f"A body has at most {MAX_BODY_BYTES:,} bytes.")
        if body.lstrip()[:1] == b"[":
            raise GraphError(BAD_REQUEST, "Batches are not answered: send one operation a request.")
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise GraphError(
                BAD_REQUEST,
                'The body must be {"query": …, "variables": {…}, "operationName": …}:'
                f" {error}.",
            ) from None

    def kind(self, request: GraphQLRequest) -> OperationType:
        """Return whether it is a query, a mutation or a subscription. Raises as `execute` answers."""
        return self._documents.read(request.query).operation(request.operation_name).operation

    async def subscribe(
        self, request: GraphQLRequest, asker: Callable[[], Awaitable[Principal]]
    ) -> follower.Follower:
        """Begin a subscription; `asker` says who asks as things stand. Raises `GraphError`."""
        document = self._documents.read(request.query)
        operation = document.operation(request.operation_name)
        given = self._documents.variables(operation, request.variables or {}).coerced

        def planned(scope: Scope) -> tuple[Plan, Read, Bindings]:
            plan, read = self._plans.subscription(request.query, document, operation, given, scope)
            return plan, read, Bindings(given, scope, self._cursor_key)

        async def look(at: position.Position, looks: int) -> bytes:
            plan, _, bindings = planned((await asker()).scope)  # which may change meanwhile
            bindings.memo.update(position=at, looks=looks)
            return await self._run(plan, bindings)

        _, read, bindings = planned((await asker()).scope)
        start = await follower.begin(self._fetch, position.cursor(read(bindings)))
        return follower.Follower(self._wakes, look, start)

    def wake(self) -> None:
        """Tell subscribers that events were stored."""
        self._wakes.wake()

    async def execute(
        self, request: GraphQLRequest, principal: Principal, *, older: bool = False
    ) -> Response:
        """Answer one operation as a principal; `older`: a query may be answered by the replica."""
        reading = Reading(self._replica if older else None)
        try:
            async with self._turns.turn(principal.credential_id):
                body = await self._answer(request, principal, reading)
        except GraphError as error:
            return _failed([error])
        except InvalidError as errors:
            return _failed(errors.errors)
        return Response(200, body, reading.stand)

    async def _answer(
        self, request: GraphQLRequest, principal: Principal, reading: Reading
    ) -> bytes:
        document = self._documents.read(request.query)
        operation = document.operation(request.operation_name)
        given = self._documents.variables(operation, request.variables or {})
        if operation.operation is OperationType.SUBSCRIPTION:
            raise GraphError(
                BAD_REQUEST,
                "Subscriptions are answered over a WebSocket on the same path, with the subprotocol"
                " graphql-transport-ws.",
            )
        if operation.operation is OperationType.MUTATION:
            changes = Changes(self._plans, document, operation, given, principal)
            return b'{"data":' + await self._change(changes, given.coerced, principal) + b"}"
        plan = self._plans.query(request.query, document, operation, given.coerced, principal.scope)
        bindings = Bindings(given.coerced, principal.scope, self._cursor_key)
        if not plan.introspection:
            return b'{"data":' + await self._run(plan, bindings, reading) + b"}"
        about = introspection.answer(
            self._schema,
            plan.introspection,
            [*document.fragments.values()],
            operation,
            request.variables or {},
        )
        if plan.sql is None:
            return b'{"data":' + about + b"}"
        rest = await self._run(plan, bindings, reading)
        return b'{"data":' + about[:-1] + b"," + rest[1:] + b"}"

    async def _change(
        self, changes: Changes, variables: dict[str, Any], principal: Principal
    ) -> bytes:
        answers: dict[str, msgspec.Raw] = {}
        for field in changes.fields:
            try:
                outcome = await changes.make(self._pool, field)
            except GraphError:
                raise
            except Exception as error:
                raise _explained(error, self._timeout) from error
            if self._replica is not None:
                self._replica.outdate()
            plan = changes.plan(field, outcome)
            cluster = None
            if plan is not None:
                bindings = Bindings(variables, principal.scope, self._cursor_key)
                cluster = await self._run(plan, bindings)
            answers[field.key] = msgspec.Raw(changes.render(field, outcome, cluster))
        return msgspec.json.encode(answers)

    async def _run(self, plan: Plan, bindings: Bindings, reading: Reading | None = None) -> bytes:
        answer = await self._fetch(plan.sql or "", plan.values(bindings), reading)
        if answer.startswith(REFUSED):
            refusal = plan.refusals[int(answer[1:])]
            raise GraphError(refusal.code, refusal.message, path=refusal.path)
        return splice(answer, bindings) if plan.splices else answer

    async def _fetch(self, sql: str, values: list[Any], reading: Reading | None = None) -> bytes:
        answer: bytes | None = None
        try:
            if reading is not None:
                answer = await reading.fetch(sql, values, self._timeout)
            if answer is None:
                answer = await self._pool.fetchval(sql, *values, timeout=self._timeout)
        except Exception as error:
            raise _explained(error, self._timeout) from error
        return answer or b""


def _failed(errors: Sequence[GraphError]) -> Response:
    return Response(status_of(errors), failure(errors))


def _explained(error: Exception, timeout: float) -> GraphError:
    # The driver belongs to the store: its errors are told apart by what the server called them.
    state = str(getattr(error, "sqlstate", None) or "")
    if state == QUERY_CANCELED or isinstance(error, TimeoutError):
        return GraphError(
            TIMEOUT, f"The answer took longer than {timeout:g} seconds: narrow the filter."
        )
    if isinstance(error, OSError) or state.startswith(CONNECTION_LOST):
        return GraphError(UNAVAILABLE, "The database cannot be reached: try again.")
    if isinstance(error, ValueError) or state.startswith(BAD_DATA):
        return GraphError(BAD_INPUT, "A value is out of range for what it is compared with.")
    if isinstance(error, AWAY):
        return GraphError(UNAVAILABLE, "The database cannot be reached: try again.")
    log.error("A statement failed.", exc_info=error)
    return GraphError(INTERNAL, "The operation failed; the server's log says why.")
