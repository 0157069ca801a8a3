"""The protocol `graphql-transport-ws`, from the server's side: messages in, what to do out. No I/O.

    client                                server
    connection_init {Authorization}    →  connection_ack
    subscribe {id, payload}            →  next …, then complete; or error
    complete {id}                         ends it
    ping                               →  pong, at any time, either way

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

from aggregator.graph.endpoint import GraphQLRequest
from aggregator.graph.errors import LIMIT_EXCEEDED, GraphError
from aggregator.graph.limits import MAX_MESSAGE_BYTES, MAX_OPERATION_ID, MAX_OPERATIONS

SUBPROTOCOL = "graphql-transport-ws"

# Close codes: the protocol's, and one of ours.
BAD_MESSAGE = 4400
UNAUTHORIZED = 4401  # also: the token is revoked or has expired
FORBIDDEN = 4403
BAD_SUBPROTOCOL = 4406
NO_INIT = 4408
DUPLICATE = 4409
SLOW_READER = 4410  # ours: what was sent was not read
TOO_MANY = 4429  # initialisations; also: WebSockets of one token
INTERNAL = 4500
TRY_AGAIN = 1013  # WebSocket's own, which clients try again after

REASON_BYTES = 123  # of a close frame's reason


class CloseError(Exception):
    """The socket has to be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES].decode(errors="ignore")


# ---------------------------------------------------------------- what clients send


class _Init(Struct, tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(Struct, tag="ping"):
    payload: dict[str, Any] | None = None


class _Pong(Struct, tag="pong"):
    payload: Any = None


class _Subscribe(Struct, tag="subscribe"):
    id: str
    payload: GraphQLRequest


class _Complete(Struct, tag="complete"):
    id: str


_decode = msgspec.json.Decoder(_Init | _Ping | _Pong | _Subscribe | _Complete).decode


# ---------------------------------------------------------------- what there is to do


@dataclass(frozen=True, slots=True)
class Initialise:
    """Find out who asks, then `acknowledge`."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """Run it, and tell of it by `next`, then `complete` or `error`."""

    id: str
    request: GraphQLRequest


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an operation: its client wants no more of it."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class Reply:
    """Send a message."""

    message: bytes


Action = Initialise | Operation | Stop | Reply


class Transport:
    """The state of one socket: whether it is acknowledged, and the operations under way."""

    def __init__(self) -> None:
        self._operations: dict[str, Operation] = {}
        self._initialised = False
        self._acknowledged = False

    def receive(self, text: str | None) -> Action | None:
        """Return what a message asks for; None is binary. Raises `CloseError`."""
        if text is None:
            raise CloseError(BAD_MESSAGE, "a message must be text")
        if len(text) > MAX_MESSAGE_BYTES or len(text.encode()) > MAX_MESSAGE_BYTES:
            raise CloseError(BAD_MESSAGE, f"a message has at most {MAX_MESSAGE_BYTES:,} bytes")
        try:
            message = _decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CloseError(BAD_MESSAGE, f"the message is not understood: {error}") from None
        if isinstance(message, _Init):
            return self._initialise(message)
        if isinstance(message, _Ping):
            return Reply(_message("pong", payload=message.payload))
        if isinstance(message, _Subscribe):
            return self._subscribe(message)
        if isinstance(message, _Complete):
            operation = self._operations.pop(message.id, None)
            return Stop(operation) if operation else None  # it may have ended by itself meanwhile
        return None

    def overdue(self) -> None:
        """Raise `CloseError` unless the client has initialised; called once it had its time."""
        if not self._initialised:
            raise CloseError(NO_INIT, "connection initialisation timeout")

    def acknowledge(self) -> bytes:
        """Return the message that lets the client begin."""
        self._acknowledged = True
        return _message("connection_ack")

    def next(self, operation: Operation, body: bytes) -> bytes | None:
        """Return the message with a result; None where nobody waits for it any more."""
        if self._operations.get(operation.id) is not operation:
            return None
        return _message("next", id=operation.id, payload=Raw(body))

    def complete(self, operation: Operation) -> bytes | None:
        """Return the message that an operation is over; None where nobody waits for it."""
        return _message("complete", id=operation.id) if self._end(operation) else None

    def error(self, operation: Operation, errors: list[GraphError]) -> bytes | None:
        """Return the message that an operation has failed; None where nobody waits for it."""
        return _error(operation.id, errors) if self._end(operation) else None

    def _initialise(self, message: _Init) -> Initialise:
        if self._initialised:
            raise CloseError(TOO_MANY, "too many initialisation requests")
        self._initialised = True
        return Initialise(message.payload or {})

    def _subscribe(self, message: _Subscribe) -> Operation | Reply:
        if not self._acknowledged:
            raise CloseError(UNAUTHORIZED, "unauthorized: connection_init comes first")
        if not 0 < len(message.id) <= MAX_OPERATION_ID:
            raise CloseError(BAD_MESSAGE, f"an id has 1 to {MAX_OPERATION_ID} characters")
        if message.id in self._operations:
            raise CloseError(DUPLICATE, f"subscriber for {message.id} already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            error = GraphError(
                LIMIT_EXCEEDED, f"A WebSocket has at most {MAX_OPERATIONS} operations under way."
            )
            return Reply(_error(message.id, [error]))
        operation = self._operations[message.id] = Operation(message.id, message.payload)
        return operation

    def _end(self, operation: Operation) -> bool:
        if self._operations.get(operation.id) is not operation:
            return False
        del self._operations[operation.id]
        return True


def _message(type_: str, **rest: Any) -> bytes:
    given = {name: value for name, value in rest.items() if value is not None}
    return msgspec.json.encode({**given, "type": type_})


def _error(id_: str, errors: list[GraphError]) -> bytes:
    return _message("error", id=id_, payload=[error.entry() for error in errors])
