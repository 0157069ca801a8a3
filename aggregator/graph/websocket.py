"""GraphQL over a WebSocket: the protocol `graphql-transport-ws`, for subscriptions above all.

    client                         server
    connection_init {Authorization} →  connection_ack
    subscribe {id, payload}         →  next …, complete | error
    complete {id}, ping, pong

The token comes in the header of the upgrade or in the payload of connection_init, as browsers send
no headers. A reader that does not take what it is sent for `SEND_TIMEOUT` is cut off: it comes back
with the last cursor it has seen.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect

from aggregator.access.principal import Principal, Role
from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.graph.errors import GraphError, InvalidError
from aggregator.graph.limits import (
    INIT_TIMEOUT,
    MAX_BODY_BYTES,
    MAX_OPERATIONS,
    SEND_TIMEOUT,
)
from aggregator.metrics import SLOW_READERS, SUBSCRIPTIONS

log = logging.getLogger(__name__)

SUBPROTOCOL = "graphql-transport-ws"
# Close codes of the protocol, and ours for a reader that is too slow.
BAD_MESSAGE, UNAUTHORIZED, FORBIDDEN, BAD_SUBPROTOCOL, NO_INIT = 4400, 4401, 4403, 4406, 4408
DUPLICATE, TOO_MANY_INITS, TOO_SLOW = 4409, 4429, 4410

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
Watching = Callable[[Principal], AbstractContextManager[asyncio.Event]]


class CloseError(Exception):
    """The connection has to end."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(
    websocket: WebSocket, graph: GraphQL, authenticate: Authenticate, watching: Watching
) -> None:
    """Speak with one client. `authenticate` raises what has a `status` and a `message`."""
    if SUBPROTOCOL not in websocket.scope.get("subprotocols", []):
        await websocket.accept()
        await websocket.close(BAD_SUBPROTOCOL, f"the subprotocol is {SUBPROTOCOL}")
        return
    await websocket.accept(subprotocol=SUBPROTOCOL)
    connection = _Connection(websocket, graph, authenticate)
    try:
        with contextlib.suppress(WebSocketDisconnect):
            await connection.run(watching)
    except CloseError as error:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(SEND_TIMEOUT):
                await websocket.close(error.code, error.reason[:120])


class _Connection:
    """One client and the operations that run for it."""

    def __init__(self, websocket: WebSocket, graph: GraphQL, authenticate: Authenticate) -> None:
        self._websocket = websocket
        self._graph = graph
        self._authenticate = authenticate
        self._headers: Mapping[str, str] = websocket.headers
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending = asyncio.Lock()

    async def run(self, watching: Watching) -> None:
        """Serve until either side ends it."""
        principal = await self._initialise()
        try:
            with watching(principal) as revoked:
                reader = asyncio.create_task(self._read())
                ended = asyncio.create_task(revoked.wait())
                waiting: set[asyncio.Future[Any]] = {reader, ended, self._failed}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                reader.cancel()
                ended.cancel()
                await asyncio.gather(reader, ended, return_exceptions=True)
                if ended in done:
                    raise CloseError(UNAUTHORIZED, "the token is revoked or has expired")
                for one in done:
                    one.result()
        finally:
            for task in self._operations.values():
                task.cancel()
            await asyncio.gather(*self._operations.values(), return_exceptions=True)

    async def _initialise(self) -> Principal:
        try:
            async with asyncio.timeout(INIT_TIMEOUT):
                message = await self._receive()
        except TimeoutError:
            raise CloseError(NO_INIT, "connection_init did not come in time") from None
        if message.get("type") != "connection_init":
            raise CloseError(UNAUTHORIZED, "the first message must be connection_init")
        payload = message.get("payload")
        if isinstance(payload, dict) and "authorization" not in self._headers:
            self._headers = {k.lower(): v for k, v in payload.items() if isinstance(v, str)}
        principal = await self._asker()
        await self._send({"type": "connection_ack"})
        return principal

    async def _asker(self) -> Principal:
        """Return who asks, as things stand now."""
        try:
            principal = await self._authenticate(self._headers)
        except Exception as error:
            status, message = getattr(error, "status", None), str(error)
            if status is None:
                raise
            code = UNAUTHORIZED if status == 401 else FORBIDDEN  # noqa: PLR2004 - HTTP's
            raise CloseError(code, message) from error
        if principal.role is Role.AGENT:
            raise CloseError(FORBIDDEN, "an agent's token may not ask")
        return principal

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            kind, id_ = message.get("type"), message.get("id")
            if kind == "ping":
                await self._send({"type": "pong"})
            elif kind == "complete" and isinstance(id_, str):
                task = self._operations.pop(id_, None)
                if task is not None:
                    task.cancel()
            elif kind == "subscribe" and isinstance(id_, str) and id_:
                self._subscribe(id_, message.get("payload"))
            elif kind == "connection_init":
                raise CloseError(TOO_MANY_INITS, "too many initialisation requests")
            elif kind != "pong":
                raise CloseError(BAD_MESSAGE, f"a message of type {kind!r} is not understood")

    def _subscribe(self, id_: str, payload: Any) -> None:
        if id_ in self._operations:
            raise CloseError(DUPLICATE, f"subscriber for {id_} already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            raise CloseError(BAD_MESSAGE, f"a connection has at most {MAX_OPERATIONS} operations")
        try:
            asked = msgspec.convert(payload, GraphQLRequest)
        except msgspec.ValidationError as error:
            raise CloseError(BAD_MESSAGE, f"subscribe: {error}") from error
        task = asyncio.create_task(self._operate(id_, asked))
        self._operations[id_] = task
        task.add_done_callback(lambda _: self._finished(id_, task))

    def _finished(self, id_: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(id_) is task:
            del self._operations[id_]
        if task.cancelled() or task.exception() is None or self._failed.done():
            return
        error = task.exception()
        if isinstance(error, CloseError | WebSocketDisconnect):
            self._failed.set_exception(error)
        elif error is not None:
            log.error("an operation failed", exc_info=error)
            self._failed.set_exception(CloseError(1011, "the server failed; its log says why"))

    async def _operate(self, id_: str, asked: GraphQLRequest) -> None:
        try:
            if self._graph.kind(asked) is not OperationType.SUBSCRIPTION:
                answer = await self._graph.execute(asked, await self._asker())
                await self._send_next(id_, answer.body)
            else:
                with SUBSCRIPTIONS.track_inprogress():
                    async for event in self._graph.subscribe(asked, self._asker):
                        await self._send_next(id_, event)
        except GraphError as error:
            await self._send({"id": id_, "type": "error", "payload": [error.entry()]})
        except InvalidError as errors:
            entries = [error.entry() for error in errors.errors]
            await self._send({"id": id_, "type": "error", "payload": entries})
        else:
            await self._send({"id": id_, "type": "complete"})

    async def _send_next(self, id_: str, body: bytes) -> None:
        await self._send({"id": id_, "type": "next", "payload": msgspec.Raw(body)})

    async def _send(self, message: dict[str, Any]) -> None:
        text = msgspec.json.encode(message).decode()
        try:
            async with asyncio.timeout(SEND_TIMEOUT), self._sending:
                await self._websocket.send_text(text)
        except TimeoutError:
            SLOW_READERS.inc()
            raise CloseError(
                TOO_SLOW,
                f"what was sent was not read for {SEND_TIMEOUT:.0f} s: come back with `after`",
            ) from None
        except RuntimeError as error:  # Starlette's, once the other side is gone
            raise WebSocketDisconnect(1006) from error

    async def _receive(self) -> dict[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        if text is None or len(text) > MAX_BODY_BYTES:
            raise CloseError(BAD_MESSAGE, f"a message is text of at most {MAX_BODY_BYTES:,} bytes")
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise CloseError(BAD_MESSAGE, f"a message must be a JSON object: {error}") from error
