"""The WebSocket of an agent: frames in, effects out. Every await of a session is here."""

import asyncio
import contextlib
import logging
import time
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from aggregator.access.principal import Principal
from aggregator.ingest import effects as e
from aggregator.ingest import session as s
from aggregator.ingest.hub import HEARTBEAT, SILENCE, Connected, Hub, shutdown
from aggregator.store import contents, sessions, sync
from aggregator.store.pool import UnavailableError, answering
from protocol import messages as m

logger = logging.getLogger(__name__)

HELLO_TIMEOUT = 10.0  # seconds until the first frame
SEND_QUEUE = 1_000  # frames that wait for a slow agent; beyond it the session ends
RETRY_AFTER = 5.0  # seconds, while the database is away
SHUT_OUT = "the token is revoked, or the cluster was removed from the fleet"


async def serve(websocket: WebSocket, principal: Principal, hub: Hub) -> None:
    """Speak with one agent until either side ends it. `principal.cluster_id` is what it writes."""
    offered = websocket.scope.get("subprotocols", [])
    if m.SUBPROTOCOL not in offered or principal.cluster_id is None:
        await websocket.close(code=1002, reason=f"the subprotocol is {m.SUBPROTOCOL}")
        return
    await websocket.accept(subprotocol=m.SUBPROTOCOL)
    with contextlib.suppress(WebSocketDisconnect):
        await _converse(websocket, principal.cluster_id, hub)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # closed by the other side
        await websocket.close()


async def _converse(websocket: WebSocket, cluster_id: int, hub: Hub) -> None:
    outgoing: asyncio.Queue[m.FromAggregator] = asyncio.Queue(SEND_QUEUE)
    opened = await _open(websocket, cluster_id, hub)
    if opened is None:
        return
    session = s.Session(
        cluster_id=cluster_id, number=opened.number, skew=opened.skew, claims=hub.claims
    )

    def send(frame: m.FromAggregator) -> None:
        try:
            outgoing.put_nowait(frame)
        except asyncio.QueueFull:
            logger.warning("cluster %s does not read what it is sent", cluster_id)
            connected.closed.set()

    connected = Connected(session, send, rate=hub.events_a_second)
    connected.clock.read(opened.clock + opened.skew, time.monotonic())
    hub.add(connected)
    send(_welcome(opened))
    writer = asyncio.create_task(_write_out(websocket, outgoing))
    reader = asyncio.create_task(_read_in(websocket, connected, hub))
    ended = asyncio.create_task(connected.closed.wait())
    try:
        await asyncio.wait((writer, reader, ended), return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and not reader.cancelled() and reader.exception() is not None:
            _log_end(cluster_id, reader.exception())
    except asyncio.CancelledError:
        connected.close(m.Goodbye(reason=m.Reason.REFUSED, message=SHUT_OUT))
        raise
    finally:
        hub.remove(connected)
        for task in (reader, ended):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HELLO_TIMEOUT):
                await _drain(outgoing, writer)
        writer.cancel()
        await asyncio.gather(writer, reader, ended, return_exceptions=True)


async def _open(websocket: WebSocket, cluster_id: int, hub: Hub) -> sessions.Opened | None:
    """Hello and the fence. Returns None after a Goodbye."""
    try:
        async with asyncio.timeout(HELLO_TIMEOUT):
            raw = await websocket.receive_bytes()
        hello = m.decode_from_agent(raw) if len(raw) <= s.FRAME_BYTES else None
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TimeoutError):
        hello = None
    if not isinstance(hello, m.Hello):
        await _refuse(websocket, m.Reason.BAD_FRAME, "the first frame must be a Hello")
        return None
    if m.VERSION not in hello.versions:
        message = f"this aggregator speaks version {m.VERSION}, the agent {hello.versions}"
        await _refuse(websocket, m.Reason.UNSUPPORTED, message)
        return None
    if hub.draining:
        await websocket.send_bytes(m.encode(shutdown()))
        return None
    try:
        with answering():
            return await sessions.open_session(hub.pool, cluster_id, hello, SILENCE)
    except sessions.RefusedError as error:
        logger.warning("refused a session of cluster %s: %s", cluster_id, error)
        await _refuse(websocket, error.reason, str(error), error.retry_after)
    except UnavailableError as error:
        logger.warning("cannot open a session: %s", error)
        await _refuse(websocket, m.Reason.BUSY, "the database does not answer", RETRY_AFTER)
    return None


async def _read_in(websocket: WebSocket, connected: Connected, hub: Hub) -> None:
    while not connected.closed.is_set():
        connected.busy = True
        await hub.room(connected)
        connected.busy = False
        raw = await websocket.receive_bytes()
        connected.heard_at = time.monotonic()
        connected.alive = True
        connected.busy = True
        await _perform(connected, hub, connected.session.receive(raw))
        connected.busy = False
        if connected.session.pending or connected.session.events:
            hub.notify()


async def _perform(connected: Connected, hub: Hub, steps: e.Steps) -> None:
    """Run a frame's steps, answering what they ask."""
    answer: Any = None
    while not connected.closed.is_set():
        try:
            effect = steps.send(answer)
        except StopIteration:
            return
        answer = None
        if isinstance(effect, e.Send | e.Close):
            if isinstance(effect, e.Close) and effect.goodbye is None:
                await hub.leave(connected)
            connected.perform([effect])
        elif isinstance(effect, e.Alive):
            connected.clock.read(effect.clock, time.monotonic())
            connected.news.update((news.kind, news) for news in effect.news)
            connected.waiting, connected.oldest = effect.waiting, effect.oldest
        elif isinstance(effect, e.Settle):
            hub.notify()
            await connected.settle()
        else:
            answer = await _answer(connected, hub, effect)


async def _answer(connected: Connected, hub: Hub, effect: e.Effect) -> Any:
    cluster_id = connected.session.cluster_id
    with answering():
        async with hub.pool.acquire() as connection:
            match effect:
                case e.AskKnown():
                    return await contents.offered(connection, effect.names)
                case e.AskRoots():
                    return await sync.roots(connection, cluster_id, effect.kinds)
                case e.AskBuckets():
                    return await sync.bucket_fingerprints(connection, cluster_id, effect.kind)
                case e.AskEntries():
                    return await sync.entries(connection, cluster_id, effect.kind, effect.buckets)
    raise AssertionError(effect)


def _welcome(opened: sessions.Opened) -> m.Welcome:
    return m.Welcome(
        version=m.VERSION,
        session=opened.number,
        heartbeat=HEARTBEAT,
        limits=s.LIMITS,
        credits=s.CREDITS,
        clock=opened.clock,
        held=opened.held,
        resume=opened.resume,
    )


async def _refuse(
    websocket: WebSocket, reason: m.Reason, message: str, retry_after: float | None = None
) -> None:
    goodbye = m.Goodbye(reason=reason, message=message, retry_after=retry_after)
    await websocket.send_bytes(m.encode(goodbye))


async def _write_out(websocket: WebSocket, outgoing: asyncio.Queue[m.FromAggregator]) -> None:
    while True:
        frame = await outgoing.get()
        await websocket.send_bytes(m.encode(frame))
        outgoing.task_done()


async def _drain(outgoing: asyncio.Queue[m.FromAggregator], writer: asyncio.Task[None]) -> None:
    """Let the last frames, a Goodbye among them, go out."""
    joined = asyncio.create_task(outgoing.join())
    await asyncio.wait((joined, writer), return_when=asyncio.FIRST_COMPLETED)
    joined.cancel()


def _log_end(cluster_id: int, error: BaseException | None) -> None:
    if isinstance(error, WebSocketDisconnect):
        logger.info("the agent of cluster %s is gone (code %s)", cluster_id, error.code)
    elif isinstance(error, WebSocketDisconnected):  # the writer has found it so first
        logger.info("the agent of cluster %s is gone", cluster_id)
    elif isinstance(error, UnavailableError):
        logger.warning("ended the session of cluster %s: %s", cluster_id, error)
    else:
        logger.error("ended the session of cluster %s", cluster_id, exc_info=error)
