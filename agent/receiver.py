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
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from agent import alerts, gaps
from agent.errors import FatalError
from agent.event_table import Entry
from agent.falco_health import Health
from agent.gaps import Loss
from agent.intake import BusyError, Intake, now
from agent.receiver_settings import ReceiverSettings
from agent.redaction import Redactor, redact_event
from agent.spool import SpoolError
from protocol.messages import Priority
from sources import falco
from sources.report import UnreadableError

logger = logging.getLogger(__name__)

PATH = "/falco"
BODIES = 64  # read at the same time
BODY_TIMEOUT = 30.0  # seconds until a body has come
KEEP_ALIVE = 75.0  # seconds that an idle connection is kept
EVENT_BYTES = 256 * 2**10  # of one event as it is kept
OFF_LOOP_BYTES = 64 * 2**10  # bodies above this are read in a thread


class Receiver:
    """The HTTP server; `run` serves until cancelled."""

    def __init__(self, settings: ReceiverSettings, intake: Intake, redactor: Redactor) -> None:
        self._settings = settings
        self._intake = intake
        self._redactor = redactor
        self._health = Health(intake.lose)
        self._bodies = asyncio.Semaphore(BODIES)
        self._path = f"{PATH}/{settings.secret}" if settings.secret else PATH
        self.port = 0  # that it listens on
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Serve. Raises `FatalError` where the address cannot be taken."""
        server = web.Server(self._handle, access_log=None, keepalive_timeout=KEEP_ALIVE)
        runner = web.ServerRunner(server)
        await runner.setup()
        try:
            host, port = self._settings.address
            site = web.TCPSite(runner, host, port, ssl_context=self._trust())
            try:
                await site.start()
            except OSError as error:
                raise FatalError(f"cannot listen on {host}:{port}: {error.strerror}") from error
            self.port = runner.addresses[0][1]
            self.started.set()
            logger.info("taking Falco's events on %s:%d%s/…", host, self.port, PATH)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

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

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/healthz":
            return web.Response(text="alive\n")
        if not hmac.compare_digest(request.path.encode(), self._path.encode()):
            return _answer(HTTPStatus.NOT_FOUND, f"events go to {PATH}/SECRET, by POST")
        if request.method != "POST":
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, "events come by POST")
        try:
            async with self._bodies:
                body = await self._read(request)
        except TimeoutError:
            return _answer(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time")
        except (web.RequestPayloadError, ValueError) as error:
            return _answer(HTTPStatus.BAD_REQUEST, f"the body cannot be unpacked: {error}")
        return await self._take(body, request.remote or "")

    async def _read(self, request: web.BaseRequest) -> bytes | None:
        """Return the body; None where it is larger than allowed, unpacked."""
        parts: list[bytes] = []
        size = 0
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > self._settings.body_bytes:
                    return None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _take(self, body: bytes | None, peer: str) -> web.StreamResponse:
        if body is None:
            return self._too_large(f"a body has at most {self._settings.body_bytes:,} bytes")
        try:
            if len(body) > OFF_LOOP_BYTES:
                entries = await asyncio.to_thread(self.entries, body, peer)
            else:
                entries = self.entries(body, peer)
        except UnreadableError as error:
            return _answer(HTTPStatus.BAD_REQUEST, str(error))
        largest = max((len(entry.body) for entry in entries), default=0)
        if largest > EVENT_BYTES:
            return self._too_large(f"an event has at most {EVENT_BYTES:,} bytes, not {largest:,}")
        try:
            await self._intake.put(entries)
        except (BusyError, SpoolError) as error:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, f"not kept: {error}")
        return web.Response()

    def entries(self, body: bytes, peer: str) -> Sequence[Entry]:
        """Read, redact and describe the events of a body. Raises `UnreadableError`."""
        received_at = now()
        entries = []
        for item in falco.read(body):
            if isinstance(item, falco.Internal):
                self._health.take(item, received_at)
                continue
            alert = redact_event(item, self._redactor)
            entries.append(
                alerts.entry(alert, self._intake.inventory, sender=peer, now=received_at)
            )
        return entries

    def _too_large(self, reason: str) -> web.Response:
        moment = now()
        loss = Loss(gaps.TOO_LARGE)
        loss.add(Priority.NOTICE, moment, moment)
        loss.priorities = {}  # nobody has read it
        self._intake.lose(loss)
        return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)


def _answer(status: HTTPStatus, reason: str) -> web.Response:
    if status not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        logger.warning("an event is refused with %d: %s", status, reason)
    return web.Response(status=status, text=f"{reason}\n")
