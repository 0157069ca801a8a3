"""The one seam to the Kubernetes API: bytes in, our own errors out.

Everything the agent asks of a cluster goes through `Api.get` (one answer, bounded) and
`Api.stream` (an answer read chunk by chunk). Where the API server is, certificates, tokens and
proxies come from kubernetes-asyncio (`agent.kubeconfig`); nothing outside these two modules knows
it or aiohttp. Answers are not decoded here: each caller picks the few fields it reads.

    ApiError
    ├── UnauthorizedError        401
    ├── ForbiddenError           403
    ├── NotFoundError            404
    ├── ExpiredError             410, also inside a watch; `proceed` may carry a new continue token
    ├── InvalidError             400, 405, 406, 415, 422: this server does not take that request
    ├── TooManyRequestsError     429; `retry_after` seconds
    ├── TooLargeError            more bytes than the caller takes
    └── UnavailableError         5xx, network, time-outs, answers that are not what they should be
"""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import aiohttp
import msgspec
from msgspec import Struct

from agent.kubeconfig import ConfigurationError, Login, find, load

JSON = "application/json"
READ_BYTES = 2**16  # what aiohttp holds of an answer per connection before it stops reading
ANSWER_BYTES = 4 * 2**20  # the default most of one answer
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # for a whole bounded answer
ERROR_BYTES = 2**16  # of an error's body
LOGIN_AGAIN_SECONDS = 10.0  # least time between two logins: a plugin may be slow or interactive

OK, NOT_MODIFIED, UNAUTHORIZED = 200, 304, 401  # HTTP

log = logging.getLogger(__name__)

Query = Mapping[str, str]


class ApiError(Exception):
    """The Kubernetes API did not give what was asked for."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,  # 0: there was no answer
        retry_after: float | None = None,  # seconds, where the server says
        proceed: str = "",  # a continue token for the rest of an expired list
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.proceed = proceed


class UnauthorizedError(ApiError):
    """The server does not know us."""


class ForbiddenError(ApiError):
    """We are known and may not do this."""


class NotFoundError(ApiError):
    """The object, or the whole kind, is not there."""


class ExpiredError(ApiError):
    """The version or continue token is too old."""


class InvalidError(ApiError):
    """This server does not take such a request."""


class TooManyRequestsError(ApiError):
    """The server asks to come back later."""


class TooLargeError(ApiError):
    """The answer is larger than the caller takes."""


class UnavailableError(ApiError):
    """No server, no answer, or not an answer."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: InvalidError,
    406: InvalidError,
    410: ExpiredError,
    415: InvalidError,
    422: InvalidError,
    429: TooManyRequestsError,
}


class _Details(Struct, frozen=True):
    retryAfterSeconds: float | None = None  # noqa: N815 - as on the wire


class _ListMeta(Struct, frozen=True):
    proceed: str = msgspec.field(default="", name="continue")


class Status(Struct, frozen=True):
    """What the API says of an error, as a body or as the object of an ERROR event."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: _Details | None = None
    metadata: _ListMeta | None = None

    def error(self, attempt: str, *, code: int = 0, retry_after: float | None = None) -> ApiError:
        """Make the exception; `code` and `retry_after` are those of HTTP, if any."""
        code = code or self.code
        if self.details is not None and self.details.retryAfterSeconds is not None:
            retry_after = self.details.retryAfterSeconds
        return _BY_STATUS.get(code, UnavailableError)(
            f"{attempt}: {code} {self.message or self.reason or 'no reason given'}",
            status=code,
            retry_after=retry_after,
            proceed=self.metadata.proceed if self.metadata else "",
        )


_decode_status = msgspec.json.Decoder(Status).decode


class _Session:
    """One login. It is closed when it is retired and the last answer of it is read."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self.answers = 0  # being read
        self.retired = False
        try:
            self.rest = load("client.rest").RESTClientObject(configuration)
        except (OSError, ssl.SSLError) as exc:
            raise ConfigurationError(f"cannot use the certificates: {exc}") from exc

    async def close_unused(self) -> None:
        """Close if nobody will use it again."""
        if self.retired and not self.answers:
            await self.rest.close()


class Api:
    """An API server, asked with GET only."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._session: _Session | None = None
        self._logged_in_at = 0.0  # of the loop's clock
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._log_in()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.rest.close()

    async def _log_in(self) -> _Session:
        before, session = self._session, _Session(await self._login())
        self._session = session
        self._logged_in_at = asyncio.get_running_loop().time()
        if before is not None:
            before.retired = True
            await before.close_unused()
        return session

    async def _log_in_again(self, refused: _Session) -> _Session | None:
        """After a 401. Returns the session to try with, None where that makes no sense."""
        async with self._logging_in:
            if self._session is not refused:
                return self._session  # someone else has logged in meanwhile
            if asyncio.get_running_loop().time() - self._logged_in_at < LOGIN_AGAIN_SECONDS:
                return None
            try:
                return await self._log_in()
            except ConfigurationError as exc:
                log.warning("cannot log in again: %s", exc)
                return None

    async def get(
        self,
        path: str,
        *,
        query: Query | None = None,
        accept: str = JSON,
        limit: int = ANSWER_BYTES,
    ) -> bytes:
        """Read a whole answer of at most `limit` bytes, else raise `TooLargeError`."""
        async with (
            self._within(path),
            self._answer(path, query or {}, {"Accept": accept}) as answer,
        ):
            return await _whole(answer, path, limit)

    async def get_changed(
        self, path: str, *, etag: str, accept: str = JSON, limit: int = ANSWER_BYTES
    ) -> tuple[bytes | None, str]:
        """Read a whole answer with its ETag, None where it is still the one of `etag`."""
        headers = {"Accept": accept} | ({"If-None-Match": etag} if etag else {})
        async with self._within(path), self._answer(path, {}, headers) as answer:
            if answer.status == NOT_MODIFIED:
                return None, etag
            return await _whole(answer, path, limit), answer.headers.get("ETag", "")

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, query: Query | None = None, accept: str = JSON
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an answer and read it as it comes, without a limit on size or time."""
        async with self._answer(path, query or {}, {"Accept": accept}) as answer:
            yield _chunks(answer, path)

    @contextlib.asynccontextmanager
    async def _within(self, path: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except TimeoutError as exc:
            raise UnavailableError(f"GET {path}: no answer within {ANSWER_SECONDS:.0f} s") from exc

    @contextlib.asynccontextmanager
    async def _answer(
        self, path: str, query: Query, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and ask once more with a new login where the old one is refused."""
        session = self._session
        if session is None:
            raise UnavailableError(f"GET {path}: not connected")
        async with contextlib.AsyncExitStack() as stack:
            response = await stack.enter_async_context(_ask(session, path, query, headers))
            if response.status == UNAUTHORIZED:
                again = await self._log_in_again(session)
                if again is not None:
                    await stack.aclose()
                    response = await stack.enter_async_context(_ask(again, path, query, headers))
            if response.status not in (OK, NOT_MODIFIED):
                raise await _error(response, path)
            yield response


@contextlib.asynccontextmanager
async def _ask(
    session: _Session, path: str, query: Query, asked: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    configuration, rest = session.configuration, session.rest
    headers = {"Accept-Encoding": "identity", **asked}
    for setting in (await configuration.auth_settings()).values():
        if setting["value"]:
            headers[setting["key"]] = setting["value"].strip()
    options: dict[str, Any] = {}
    if rest.server_hostname:
        options["server_hostname"] = rest.server_hostname
    session.answers += 1
    try:
        try:
            response: aiohttp.ClientResponse = await rest.pool_manager.get(
                configuration.host + path,
                params=query,
                headers=headers,
                proxy=rest.proxy,
                proxy_headers=rest.proxy_headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                read_bufsize=READ_BYTES,
                allow_redirects=False,
                **options,
            )
        except (aiohttp.ClientError, OSError) as exc:  # a TimeoutError is an OSError
            raise UnavailableError(f"GET {path}: {type(exc).__name__}: {exc}") from exc
        try:
            yield response
        finally:
            response.close()  # gives the connection back where all of it was read
    finally:
        session.answers -= 1
        await session.close_unused()


def connect(*, kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None) -> Api:
    """Make the connection that kubectl would make here; raises on entry, `ConfigurationError`."""
    return Api(find(os.fspath(kubeconfig) if kubeconfig else None, context=context))


async def _chunks(answer: aiohttp.ClientResponse, path: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as exc:
        raise UnavailableError(f"GET {path}: {type(exc).__name__}: {exc}") from exc


async def until_silent(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Pass chunks on until none comes for so long; a dead connection then looks closed."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(chunks, None)
        except TimeoutError:
            return
        if chunk is None:
            return
        yield chunk


async def _whole(answer: aiohttp.ClientResponse, path: str, limit: int) -> bytes:
    body = bytearray()
    async for chunk in _chunks(answer, path):
        body += chunk
        if len(body) > limit:
            raise TooLargeError(f"GET {path}: more than {limit} bytes")
    return bytes(body)


async def _error(response: aiohttp.ClientResponse, path: str) -> ApiError:
    retry_after = None
    with contextlib.suppress(ValueError):  # no such header, or a date
        retry_after = float(response.headers.get("Retry-After", ""))
    status = await _status(response)
    return status.error(f"GET {path}", code=response.status, retry_after=retry_after)


async def _status(response: aiohttp.ClientResponse) -> Status:
    body = b""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while len(body) < ERROR_BYTES and (chunk := await response.content.readany()):
                body += chunk
    except (aiohttp.ClientError, OSError):
        log.debug("the body of an error did not come")
    try:
        return _decode_status(body)
    except (msgspec.MsgspecError, RecursionError):
        return Status(message=body[:200].decode(errors="replace") or (response.reason or ""))
