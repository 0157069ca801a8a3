"""The protocol, message by message, without a socket."""

import json
from typing import Any

import pytest

from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.limits import MAX_MESSAGE_BYTES, MAX_OPERATION_ID, MAX_OPERATIONS
from aggregator.graph.transport import (
    CloseError,
    Initialise,
    Operation,
    Reply,
    Stop,
    Transport,
)

INIT: dict[str, Any] = {"type": "connection_init"}
ASKED: dict[str, Any] = {
    "query": "{ __typename }",
    "variables": None,
    "operationName": None,
    "extensions": {},
}


def say(transport: Transport, **message: Any) -> Any:
    return transport.receive(json.dumps(message))


def subscribe(transport: Transport, id_: str) -> Operation:
    action = say(transport, type="subscribe", id=id_, payload=ASKED)
    assert isinstance(action, Operation)
    return action


def read(message: bytes | None) -> Any:
    return None if message is None else json.loads(message)


@pytest.fixture
def transport() -> Transport:
    """Return one whose client is acknowledged."""
    transport = Transport()
    say(transport, **INIT)
    transport.acknowledge()
    return transport


def test_a_client_says_who_it_is_and_is_acknowledged() -> None:
    transport = Transport()

    action = say(transport, **INIT, payload={"Authorization": "Bearer x"})

    assert action == Initialise({"Authorization": "Bearer x"})
    assert read(transport.acknowledge()) == {"type": "connection_ack"}
    transport.overdue()


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {}}])
def test_the_payload_may_be_left_out(payload: dict[str, Any]) -> None:
    assert say(Transport(), **INIT, **payload) == Initialise({})


def test_an_operation_tells_and_completes(transport: Transport) -> None:
    operation = subscribe(transport, "1")

    assert operation.request.query == "{ __typename }"
    assert read(transport.next(operation, b'{"data":{"n":1}}')) == {
        "type": "next",
        "id": "1",
        "payload": {"data": {"n": 1}},
    }
    assert read(transport.complete(operation)) == {"type": "complete", "id": "1"}
    assert transport.complete(operation) is None
    assert transport.next(operation, b"{}") is None


def test_a_failed_operation_has_its_errors_and_no_completion(transport: Transport) -> None:
    operation = subscribe(transport, "1")

    told = transport.error(operation, [GraphError(BAD_INPUT, "no", path=["x"])])

    error = {"message": "no", "path": ["x"], "extensions": {"code": BAD_INPUT}}
    assert read(told) == {"type": "error", "id": "1", "payload": [error]}
    assert transport.complete(operation) is None


def test_after_a_client_completes_nothing_is_said_of_it(transport: Transport) -> None:
    first = subscribe(transport, "1")

    assert say(transport, type="complete", id="1") == Stop(first)

    again = subscribe(transport, "1")
    assert transport.next(first, b"{}") is None
    assert transport.error(first, []) is None
    assert transport.next(again, b"{}") is not None


def test_a_completion_may_cross_the_servers_own(transport: Transport) -> None:
    operation = subscribe(transport, "1")
    transport.complete(operation)

    assert say(transport, type="complete", id="1") is None
    assert say(transport, type="complete", id="never there") is None


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_ping_is_answered_at_any_time(transport: Transport, *, acknowledged: bool) -> None:
    transport = transport if acknowledged else Transport()

    assert say(transport, type="ping") == Reply(b'{"type":"pong"}')
    answer = say(transport, type="ping", payload={"n": 1})
    assert read(answer.message) == {"type": "pong", "payload": {"n": 1}}
    assert say(transport, type="pong", payload={}) is None


@pytest.mark.parametrize("message", ["subscribe", "INIT"])
def test_what_comes_before_the_acknowledgement_is_not_authorised(message: str) -> None:
    transport = Transport()
    if message == "INIT":
        say(transport, **INIT)

    with pytest.raises(CloseError) as closed:
        say(transport, type="subscribe", id="1", payload=ASKED)

    assert closed.value.code == 4401


def test_who_does_not_initialise_in_time_is_closed() -> None:
    with pytest.raises(CloseError) as closed:
        Transport().overdue()

    assert closed.value.code == 4408


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_client_initialises_once(*, acknowledged: bool) -> None:
    transport = Transport()
    say(transport, **INIT)
    if acknowledged:
        transport.acknowledge()

    with pytest.raises(CloseError) as closed:
        say(transport, **INIT)

    assert closed.value.code == 4429


def test_an_id_in_use_is_refused(transport: Transport) -> None:
    subscribe(transport, "one")

    with pytest.raises(CloseError) as closed:
        subscribe(transport, "one")

    assert (closed.value.code, closed.value.reason) == (4409, "subscriber for one already exists")


@pytest.mark.parametrize(
    "text",
    [
        None,  # binary
        "",
        "not JSON",
        "[]",
        "{}",
        '{"type": "nonsense"}',
        '{"type": "next", "id": "1", "payload": {}}',  # the server's
        '{"type": "connection_init", "payload": []}',
        '{"type": "subscribe", "payload": {"query": "{a}"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{a}"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{a}"}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": []}}',
        '{"type": "complete"}',
        json.dumps({"type": "complete", "id": "x" * MAX_MESSAGE_BYTES}),
        json.dumps({"type": "complete", "id": "ä" * (MAX_MESSAGE_BYTES // 2)}, ensure_ascii=False),
        json.dumps({"type": "subscribe", "id": "x" * (MAX_OPERATION_ID + 1), "payload": ASKED}),
        "[" * 100_000,
    ],
)
def test_what_the_protocol_does_not_know_closes_the_socket(
    transport: Transport, text: str | None
) -> None:
    with pytest.raises(CloseError) as closed:
        transport.receive(text)

    assert closed.value.code == 4400
    assert len(closed.value.reason.encode()) <= 123


def test_operations_of_a_socket_are_bounded(transport: Transport) -> None:
    operations = [subscribe(transport, str(number)) for number in range(MAX_OPERATIONS)]

    refused = say(transport, type="subscribe", id="more", payload=ASKED)

    told = read(refused.message)
    assert (told["type"], told["id"]) == ("error", "more")
    assert told["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    transport.complete(operations[0])
    subscribe(transport, "more")
