"""What every HTTP answer passes through: body limit, security headers, log and metrics.

Plain ASGI, as this runs for each request of the fast path. Requests are logged without their query
string and without headers, so no token ever reaches a log.
"""

import logging
import time
from http import HTTPStatus

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggregator.metrics import HTTP_REQUESTS, HTTP_SECONDS

log = logging.getLogger("aggregator.http")

ROUTES = frozenset({"/", "/graphql", "/healthz", "/readyz", "/metrics", "/admin/tokens"})
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)
# For answers that are data. A page brings its own policy.
DATA_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


def error_body(code: str, message: str) -> bytes:
    """Say what went wrong in the shape of a GraphQL answer."""
    error = {"message": message, "extensions": {"code": code}}
    return msgspec.json.encode({"data": None, "errors": [error]})


class Edge:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, body_bytes: int, access_log: bool) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, bounded, and its answer back, completed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message)
            await send(message)

        try:
            bounded = await self._bounded(scope, receive)
            if bounded is None:
                await _refuse_body(send_completed, self._body_bytes)
            else:
                await self._app(scope, bounded, send_completed)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive | None:
        """Return a receive that yields no more than the limit; None where the body exceeds it."""
        length, chunked = _announced(scope)
        if not chunked:  # the server holds a body to its announced length
            return receive if length <= self._body_bytes else None
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._body_bytes:
                return None
            if not message.get("more_body", False):
                break
        return _replay(b"".join(parts), receive)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"]
        route = path if path in ROUTES else "other"
        HTTP_REQUESTS.labels(route, str(status)).inc()
        HTTP_SECONDS.labels(route).observe(seconds)
        level = logging.INFO
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            level = logging.ERROR
        elif status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            level = logging.WARNING
        if self._access_log or level > logging.INFO:
            client = scope.get("client")
            log.log(
                level,
                "%s %s → %d in %.1f ms, from %s",
                scope["method"],
                ascii(path)[1:-1],
                status,
                seconds * 1000,
                client[0] if client else "a socket",
            )


def _announced(scope: Scope) -> tuple[int, bool]:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value), False
        if name == b"transfer-encoding":
            return 0, True
    return 0, False


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _complete(message: Message) -> None:
    headers = list(message.get("headers", ()))
    given = {name for name, _ in headers}
    headers += [header for header in SECURITY_HEADERS if header[0] not in given]
    if not any(name == b"content-security-policy" for name, _ in headers):
        is_page = any(
            name == b"content-type" and value.startswith(b"text/html") for name, value in headers
        )
        if not is_page:
            headers.append(DATA_POLICY)
    message["headers"] = headers


async def _refuse_body(send: Send, limit: int) -> None:
    body = error_body("LIMIT_EXCEEDED", f"The body of a request has at most {limit:,} bytes.")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
