"""`fleetwatch query` with a subscription: a line of JSON an event, until Ctrl-C."""

import json
import ssl
from typing import Any

import click

from aggregator.cli.client import AnswerError, RequestError, Server

SUBPROTOCOL = "graphql-transport-ws"
OPEN_TIMEOUT = 10.0  # seconds to an open WebSocket


def follow(server: Server, text: str, variables: dict[str, Any]) -> None:
    """Print what a subscription tells, until it ends. Raises `RequestError` where it cannot go on."""
    from websockets.exceptions import ConnectionClosed, WebSocketException
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    address = server.url.replace("http", "ws", 1) + "/graphql"
    trust = None
    if server.ca_file is not None and address.startswith("wss"):
        trust = ssl.create_default_context(cafile=str(server.ca_file))
    try:
        with connect(
            address,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={"Authorization": f"Bearer {server.token}"},
            open_timeout=OPEN_TIMEOUT,
            ssl=trust,
        ) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            asked = {"query": text, "variables": variables}
            for message in map(json.loads, socket):
                if message["type"] == "connection_ack":
                    socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": asked}))
                elif message["type"] == "next":
                    click.echo(json.dumps(message["payload"].get("data")))
                elif message["type"] == "error":
                    raise AnswerError({"errors": message["payload"]})
                elif message["type"] == "complete":
                    return
    except ConnectionClosed as error:
        raise RequestError(_ended(error, server)) from error
    except (OSError, TimeoutError, WebSocketException) as error:
        raise RequestError(f"{address} cannot be followed: {error}") from error


def _ended(error: Any, server: Server) -> str:
    closed = error.rcvd
    if closed is None:
        return f"The connection to {server.url} broke; go on with the last cursor as `after`."
    return f"{server.url} ended the subscription: {closed.reason or 'no reason given'} ({closed.code})."
