"""The whole product on one machine: the embedded Postgres, its schema, the server.

`fleetwatch up` is this until a signal; the demo is this with agents beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from aggregator.access.bootstrap import ensure_admin
from aggregator.app import create_app
from aggregator.cli.home import Home
from aggregator.cli.server import bind, bound_address, serving
from aggregator.settings import Address, Settings
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from aggregator.store.pool import open_pool

DATABASE = "fleetwatch"
ACTOR = "fleetwatch up"  # in the audit trail, and the name of the administrator's token


@dataclass(frozen=True)
class Running:
    """A running `up`. `new_token` is None where the one in the home folder still opens."""

    url: str
    database_url: str
    token_file: Path
    token: str
    new_token: str | None
    server: "asyncio.Task[None]"


def _no_progress(_step: str) -> None:
    pass


@asynccontextmanager
async def running(
    home: Home,
    address: Address,
    *,
    progress: Callable[[str], None] = _no_progress,
    access_log: bool = False,
) -> AsyncIterator[Running]:
    """Run everything while the context is open.

    Raises LockedError, ListenError and PostgresError where it cannot start.
    """
    home.create()
    async with AsyncExitStack() as stack:
        stack.enter_context(home.locked())
        listener = stack.enter_context(bind(address))
        url = bound_address(listener).url
        postgres = EmbeddedPostgres(home.data)
        progress("creating the database" if postgres.is_new else "starting the database")
        stack.callback(postgres.stop)
        await asyncio.to_thread(postgres.start)
        await _create_database(postgres.dsn(), DATABASE)
        database_url = postgres.dsn(DATABASE)
        progress("bringing the schema up to date")
        await migrate(database_url)
        new_token = await _ensure_token(home, database_url)
        progress("starting the server")
        token = home.read_token() or ""
        settings = Settings(
            database_url=database_url,
            access_log=access_log,
            cursor_secret=token,  # the address of the database changes with every start
        )
        server = await stack.enter_async_context(serving(create_app(settings), settings, listener))
        stack.enter_context(home.announced(url, database_url))
        yield Running(
            url=url,
            database_url=database_url,
            token_file=home.token_file,
            token=token,
            new_token=new_token,
            server=server,
        )


async def _create_database(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def _ensure_token(home: Home, database_url: str) -> str | None:
    pool = await open_pool(database_url, size=1, statement_timeout=10.0)
    try:
        new_token = await ensure_admin(pool, token=home.read_token(), actor=ACTOR)
        if new_token is not None:
            home.write_token(new_token)
        return new_token
    finally:
        await pool.close()
