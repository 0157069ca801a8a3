"""GraphQL over WebSockets: the shell around transport.py, for subscriptions above all.

The token comes in the header of the upgrade or, as browsers send no headers, in the payload of
connection_init. Each operation is a task that waits until what it sends is taken, so one that is
not read costs one message. A reader that takes nothing for `SEND_TIMEOUT` is cut off: it comes
back with `after` the last cursor that it has seen.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect

from aggregator.access.authentication import DeniedError
from aggregator.access.principal import Principal, Role
from aggregator.graph import limits
from aggregator.graph.endpoint import GraphQL
from aggregator.graph.errors import LIMIT_EXCEEDED, UNAVAILABLE, GraphError, InvalidError
from aggregator.graph.transport import (
    BAD_SUBPROTOCOL,
    FORBIDDEN,
    INTERNAL,
    SLOW_READER,
    SUBPROTOCOL,
    TOO_MANY,
    TRY_AGAIN,
    UNAUTHORIZED,
    CloseError,
    Initialise,
    Operation,
    Reply,
    Stop,
    Transport,
)
from aggregator.metrics import (
    EVENTS_SENT,
    GRAPHQL_SOCKETS,
    SLOW_READERS,
    SUBSCRIPTIONS,
)
from aggregator.store.pool import UnavailableError

log = logging.getLogger(__name__)

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
Watching = Callable[[Principal], AbstractContextManager[asyncio.Event]]


class Sockets:
    """All WebSockets of this process, and how many each token has."""

    def __init__(self, graph: GraphQL, authenticate: Authenticate, watching: Watching) -> None:
        self.graph = graph
        self.authenticate = authenticate
        self.watching = watching
        self.sockets: Counter[str] = Counter()  # by credential
        self.following: Counter[str] = Counter()  # subscriptions, likewise

    async def serve(self, websocket: WebSocket) -> None:
        """Speak with one client until either side ends it."""
        if SUBPROTOCOL not in websocket.scope.get("subprotocols", []):
            await websocket.accept()
            await websocket.close(BAD_SUBPROTOCOL, f"the subprotocol is {SUBPROTOCOL}")
            return
        await websocket.accept(subprotocol=SUBPROTOCOL)
        with GRAPHQL_SOCKETS.track_inprogress():
            close = await _Connection(websocket, self).run()
            if close is not None:
                # Who was cut off hears why if it takes what waits for it after all.
                with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                    async with asyncio.timeout(limits.SEND_TIMEOUT):
                        await websocket.close(close.code, close.reason)


class _Connection:
    """One client and the operations that run for it."""

    def __init__(self, websocket: WebSocket, sockets: Sockets) -> None:
        self._websocket = websocket
        self._sockets = sockets
        self._graph = sockets.graph
        self._headers: Mapping[str, str] = websocket.headers
        self._transport = Transport()
        self._tasks: dict[Operation, asyncio.Task[None]] = {}
        self._stack = contextlib.ExitStack()
        self._sending = asyncio.Lock()
        self._beginning = asyncio.Lock()  # operations begin in the order in which they were sent

    async def run(self) -> CloseError | None:
        """Serve until either side ends it; return why it is to be closed, if by us."""
        close: CloseError | None = None
        try:
            with self._stack:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._expire())
                    group.create_task(self._read(group))
        except* CloseError as errors:
            close = _first(errors)
        except* WebSocketDisconnect:
            pass
        except* Exception as errors:  # a fault of ours ends this socket, no other
            log.exception("a WebSocket ends by a fault", exc_info=errors)
            close = CloseError(INTERNAL, "the server failed; its log says why")
        return close

    async def _expire(self) -> None:
        await asyncio.sleep(limits.INIT_TIMEOUT)
        self._transport.overdue()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code") or 1005)
            action = self._transport.receive(message.get("text"))
            if isinstance(action, Initialise):
                # What follows is read once this is over, so a client need not wait for the answer.
                revoked = await self._admit(action)
                group.create_task(self._until_revoked(revoked))
            elif isinstance(action, Operation):
                self._tasks[action] = group.create_task(self._operate(action))
            elif isinstance(action, Stop):
                task = self._tasks.pop(action.operation, None)
                if task is not None:
                    task.cancel()
            elif isinstance(action, Reply):
                await self._send(action.message)

    async def _admit(self, action: Initialise) -> asyncio.Event:
        """Let the client in; return the event that its token is gone."""
        if "authorization" not in self._headers:
            given = action.payload.items()
            self._headers = {name.lower(): each for name, each in given if isinstance(each, str)}
        try:
            principal = await self._asker()
        except GraphError as error:
            raise CloseError(TRY_AGAIN, error.message) from error
        most = limits.MAX_SOCKETS
        if not self._stack.enter_context(_counted(self._sockets.sockets, principal, most)):
            raise CloseError(TOO_MANY, f"a token has at most {most} WebSockets")
        revoked = self._stack.enter_context(self._sockets.watching(principal))
        await self._send(self._transport.acknowledge())
        return revoked

    async def _until_revoked(self, revoked: asyncio.Event) -> None:
        await revoked.wait()
        raise CloseError(UNAUTHORIZED, "the token is revoked or has expired")

    async def _asker(self) -> Principal:
        """Return who asks, as things stand now."""
        try:
            principal = await self._sockets.authenticate(self._headers)
        except DeniedError as error:
            known = error.status != 401  # noqa: PLR2004 - HTTP's
            raise CloseError(FORBIDDEN if known else UNAUTHORIZED, error.message) from error
        except UnavailableError as error:
            raise GraphError(UNAVAILABLE, "The database cannot be reached: try again.") from error
        if principal.role is Role.AGENT:
            raise CloseError(FORBIDDEN, "An agent's token opens /agent/v1 only; it may not ask.")
        return principal

    async def _operate(self, operation: Operation) -> None:
        try:
            if self._graph.kind(operation.request) is OperationType.SUBSCRIPTION:
                await self._follow(operation)
            async with self._beginning:  # so it sees all that the subscriptions before it leave out
                asker = await self._asker()
            answer = await self._graph.execute(operation.request, asker)
            await self._send(self._transport.next(operation, answer.body))
        except GraphError as error:
            await self._send(self._transport.error(operation, [error]))
        except InvalidError as errors:
            await self._send(self._transport.error(operation, list(errors.errors)))
        else:
            await self._send(self._transport.complete(operation))
        finally:
            self._tasks.pop(operation, None)

    async def _follow(self, operation: Operation) -> NoReturn:
        most = limits.MAX_SUBSCRIPTIONS
        with SUBSCRIPTIONS.track_inprogress(), contextlib.ExitStack() as stack:
            async with self._beginning:
                principal = await self._asker()
                if not stack.enter_context(_counted(self._sockets.following, principal, most)):
                    raise GraphError(LIMIT_EXCEEDED, f"A token has at most {most} subscriptions.")
                follower = await self._graph.subscribe(operation.request, self._asker)
            while True:
                for event in await follower.next():
                    await self._send(self._transport.next(operation, bytes(event)))
                    EVENTS_SENT.inc()

    async def _send(self, message: bytes | None) -> None:
        if message is None:
            return
        async with self._sending:
            try:
                async with asyncio.timeout(limits.SEND_TIMEOUT):
                    await self._websocket.send_text(message.decode())
            except TimeoutError:
                SLOW_READERS.inc()
                raise CloseError(
                    SLOW_READER,
                    f"SLOW_READER: nothing was read for {limits.SEND_TIMEOUT:g} s;"
                    " come back with `after` the last cursor",
                ) from None
            except RuntimeError as error:  # Starlette's, once the other side is gone
                raise WebSocketDisconnect(1006) from error


@contextlib.contextmanager
def _counted(counts: Counter[str], principal: Principal, most: int) -> Iterator[bool]:
    """Count one more of a credential's; yield whether it may have it."""
    counts[principal.credential_id] += 1
    try:
        yield counts[principal.credential_id] <= most
    finally:
        counts[principal.credential_id] -= 1
        if not counts[principal.credential_id]:
            del counts[principal.credential_id]


def _first(errors: BaseExceptionGroup[Any]) -> CloseError | None:
    found: Any = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, CloseError) else None
