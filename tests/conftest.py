"""A real Postgres for every test that asks for one: a template once, a clone a test."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.migrations import migrate
from aggregator.store.pool import open_pool
from tests.apart import run_apart
from tests.open_folder import open_folder
from tests.standby import make_standby

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}

SHARED = Path(os.environ.get("FLEETWATCH_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def _no_loop_of_the_main_thread() -> None:
    """Let no library find a loop that nobody closes; its warning would fail a later test."""
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real CRDs and objects that are not part of this repository."""
    if not (SHARED / "fixtures").is_dir():
        pytest.skip(f"no real samples at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for the whole run, with the migrated database `template`."""
    with open_folder() as folder, EmbeddedPostgres(folder / "data", settings=FAST) as server:
        run_apart(_execute(server.dsn(), "CREATE DATABASE template"))
        run_apart(migrate(server.dsn("template")))
        yield server


@pytest.fixture(scope="session")
def standby(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A streaming standby of the server; it has whatever database the server has."""
    with open_folder() as folder, make_standby(postgres, folder / "data", settings=FAST) as server:
        yield server


_numbers = itertools.count()


@pytest.fixture
async def dsn(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """Yield the address of a migrated, empty database of the test's own."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy")
    yield postgres.dsn(name)
    await _execute(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Yield a pool on a migrated, empty database."""
    pool = await open_pool(dsn, size=4, statement_timeout=30.0)
    yield pool
    await pool.close()


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def postgres_dsn_empty(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """Yield the address of a database without any table."""
    name = f"empty_{next(_numbers)}"
    await _execute(postgres.dsn(), f"CREATE DATABASE {name}")
    yield postgres.dsn(name)
    await _execute(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")
