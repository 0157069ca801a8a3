"""A streaming standby of an embedded Postgres, made by a base backup."""

import asyncio
import subprocess
from pathlib import Path

import asyncpg

from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.installation import Account, binaries


def make_standby(
    primary: EmbeddedPostgres, data: Path, *, settings: dict[str, str]
) -> EmbeddedPostgres:
    """Copy a running primary into a folder; the server returned follows it once it is started."""
    account = Account()
    account.make(data)
    subprocess.run(
        [
            binaries(account) / "pg_basebackup",
            f"--dbname={primary.dsn()}",
            f"--pgdata={data}",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--write-recovery-conf",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd="/",
        **account.process_options,
    )
    # Whatever stands in its way is cancelled at once; it says at once where it is.
    mine = {"hot_standby": "on", "max_standby_streaming_delay": "0", "wal_receiver_timeout": "5s"}
    return EmbeddedPostgres(data, settings={**settings, **mine})


COPIED = 120.0  # seconds until a standby has a new database, on a busy machine


async def copied(primary: EmbeddedPostgres, standby: EmbeddedPostgres, name: str) -> None:
    """Make a migrated, empty database, and wait until the standby has it.

    What is committed there is on its way to the standby: unlike in the tests' other databases.
    """
    connection = await asyncpg.connect(primary.dsn())
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY wal_log")
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
        await caught_up(primary, standby)
    finally:
        await connection.close()


async def caught_up(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """Wait until the standby has all that the primary has written."""
    here = await asyncpg.connect(primary.dsn())
    there = await asyncpg.connect(standby.dsn())
    try:
        written = await here.fetchval("SELECT pg_current_wal_insert_lsn()::text")
        async with asyncio.timeout(COPIED):
            while not await there.fetchval(
                "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written
            ):
                await asyncio.sleep(0.05)
    finally:
        await here.close()
        await there.close()


async def checkpointed(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """Let the standby begin here should it be killed, not minutes of other tests ago."""
    await _execute(primary, "CHECKPOINT")
    await caught_up(primary, standby)
    await _execute(standby, "CHECKPOINT")


async def _execute(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
