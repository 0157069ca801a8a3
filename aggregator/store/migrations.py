"""Bringing a database to the schema that this version speaks.

Runs under an advisory lock, so any number of replicas may start at once.
"""

from pathlib import Path

import migrations as scripts
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK = 0x666C_6565_7477  # "fleetw", the advisory lock of migrations


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(scripts.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision that this version of the program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("no migrations are installed with this program")
    return revision


async def migrate(dsn: str, revision: str = "head") -> tuple[str | None, str | None]:
    """Upgrade a database. Returns its revision before and after."""
    engine = create_async_engine(_sqlalchemy_url(dsn), poolclass=NullPool)
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


def _sqlalchemy_url(dsn: str) -> str:
    _, _, rest = dsn.partition("://")
    return f"postgresql+asyncpg://{rest}"


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
