"""uvicorn in the caller's own event loop, ended by a signal, with agents sent away first."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import uvicorn
import uvloop

from aggregator.app import Application
from aggregator.settings import Address, Settings

BACKLOG = 2048  # connections that wait to be accepted; all agents may come back at once
KEEP_ALIVE = 75.0  # seconds an idle connection stays, longer than the 60 s of usual balancers
WS_PING = 20.0  # seconds between pings, so that who is gone is noticed
# Milliseconds until a connection ends whose other side takes nothing any more. Pongs do not count: while a
# session waits for what it has sent to be written, nothing is read of it, pongs neither.
GONE = 60_000
COLLECTED = (50_000, 20, 50)  # objects made, and collections, between two of the next generation
Result = TypeVar("Result")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ListenError(Exception):
    """The address cannot be listened on; the message says why."""


def bind(address: Address) -> socket.socket:
    """Take an address before anything else is started."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux; connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE)
    try:
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)  # a second program on the port fails here, not later
    except (OSError, UnicodeError) as error:
        listener.close()
        raise ListenError(str(error)) from error
    listener.setblocking(False)
    return listener


def bound_address(listener: socket.socket) -> Address:
    """Return where a socket listens, with the port that the system chose."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


class Server(uvicorn.Server):
    """A server that leaves signals to its caller and sends agents away before it closes."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application
        self.answering = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing: uvicorn would raise the signal again and end us before the database."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, and say so."""
        await super().startup(sockets)
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send the agents away, then stop as uvicorn does."""
        await self._application.drain()
        await super().shutdown(sockets)


def make_server(application: Application, settings: Settings) -> Server:
    """Configure uvicorn for us."""
    config = uvicorn.Config(
        application,
        loop="none",  # ours runs already
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=settings.frame_bytes,
        ws_ping_interval=WS_PING,
        ws_ping_timeout=None,
        ws_per_message_deflate=False,  # contents come compressed
        lifespan="off",  # see `serving`
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(KEEP_ALIVE),
        timeout_graceful_shutdown=int(settings.shutdown_grace),
        backlog=BACKLOG,
    )
    # Ours is `edge`, which knows that an address may hold a token.
    logging.getLogger("uvicorn.access").disabled = True
    return Server(config, application)


@asynccontextmanager
async def serving(
    application: Application, settings: Settings, listener: socket.socket
) -> AsyncIterator["asyncio.Task[None]"]:
    """Serve on a bound socket while the context is open; yields the task once it answers."""
    server = make_server(application, settings)
    async with application.running():
        task = asyncio.create_task(server.serve(sockets=[listener]), name="server")
        answering = asyncio.create_task(server.answering.wait())
        try:
            await asyncio.wait({task, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                yield task
        finally:
            answering.cancel()
            server.should_exit = True
            await task


@contextmanager
def signals() -> Generator[asyncio.Event, None, None]:
    """Yield an event that SIGINT and SIGTERM set."""
    loop = asyncio.get_running_loop()
    received = asyncio.Event()
    for number in SIGNALS:
        loop.add_signal_handler(number, received.set)
    try:
        yield received
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def first_of(stop: asyncio.Event, task: "asyncio.Task[None]") -> None:
    """Wait for the event or the end of the task; a failure of the task is raised."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopped, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if task.done():
        task.result()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work on uvloop.

    What agents send makes many objects and few circles, and to look through all of them stops everything
    for as long: the collector does so more rarely, and leaves out what is imported.
    """
    gc.set_threshold(*COLLECTED)
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
