"""The one socket to the aggregator.

Connects, and connects again with jittered back-off for ever; feeds a pure session with frames and
changes, and carries out what it says. While there is no connection changes are let go: the state
knows them, and the next session finds them by comparing fingerprints.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import aiohttp

from agent import session as s
from agent.backoff import Backoff
from agent.entries import now
from agent.errors import FatalError
from agent.settings import Settings
from agent.state import Change, State
from protocol import messages as m

if TYPE_CHECKING:
    from agent.delivery import Delivery
    from agent.intake import Intake

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 15.0  # seconds to a WebSocket
WELCOME_TIMEOUT = 30.0  # seconds from Hello to Welcome
LINGER = 0.02  # seconds that changes wait for company before they are offered
FRAME_BYTES = 16 * 2**20  # largest frame that is taken
SILENCE_HEARTBEATS = 3  # heartbeats without any frame until the connection counts as dead
STEADY = (
    30.0  # seconds after which a session counts as a success, and the next one may come at once
)
RETRY_JITTER = 0.2  # of the wait that a Goodbye asks for


class RefusedError(Exception):
    """The aggregator will not have this agent; trying again at once will not help."""


class Uplink:
    """The agent's connection; an `Outlet` for feeders."""

    def __init__(
        self,
        state: State,
        settings: Settings,
        hello: Callable[[], m.Hello],
        resend: Callable[[str, Iterable[m.Key]], Awaitable[None]],
        *,
        partial: bool = False,
        events: "Intake | None" = None,  # None where nobody takes events
        clock: Callable[[], int] = now,
    ) -> None:
        """`resend` puts entries in again, of which the aggregator says that it lacks them.

        A partial state is added to what the aggregator holds, which keeps all else. `clock` tells ms
        since 1970 as the cluster has it.
        """
        self._partial = partial
        self._events = events
        self._clock = clock
        self._delivery: Delivery | None = None
        self._welcomed = asyncio.Event()
        self._state = state
        self._settings = settings
        self._hello = hello
        self._resend = resend
        self._strikes: s.Strikes = Counter()
        self._session: s.Session | None = None
        self._work = asyncio.Event()  # there may be something to send
        self._room = asyncio.Event()  # the outbox may have room again
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._resends: asyncio.Queue[s.Resend] = asyncio.Queue()
        self._resending = 0
        self.first_attempt = asyncio.Event()  # set once it is known whether there is an aggregator
        self.sent = 0  # entries
        self.rejected: dict[tuple[str, m.Key], str] = {}
        self.failure = ""  # why there is no connection
        self._leaving = False  # this side said Goodbye

    @property
    def connected(self) -> bool:
        """Whether the aggregator has said Welcome."""
        return self._session is not None and self._session.welcome is not None

    @property
    def idle(self) -> bool:
        """Whether the aggregator holds all that the state holds, as far as this side knows."""
        return (
            self._session is not None
            and self._session.idle
            and not self._resending
            and self._resends.empty()
            and self._outgoing.empty()
            and (self._events is None or not self._events.waiting)
        )

    async def run(self) -> None:
        """Keep a connection, for ever."""
        async with aiohttp.ClientSession() as client:
            await self.keep(client)

    async def keep(self, client: aiohttp.ClientSession) -> None:
        """Keep a connection, for ever, that a client opens."""
        backoff = Backoff()
        while True:
            wait: float | None = None
            began = asyncio.get_running_loop().time()
            try:
                wait = await self.converse(client)
            except FatalError:
                raise
            except RefusedError as error:
                self._fail(str(error))
            except (aiohttp.ClientError, TimeoutError, OSError, s.ProtocolError) as error:
                self._fail(_reason(error))
            except Exception:
                # Whatever it is, it ends this session and not the agent, which takes events.
                self.failure = "a fault of the agent"
                logger.exception("the session ended by a fault of the agent")
            if asyncio.get_running_loop().time() - began >= STEADY:
                backoff.reset()
            self.first_attempt.set()
            if wait is None:
                wait = backoff.next()
            else:
                wait *= random.uniform(1.0, 1.0 + RETRY_JITTER)  # noqa: S311 - spreads load
            logger.info("connecting again in %.1f s", wait)
            await asyncio.sleep(wait)

    async def converse(self, client: aiohttp.ClientSession) -> float | None:
        """Hold one session until it ends. Returns the wait that the aggregator asked for.

        Raises `RefusedError` where the aggregator will not have this agent.
        """
        socket = await self._open(client)
        session = s.Session(self._state, self._hello(), self._strikes, partial=self._partial)
        self._outgoing = asyncio.Queue()
        self._resends = asyncio.Queue()
        self._welcomed = asyncio.Event()
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._write(socket))]
        self._perform(session.start())
        self._session = session
        try:
            tasks += [
                asyncio.create_task(self._flush(session)),
                asyncio.create_task(self._serve_resends()),
                asyncio.create_task(self._beat(session)),
            ]
            if self._events is not None:
                tasks.append(asyncio.create_task(self._deliver(session, self._events)))
            reader = asyncio.create_task(self._read(socket, session))
            tasks.append(reader)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and task is not reader:
                    task.result()
            return await reader if reader.done() else None
        finally:
            self._session = None
            self._delivery = None
            self._resending = 0
            self._room.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(Exception):
                await socket.close()

    async def close(self, reason: m.Reason, message: str) -> None:
        """Say how things stand and Goodbye, and wait until it is sent."""
        if self._session is not None:
            self._leaving = True
            if self._session.welcome is not None:
                self._perform(self._session.heartbeat(self._heartbeat()))
            self._perform(self._session.goodbye(reason, message))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._outgoing.join()

    async def changed(self, change: Change) -> None:
        """Put in an entry; waits while the outbox is full."""
        session = self._session
        if session is None:
            return
        session.changed(change)
        self.sent += 1
        self._work.set()
        while session.full and session is self._session:
            self._room.clear()
            await self._room.wait()

    async def deleted(self, kind: str, keys: tuple[m.Key, ...], observed_at: int) -> None:
        """Put in entries that are gone."""
        if self._session is not None:
            self._session.deleted(kind, keys, observed_at)
            self._work.set()

    async def state_changed(self, kind: str) -> None:
        """Put in how well a kind is known."""
        if self._session is not None:
            self._session.state_changed(kind)
            self._work.set()

    async def _open(self, client: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        headers = self._settings.headers()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await client.ws_connect(
                    self._settings.socket_url,
                    headers=headers,
                    ssl=self._trust(),
                    protocols=(m.SUBPROTOCOL,),
                    max_msg_size=FRAME_BYTES,
                    compress=0,
                    autoping=True,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise RefusedError(_explain(error, self._settings.url)) from error
        except aiohttp.InvalidURL as error:
            raise RefusedError(f"{self._settings.url!r} is not a URL") from error

    def _trust(self) -> ssl.SSLContext | bool:
        if self._settings.ca_file is None:
            return True
        return ssl.create_default_context(cafile=self._settings.ca_file)

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, session: s.Session
    ) -> float | None:
        while True:
            welcome = session.welcome
            wait = WELCOME_TIMEOUT if welcome is None else welcome.heartbeat * SILENCE_HEARTBEATS
            async with asyncio.timeout(wait):
                message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                if not self._leaving:
                    code = socket.close_code
                    self._fail(f"the connection closed ({message.type.name.lower()}, code {code})")
                return None
            effects = session.receive(message.data)
            self._perform(effects)
            if session.welcome is not None and welcome is None:
                self.failure = ""
                self.first_attempt.set()
                self._welcomed.set()
                logger.info("connected to %s", self._settings.url)
                if self._partial:
                    for kind in self._state.kinds:
                        self._resends.put_nowait(s.Resend(kind, None))
            if not session.full:
                self._room.set()
            for effect in effects:
                if isinstance(effect, s.End):
                    return self._end(effect)

    def _end(self, end: s.End) -> float | None:
        self._fail(f"the aggregator said goodbye: {end.message} ({end.reason})")
        if end.reason in (m.Reason.REFUSED, m.Reason.UNSUPPORTED):
            raise RefusedError(end.message)
        return end.retry_after

    def _perform(self, effects: list[s.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, s.Send):
                self._outgoing.put_nowait(effect.frame)
            elif isinstance(effect, s.Resend):
                self._resends.put_nowait(effect)
            elif isinstance(effect, s.Committed):
                if self._delivery is not None:
                    self._delivery.stored(effect.stored)
            elif isinstance(effect, s.Rejected):
                for item in effect.items:
                    self.rejected[item.kind, item.key] = item.reason
                    logger.warning(
                        "%s %s/%s was not taken: %s",
                        item.kind,
                        item.key.namespace,
                        item.key.name,
                        item.reason,
                    )

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            frame = await self._outgoing.get()
            await socket.send_bytes(frame)
            self._outgoing.task_done()

    async def _flush(self, session: s.Session) -> None:
        """Send what has gathered. One frame at a time waits for the network, none piles up."""
        while True:
            await self._work.wait()
            await asyncio.sleep(LINGER)
            self._work.clear()
            await self._outgoing.join()
            self._perform(session.flush())
            if not session.full:
                self._room.set()

    async def _deliver(self, session: s.Session, events: "Intake") -> None:
        await self._welcomed.wait()
        from agent.delivery import Delivery

        if session.welcome is not None:
            self._delivery = Delivery(events, session.welcome, self._outgoing.put_nowait)
            await self._delivery.run()

    async def _serve_resends(self) -> None:
        while True:
            wanted = await self._resends.get()
            self._resending += 1
            keys = self._join_resends(wanted)
            if keys is None or self._partial:
                keys = tuple(key for key, _ in self._state.kind(wanted.kind).entries())
            await self._resend(wanted.kind, keys)
            self._resending -= 1
            self._work.set()

    def _join_resends(self, first: s.Resend) -> tuple[m.Key, ...] | None:
        """Put together what waits for the same kind, so that its objects are listed once."""
        others: list[s.Resend] = []
        keys = first.keys
        while not self._resends.empty():
            following = self._resends.get_nowait()
            if following.kind != first.kind:
                others.append(following)
            elif keys is None or following.keys is None:
                keys = None
            else:
                keys += following.keys
        for other in others:
            self._resends.put_nowait(other)
        return keys

    async def _beat(self, session: s.Session) -> None:
        while True:
            await asyncio.sleep(session.welcome.heartbeat if session.welcome else WELCOME_TIMEOUT)
            self._perform(session.heartbeat(self._heartbeat()))

    def _heartbeat(self) -> m.Heartbeat:
        news = tuple(
            m.KindNews(name, kind.newest_report_at, kind.scanner)
            for name, kind in self._state.kinds.items()
            if kind.newest_report_at is not None or kind.scanner
        )
        events = self._events
        return m.Heartbeat(
            clock=self._clock(),
            kinds=news,
            spool_events=events.waiting if events else 0,
            oldest_unsent=events.oldest_at if events else None,
        )

    def _fail(self, reason: str) -> None:
        self.failure = reason
        logger.warning("%s: %s", self._settings.url, reason)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _explain(error: aiohttp.WSServerHandshakeError, url: str) -> str:
    if error.status == 401:  # noqa: PLR2004 - HTTP's
        return f"{url} does not know the token (401): it is wrong, revoked or expired"
    if error.status == 403:  # noqa: PLR2004
        return f"{url} refuses the token (403): it is not an agent's, or another cluster's"
    return f"{url} answered {error.status} {error.message} instead of opening a WebSocket"
