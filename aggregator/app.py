"""The aggregator as an ASGI application: its routes, who may use them, and what they share.

| route | who |
|---|---|
| `POST /graphql`, `GET /graphql?query=…` | VIEWER, ADMIN |
| `/graphql` as a WebSocket, for subscriptions | VIEWER, ADMIN |
| `GET /graphql` in a browser | anyone gets the page GraphiQL, which holds no data |
| `/agent/v1` | AGENT; ADMIN for a push |
| `/admin/…` | ADMIN |
| `/metrics` | VIEWER, ADMIN |
| `/healthz`, `/readyz`, `/` | anyone; they tell nothing but that |
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope
from starlette.websockets import WebSocket

from aggregator import lag
from aggregator.access import administration
from aggregator.access.agents import authenticate_agent
from aggregator.access.authentication import Authenticator, DeniedError
from aggregator.access.principal import Principal, Role
from aggregator.access.revocation import Revocations
from aggregator.edge import Edge, error_body
from aggregator.ingest.maintenance import Maintenance
from aggregator.metrics import CONTENT_TYPE, exposition
from aggregator.settings import Settings
from aggregator.store import credentials, notifications
from aggregator.store.migrations import Readiness
from aggregator.store.pool import Pool, UnavailableError, answering, open_pool
from aggregator.store.replica import Replica

if TYPE_CHECKING:
    from aggregator.graph.endpoint import GraphQL
    from aggregator.graph.websocket import Sockets

log = logging.getLogger(__name__)

TOKENS_MAX = 10_000  # rows of GET /admin/tokens
REVOKED = 4401  # WebSocket close code: the token is no longer valid
LEFT = 499  # HTTP status in log and metrics of a client that left before its request was complete
INDEX = "fleetwatch. Ask at /graphql; see `fleetwatch query --help`.\n"


class GraphQLEndpoint(Protocol):
    """What `/graphql` is served by; `request.state.principal` says who asks, None for the page."""

    async def handle(self, request: Request) -> Response:
        """Answer."""


@runtime_checkable
class Followed(Protocol):
    """What has subscribers to wake."""

    def wake(self) -> None:
        """Tell them that events were stored."""


class AgentHub(Protocol):
    """Where all agents' sessions meet."""

    async def start(self) -> None:
        """Begin to take sessions."""

    async def stop(self) -> None:
        """Say Goodbye to every session and take no more."""


Serve = Callable[[WebSocket, Principal, Any], Coroutine[Any, Any, None]]


def _graphql(pool: Pool, settings: Settings, replica: Replica | None) -> GraphQLEndpoint:
    from aggregator.graph.endpoint import GraphQL

    timeout = settings.query_timeout
    key = settings.cursor_key
    return GraphQL(pool, replica=replica, cursor_key=key, statement_timeout=timeout)


def _replica(primary: Pool, settings: Settings) -> Replica | None:
    if not settings.query_database_url:
        return None
    return Replica(
        primary,
        settings.query_database_url,
        size=settings.query_connections,
        statement_timeout=settings.query_timeout,
        most=settings.query_max_lag,
    )


def _hub(pool: Pool, settings: Settings) -> AgentHub:
    from aggregator.ingest.aside import Aside
    from aggregator.ingest.hub import WRITERS, Hub

    rate = settings.events_rate or None
    aside = Aside(
        lambda: open_pool(
            settings.database_url,
            size=WRITERS,
            statement_timeout=settings.ingest_timeout,
            application="fleetwatch ingest",
        )
    )
    return Hub(pool, events_a_second=rate, events_a_day=settings.events_budget, aside=aside)


async def _serve(websocket: WebSocket, principal: Principal, hub: Any) -> None:
    from aggregator.ingest.socket import serve

    await serve(websocket, principal, hub)


class Application:
    """The parts of a running aggregator and the handlers that reach them; an ASGI application."""

    pool: Pool
    graphql: GraphQLEndpoint
    hub: AgentHub

    def __init__(
        self,
        settings: Settings,
        *,
        graphql: Callable[[Pool], GraphQLEndpoint] | None = None,  # None is ours
        hub: Callable[[Pool], AgentHub] | None = None,  # likewise
        serve: Serve = _serve,
    ) -> None:
        self._settings = settings
        self._make_graphql = graphql or (lambda pool: _graphql(pool, settings, self._replica))
        self._make_hub = hub or (lambda pool: _hub(pool, settings))
        self._serve = serve
        self._authenticator: Authenticator
        self._revocations: Revocations
        self._readiness: Readiness
        self._replica: Replica | None = None
        self._sockets: Sockets | None = None
        self._drained = False
        handlers: Any = {
            DeniedError: _on_denied,
            administration.RefusedError: _on_refused,
            UnavailableError: _on_unavailable,
            ClientDisconnect: _on_left,
        }
        app = Starlette(routes=self._routes(), exception_handlers=handlers)
        self._edge = Edge(app, body_bytes=settings.body_bytes, access_log=settings.access_log)

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._edge(scope, receive, send)

    def _routes(self) -> list[BaseRoute]:
        return [
            Route("/graphql", self._query, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", self._follow),
            WebSocketRoute("/agent/v1", self._agent),
            Route("/", _index),
            Route("/healthz", _alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._metrics),
            Route("/admin/tokens", self._tokens),
            Route("/admin/clusters/{name}/tokens", self._agent_token, methods=["POST"]),
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open what the handlers need, and close it in reverse; requests come in between.

        Raises `UnavailableError` where Postgres does not answer.
        """
        async with AsyncExitStack() as stack:
            with answering():
                await self._open(stack)
            yield

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        self.pool = await open_pool(
            settings.database_url,
            # Two listen: for access, for new events. One looks how far this is, for a replica.
            size=settings.query_connections + 2 + bool(settings.query_database_url),
            statement_timeout=settings.query_timeout,
            application="fleetwatch query",
            stateless=True,
        )
        stack.push_async_callback(self.pool.close)
        ingest_pool = await open_pool(
            settings.database_url,
            size=settings.ingest_connections + 1,  # one is maintenance's
            statement_timeout=settings.ingest_timeout,
            application="fleetwatch ingest",
        )
        stack.push_async_callback(ingest_pool.close)
        self._readiness = Readiness(self.pool)
        self._authenticator = await stack.enter_async_context(Authenticator(self.pool))
        self._revocations = await stack.enter_async_context(
            Revocations(self.pool, self._authenticator)
        )
        self._replica = _replica(self.pool, settings)
        if self._replica is not None:
            await stack.enter_async_context(self._replica)
            self._authenticator.changed.append(self._replica.outdate)
        self.graphql = self._make_graphql(self.pool)
        listening = asyncio.create_task(
            notifications.listen(self.pool, self._wake), name="new events"
        )
        stack.push_async_callback(_cancel, listening)
        stack.push_async_callback(_cancel, asyncio.create_task(lag.watch(), name="lag"))
        self.hub = self._make_hub(ingest_pool)
        await self.hub.start()
        stack.push_async_callback(self.drain)
        maintenance = asyncio.create_task(
            Maintenance(
                ingest_pool,
                retention=timedelta(days=settings.events_retention),
                contents_retention=timedelta(days=settings.contents_retention),
            ).run(),
            name="maintenance",
        )
        stack.push_async_callback(_cancel, maintenance)

    def _wake(self) -> None:
        if isinstance(self.graphql, Followed):
            self.graphql.wake()

    async def drain(self) -> None:
        """Send the agents away, so that they find another replica; once."""
        if not self._drained:
            self._drained = True
            await self.hub.stop()

    async def _query(self, request: Request) -> Response:
        """Serve /graphql."""
        from aggregator.graph.endpoint import wants_page

        request.state.principal = None if wants_page(request) else await self._asker(request)
        return await self.graphql.handle(request)

    async def _follow(self, websocket: WebSocket) -> None:
        """Serve GraphQL over a WebSocket."""
        if self._sockets is None:
            from aggregator.graph.websocket import Sockets

            self._sockets = Sockets(
                cast("GraphQL", self.graphql),
                self._authenticator.authenticate,
                self._revocations.watching,
            )
        await self._sockets.serve(websocket)

    async def _metrics(self, request: Request) -> Response:
        """Serve /metrics."""
        await self._asker(request)
        return Response(exposition(), media_type=CONTENT_TYPE)

    async def _tokens(self, request: Request) -> Response:
        """Serve GET /admin/tokens: all credentials, never a token."""
        principal = await self._asker(request)
        if principal.role is not Role.ADMIN or principal.scope.clusters is not None:
            raise DeniedError(403, "Listing tokens needs an ADMIN token without a scope.")
        return _json({"tokens": await credentials.listed(self.pool, limit=TOKENS_MAX)})

    async def _agent_token(self, request: Request) -> Response:
        """Serve POST /admin/clusters/NAME/tokens: one more token for a cluster's agent."""
        principal = await self._asker(request)
        created = await administration.create_agent_token(
            self.pool, principal, name=request.path_params["name"]
        )
        return _json({"id": created.id, "token": created.token})

    async def _ready(self, _request: Request) -> Response:
        """Serve /readyz."""
        if self._drained:
            return PlainTextResponse("draining\n", status_code=503)
        if await self._readiness.is_ready():
            replica = f"replica: {self._replica.state}\n" if self._replica is not None else ""
            return PlainTextResponse(f"ready\n{replica}")
        return PlainTextResponse("not ready\n", status_code=503)

    async def _agent(self, websocket: WebSocket) -> None:
        """Serve /agent/v1 until either side ends it or the token is revoked."""
        try:
            principal = await authenticate_agent(self.pool, websocket.headers)
        except DeniedError as error:
            log.warning("an agent is refused: %s", error.message)
            await websocket.send_denial_response(_denied(error))
            return
        except UnavailableError as error:
            log.error("an agent could not be authenticated: %s", error)  # noqa: TRY400 - it is clear
            await websocket.send_denial_response(_unavailable(error))
            return
        with self._revocations.watching(principal) as revoked:
            session = asyncio.create_task(self._serve(websocket, principal, self.hub))
            watcher = asyncio.create_task(revoked.wait())
            try:
                await asyncio.wait({session, watcher}, return_when=asyncio.FIRST_COMPLETED)
                if not session.done():
                    log.warning("the session of %s ends: its token is revoked", principal.name)
                    session.cancel()
                    await asyncio.gather(session, return_exceptions=True)
                    await websocket.close(REVOKED, "the token is revoked")
                    return
                session.result()
            finally:
                watcher.cancel()
                session.cancel()
                await asyncio.gather(session, watcher, return_exceptions=True)

    async def _asker(self, request: Request) -> Principal:
        principal = await self._authenticator.authenticate(request.headers)
        if principal.role is Role.AGENT:
            raise DeniedError(403, "An agent's token opens /agent/v1 only; it may not ask.")
        return principal


def create_app(settings: Settings) -> Application:
    """Build the application; `async with app.running()` opens what it needs."""
    return Application(settings)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _index(_request: Request) -> Response:
    return PlainTextResponse(INDEX)


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("alive\n")


def _json(value: Any, *, status: int = 200) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status_code=status, media_type="application/json")


REFUSED_STATUS = {
    administration.FORBIDDEN: 403,
    administration.NOT_FOUND: 404,
    administration.BAD_INPUT: 400,
    administration.CONFLICT: 409,
}


def _denied(error: DeniedError) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="fleetwatch"'} if error.status == 401 else {}  # noqa: PLR2004 - HTTP's
    return Response(
        error_body(error.code, error.message),
        status_code=error.status,
        headers=headers,
        media_type="application/json",
    )


def _unavailable(_error: UnavailableError) -> Response:
    body = error_body("UNAVAILABLE", "The database does not answer; try again.")
    headers = {"Retry-After": "5"}
    return Response(body, status_code=503, headers=headers, media_type="application/json")


async def _on_denied(_request: Request, error: DeniedError) -> Response:
    return _denied(error)


async def _on_refused(_request: Request, error: administration.RefusedError) -> Response:
    body = error_body(error.code, error.message)
    status = REFUSED_STATUS[error.code]
    return Response(body, status_code=status, media_type="application/json")


async def _on_left(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=LEFT)


async def _on_unavailable(_request: Request, error: UnavailableError) -> Response:
    log.error("a request could not be answered: %s", error)
    return _unavailable(error)
