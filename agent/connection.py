"""One HTTP connection of a sender of events: requests in, answers out, in their order.

Falco posts event by event, so what a request costs is what the agent costs: this is an
`asyncio.Protocol` on httptools' parser, without a task or a stream a request. What is not let in is
known by its head, and its body is not kept. Numbers stand in bench/results/events.md.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

import httptools
from msgspec import Struct

logger = logging.getLogger(__name__)

HEAD_BYTES = 16 * 2**10  # of a request's line and headers
PIPELINED = 32  # requests of one connection that wait for their answers; more are not read
REQUEST_TIMEOUT = 30.0  # seconds until a request has come whole
KEEP_ALIVE = 75.0  # seconds that an idle connection is kept
LINGER = 5.0  # seconds that what follows a refused request is read, so that its answer arrives

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Answer(Struct, frozen=True):
    """What a request is answered with."""

    status: int = HTTPStatus.OK
    text: str = ""
    close: bool = False  # nothing more of the connection is of use


class Head(Struct):
    """What is known of a request before its body."""

    peer: str
    method: bytes = b""
    url: bytes = b""
    length: int | None = None  # of the body, in bytes, where it is told
    encoding: bytes = b""
    expects: bool = False  # waits for leave to send the body

    @property
    def path(self) -> bytes:
        """The URL's path."""
        return self.url.partition(b"?")[0]


class Site(Protocol):
    """What a connection is part of. Nothing here waits or raises."""

    date: bytes  # for answers

    def opened(self, connection: "Connection") -> bool:
        """Take in a connection; False where there are too many."""

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""

    def admit(self, head: Head) -> Answer | None:
        """Return the answer that a request's head alone decides on; None where the body does."""

    def hold(self, size: int) -> Answer | None:
        """Make room for bytes of a body that is on its way; negative gives them back."""

    def take(self, head: Head, body: bytes, answer: Callable[[Answer], None]) -> None:
        """Work on a request and answer it, now or later."""

    def fits(self, size: int) -> Answer | None:
        """Return what a body of so many bytes is refused with; None where it fits."""


class Connection(asyncio.Protocol):
    """One connection; the loop calls it, and so does the parser."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._peer = ""
        self._unanswered: deque[list[Answer]] = deque()  # an empty list is not answered yet
        self._reading = self._writable = True
        self._ending = False  # nothing more is taken
        self._head: Head | None = None  # of the request that is on its way
        self._in_head = True
        self._idle_bytes = 0  # that came since the last of a body
        self._decided: Answer | None = None  # by the head
        self._body: bytes | bytearray = b""
        self._size = 0
        self.deadline = self._loop.time() + REQUEST_TIMEOUT

    # ------------------------------------------------------------ of the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        if not self._site.opened(self):
            self._end(Answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", close=True))
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._ending:
            return  # the rest of a refused request
        self._idle_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            logger.exception("a connection failed")
            self._transport.abort()
        except httptools.HttpParserUpgrade:
            self._end(Answer(HTTPStatus.BAD_REQUEST, "no other protocol is spoken", close=True))
        except httptools.HttpParserError as error:
            self._end(Answer(HTTPStatus.BAD_REQUEST, f"this is not HTTP: {error}", close=True))
        if self._idle_bytes > HEAD_BYTES:  # of a request's head, or of a body's chunks and trailers
            limit = f"a request's head has at most {HEAD_BYTES:,} bytes"
            self._end(Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, limit, close=True))
        elif len(self._unanswered) > PIPELINED:
            self._pause()

    def eof_received(self) -> bool:
        """Go on as long as answers are due."""
        self._ending = True
        return bool(self._unanswered)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        """Forget everything; answers that are due find nobody."""
        self._ending = True
        self._drop_body()
        self._site.closed(self)

    def pause_writing(self) -> None:
        """Read nothing from who does not read."""
        self._writable = False
        self._pause()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._resume()

    # ------------------------------------------------------------ of the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._head = Head(self._peer)
        self._decided = None
        self.deadline = self._loop.time() + REQUEST_TIMEOUT

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        if self._head is not None:
            self._head.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; few are of interest, and none that follows the body."""
        head = self._head
        if head is None or not self._in_head:
            return
        name = name.lower()
        if name == b"content-length" and value.isdigit():
            head.length = int(value)
        elif name == b"content-encoding":
            head.encoding = value.strip().lower()
        elif name == b"expect":
            head.expects = value.strip().lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Decide by the head whether the body is of interest."""
        self._in_head, self._idle_bytes = False, 0
        head = self._head
        if head is None or self._ending:
            return
        head.method = self._parser.get_method()
        decided = self._site.admit(head)
        if decided is not None and head.method == b"HEAD":
            decided = Answer(decided.status)  # its answer has no body
        if decided is None and head.length is not None:
            decided = self._site.fits(head.length)
        self._decided = decided
        if decided is not None and (decided.close or head.expects):
            self._end(decided)
        elif head.expects:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, if it is of interest and there is room."""
        self._idle_bytes = 0
        if self._ending or self._decided is not None:
            return
        refused = self._site.fits(self._size + len(body)) or self._site.hold(len(body))
        if refused is not None:
            self._end(refused)
            return
        if not self._size:
            self._body = body
        elif isinstance(self._body, bytearray):
            self._body += body
        else:
            self._body = bytearray(self._body) + body
        self._size += len(body)

    def on_message_complete(self) -> None:
        """Hand the request on."""
        head, self._head, self._in_head = self._head, None, True
        self._idle_bytes = 0
        if self._ending or head is None:
            return
        self.deadline = self._loop.time() + KEEP_ALIVE
        self._ending = not self._parser.should_keep_alive()
        body = bytes(self._body)
        self._drop_body()
        slot: list[Answer] = []
        self._unanswered.append(slot)
        if self._decided is not None:
            self._answer(slot, self._decided)
        else:
            self._site.take(head, body, lambda answer: self._answer(slot, answer))

    # ------------------------------------------------------------ answers

    def expire(self) -> None:
        """End a connection whose deadline has passed."""
        if self._transport.is_closing():
            self._transport.abort()  # it does not read what it was answered
            return
        if self._unanswered:
            return  # it waits for us
        if self._head is not None and not self._ending:
            late = "the request did not come in time"
            self._end(Answer(HTTPStatus.REQUEST_TIMEOUT, late, close=True))
        else:
            self._transport.close()

    def drain(self) -> None:
        """Take nothing more; what has come whole is answered."""
        self._ending = True
        self._drop_body()
        if not self._unanswered:
            self._transport.close()

    def _answer(self, slot: list[Answer], answer: Answer) -> None:
        slot.append(answer)
        written = []
        while self._unanswered and self._unanswered[0]:
            [one] = self._unanswered.popleft()
            self._ending = self._ending or one.close
            last = self._ending and not self._unanswered
            written.append(_bytes(one, self._site.date, close=last))
        if not written or self._transport.is_closing():
            return
        self._transport.write(b"".join(written))
        if self._ending and not self._unanswered:
            self.deadline = self._loop.time() + LINGER
            self._transport.close()
        else:
            self._resume()

    def _end(self, answer: Answer) -> None:
        """Answer and take nothing more; what still comes is read and dropped for a while."""
        if self._ending:
            return
        self._ending = True
        self._drop_body()
        self.deadline = self._loop.time() + LINGER
        if self._unanswered:  # those of earlier requests come first
            self._unanswered.append([answer])
        else:
            self._transport.write(_bytes(answer, self._site.date, close=True))

    def _drop_body(self) -> None:
        if self._size:
            self._site.hold(-self._size)
        self._body, self._size = b"", 0

    def _pause(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._reading or self._transport.is_closing():
            return
        if self._writable and len(self._unanswered) <= PIPELINED:
            self._reading = True
            self._transport.resume_reading()


def _bytes(answer: Answer, date: bytes, *, close: bool) -> bytes:
    if answer.status == HTTPStatus.OK and not answer.text and not close:
        return b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Length: 0\r\n\r\n" % date
    text = f"{answer.text}\n".encode() if answer.text else b""
    end = b"Connection: close\r\n" if close else b""
    return (
        b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: text/plain; charset=utf-8\r\n%b"
        b"Content-Length: %d\r\n\r\n%b"
    ) % (answer.status, _PHRASES[answer.status].encode(), date, end, len(text), text)
