"""Bringing a database to the schema that this version speaks.

Runs under an advisory lock, so any number of replicas may start at once.
"""

import time
from functools import cache
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import migrations as scripts
from aggregator.store.pool import CONNECT_TIMEOUT, Pool, UnavailableError, answering

LOCK = 0x666C_6565_7477  # "fleetw", the advisory lock of migrations
READY_TIMEOUT = 2.0  # seconds for the database to answer
READY_AGE = 1.0  # seconds an answer holds, so that asking costs nothing
REVISION = "SELECT version_num FROM alembic_version"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(scripts.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


@cache
def head() -> str:
    """Return the revision that this version of the program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("no migrations are installed with this program")
    return revision


async def migrate(dsn: str, revision: str = "head") -> tuple[str | None, str | None]:
    """Upgrade a database. Returns its revision before and after."""
    # asyncpg reads the address itself: SQLAlchemy does not know all that may stand in one.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        async_creator=lambda: asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT),
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
            await connection.commit()
            before = await connection.run_sync(_current)
            await connection.run_sync(_upgrade, revision)
            await connection.commit()
            after = await connection.run_sync(_current)
            return before, after
    finally:
        await engine.dispose()


class Readiness:
    """Whether the database answers and its schema is one that this version works on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._answer = False
        self._asked_at: float | None = None

    async def is_ready(self) -> bool:
        """Ask the database, at most once in `READY_AGE`."""
        now = time.monotonic()
        if self._asked_at is None or now - self._asked_at > READY_AGE:
            self._asked_at = now
            try:
                self._answer = serves(await current(self._pool))
            except UnavailableError:
                self._answer = False
        return self._answer


def serves(revision: str | None) -> bool:
    """Whether this version works on a schema: its own, or a newer one that it does not know.

    Newer schemas are made to carry the version before them, so replicas may be replaced in turn.
    """
    if revision is None:
        return False
    return revision == head() or revision not in _known()


async def current(pool: Pool) -> str | None:
    """Return the revision of a database; None where there is no schema."""
    try:
        with answering():
            revision: str | None = await pool.fetchval(REVISION, timeout=READY_TIMEOUT)
    except asyncpg.UndefinedTableError:
        return None
    return revision


@cache
def _known() -> frozenset[str]:
    scripts_here = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts_here)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
