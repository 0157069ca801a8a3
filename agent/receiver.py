"""Where Falco and falcosidekick POST their events: 200 only once they are on disk.

    POST /falco/SECRET        one JSON object, an array of them, or one a line; gzip or not
    GET  /healthz             for probes

Falco sends no header of our choosing, so the secret stands in the path; with mutual TLS the client's
certificate is enough and the path is /falco. What is refused says why, and is counted where Falco
will not send it again.
"""

import asyncio
import hmac
import logging
import ssl
import time
import zlib
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from msgspec import Struct

from agent import alerts, gaps
from agent.connection import Answer, Connection, Head
from agent.errors import FatalError
from agent.event_table import Entry
from agent.falco_health import Health
from agent.gaps import Loss
from agent.intake import BusyError, Intake, now
from agent.receiver_settings import ReceiverSettings
from agent.redaction import Redactor, redact_event
from agent.spool import SpoolError
from sources import falco
from sources.report import UnreadableError

logger = logging.getLogger(__name__)

PATH = "/falco"
CONNECTIONS = 2_000  # at the same time
ARRIVING_BYTES = 64 * 2**20  # of bodies that are on their way, or were not read yet
THREADS = 2  # that read large bodies, or unpack
SLICE = 0.005  # seconds of reading, after which the rest of the agent has its turn
EVENT_BYTES = 256 * 2**10  # of one event as it is kept
OFF_LOOP_BYTES = 64 * 2**10  # bodies above this are read in a thread
SWEEP = 1.0  # seconds between looks for connections that have had their time
BACKLOG = 1_024  # connections that wait to be taken
HANDSHAKE_TIMEOUT = 10.0  # seconds
UNPACKING = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}  # zlib's window bits

Answering = Callable[[Answer], None]

_ALIVE = Answer(text="alive")
_KEPT = Answer()
_FAILED = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "not kept: see the agent's log")


class Body(Struct):
    """What a request brought; `received_at` is ms since 1970."""

    received_at: int
    entries: list[Entry]
    internals: list[falco.Internal]


class Receiver:
    """The HTTP server; `run` serves until cancelled."""

    def __init__(self, settings: ReceiverSettings, intake: Intake, redactor: Redactor) -> None:
        self._settings = settings
        self._intake = intake
        self._redactor = redactor
        self._health = Health(intake.lose)
        self._path = (f"{PATH}/{settings.secret}" if settings.secret else PATH).encode()
        self._connections: set[Connection] = set()
        self._arriving = 0  # bytes
        self._unread: deque[tuple[Head, bytes, Answering]] = deque()
        self._apart: set[asyncio.Task[None]] = set()
        self._threads = asyncio.Semaphore(THREADS)
        self.date = b""
        self.port = 0  # that it listens on
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Serve. Raises `FatalError` where the address cannot be taken."""
        loop = asyncio.get_running_loop()
        host, port = self._settings.address
        trust = self._trust()
        try:
            server = await loop.create_server(
                lambda: Connection(self),
                host,
                port,
                backlog=BACKLOG,
                ssl=trust,
                ssl_handshake_timeout=None if trust is None else HANDSHAKE_TIMEOUT,
            )
        except OSError as error:
            raise FatalError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        logger.info("taking Falco's events on %s:%d%s/…", host, self.port, PATH)
        try:
            while True:
                self.date = formatdate(usegmt=True).encode()
                for connection in list(self._connections):
                    if connection.deadline < loop.time():
                        connection.expire()
                await asyncio.sleep(SWEEP)
        finally:
            server.close()
            for connection in list(self._connections):
                connection.drain()

    def _trust(self) -> ssl.SSLContext | None:
        settings = self._settings
        if settings.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(settings.certificate, settings.key)
            if settings.client_ca is not None:
                context.load_verify_locations(settings.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise FatalError(f"The receiver's certificates cannot be used: {error}") from error
        return context

    # ------------------------------------------------------------ for connections

    def opened(self, connection: Connection) -> bool:
        """Take in a connection; False where there are too many."""
        if len(self._connections) >= CONNECTIONS:
            logger.warning("a connection is refused: there are %d", CONNECTIONS)
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def admit(self, head: Head) -> Answer | None:
        """Return the answer that a request's head alone decides on; None where the body does."""
        path = head.path
        if hmac.compare_digest(path, self._path):
            if head.method != b"POST":
                return Answer(HTTPStatus.METHOD_NOT_ALLOWED, "events come by POST")
            if head.encoding and head.encoding not in UNPACKING:
                return _refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a body may be packed by gzip")
            return None
        if path == b"/healthz":
            return _ALIVE
        return Answer(HTTPStatus.NOT_FOUND, f"events go to {PATH}/SECRET, by POST")

    def fits(self, size: int) -> Answer | None:
        """Return what a body of so many bytes is refused with; None where it fits."""
        limit = self._settings.body_bytes
        return self._too_large(f"a body has at most {limit:,} bytes") if size > limit else None

    def hold(self, size: int) -> Answer | None:
        """Make room for bytes of a body that is on its way; negative gives them back."""
        if self._arriving + size > ARRIVING_BYTES:
            busy = f"not kept: {ARRIVING_BYTES:,} bytes of bodies are on their way"
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, busy, close=True)
        self._arriving += size
        return None

    def take(self, head: Head, body: bytes, answer: Answering) -> None:
        """Keep a body's events, and answer: soon, so that what else the agent does has its turn."""
        self._arriving += len(body)
        if head.encoding or len(body) > OFF_LOOP_BYTES:
            task = asyncio.create_task(self._read_apart(head, body, answer))
            self._apart.add(task)
            task.add_done_callback(self._apart.discard)
            return
        if not self._unread:
            asyncio.get_running_loop().call_soon(self._read)
        self._unread.append((head, body, answer))

    # ------------------------------------------------------------ bodies

    def _read(self) -> None:
        """Read bodies for a while."""
        until = time.monotonic() + SLICE
        while self._unread and time.monotonic() < until:
            head, body, answer = self._unread.popleft()
            self._arriving -= len(body)
            try:
                self._keep(self.read(body, head.peer), answer)
            except UnreadableError as error:
                answer(_refused(HTTPStatus.BAD_REQUEST, str(error)))
            except Exception:
                logger.exception("a request failed")
                answer(_FAILED)
        if self._unread:
            asyncio.get_running_loop().call_soon(self._read)

    async def _read_apart(self, head: Head, body: bytes, answer: Answering) -> None:
        """Read a body in a thread, as it may take long."""
        try:
            async with self._threads:
                read = await asyncio.to_thread(self._unpack, head, body)
            if read is None:
                answer(self._too_large(f"a body has at most {self._settings.body_bytes:,} bytes"))
            else:
                self._keep(read, answer)
        except UnreadableError as error:
            answer(_refused(HTTPStatus.BAD_REQUEST, str(error)))
        except Exception:
            logger.exception("a request failed")
            answer(_FAILED)
        finally:
            self._arriving -= len(body)

    def _unpack(self, head: Head, body: bytes) -> Body | None:
        """Unpack a body and read it; None where it is too large. Raises `UnreadableError`."""
        if not head.encoding:
            return self.read(body, head.peer)
        unpacking = zlib.decompressobj(UNPACKING[head.encoding])
        try:
            whole = unpacking.decompress(body, self._settings.body_bytes + 1)
        except zlib.error as error:
            raise UnreadableError(f"the body cannot be unpacked: {error}") from error
        if len(whole) > self._settings.body_bytes:
            return None
        if not unpacking.eof:
            raise UnreadableError("the body cannot be unpacked: its end is missing")
        return self.read(whole, head.peer)

    def read(self, body: bytes, peer: str) -> Body:
        """Read, redact and describe the events of a body. Raises `UnreadableError`."""
        read = Body(now(), [], [])
        for item in falco.read(body):
            if isinstance(item, falco.Internal):
                read.internals.append(item)
                continue
            alert = redact_event(item, self._redactor)
            read.entries.append(
                alerts.entry(alert, self._intake.inventory, sender=peer, now=read.received_at)
            )
        return read

    def _keep(self, read: Body, answer: Answering) -> None:
        def done(error: SpoolError | BusyError | None) -> None:
            if error is None:
                for internal in read.internals:
                    self._health.take(internal, read.received_at)
                answer(_KEPT)
            else:
                answer(_refused(HTTPStatus.SERVICE_UNAVAILABLE, f"not kept: {error}"))

        largest = max((len(entry.body) for entry in read.entries), default=0)
        if largest > EVENT_BYTES:
            limit = f"an event has at most {EVENT_BYTES:,} bytes, not {largest:,}"
            answer(self._too_large(limit, events=len(read.entries)))
            return
        try:
            self._intake.take(read.entries, done)
        except BusyError as error:
            done(error)

    def _too_large(self, reason: str, *, events: int = 1) -> Answer:
        moment = now()
        self._intake.lose(Loss(gaps.TOO_LARGE, events, moment, moment))
        return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason, close=True)


def _refused(status: HTTPStatus, reason: str, *, close: bool = False) -> Answer:
    logger.warning("an event is refused with %d: %s", status, reason)
    return Answer(status, reason, close)
