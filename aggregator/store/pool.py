"""Connections to Postgres.

Query connections plan each execution anew: a generic plan, to which asyncpg's prepared statements
flip by themselves at the sixth run, made one statement 1,300 times slower in measurements.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

# For annotations in modules that must not know asyncpg, whose classes are generic for mypy only.
if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

CONNECT_TIMEOUT = 10.0  # seconds
COMMAND_TIMEOUT = 60.0  # seconds, beyond every statement timeout
STATEMENT_CACHE = 512  # prepared statements a connection


class UnavailableError(Exception):
    """Postgres does not answer; the message says what it, or the network, said."""


# What a statement meets when Postgres is away. A connection that is lost at the very moment that it
# is used raises InternalClientError.
AWAY: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)


@contextmanager
def answering() -> Iterator[None]:
    """Tell that Postgres is away from all that a statement itself may get wrong."""
    try:
        yield
    except AWAY as error:
        raise UnavailableError(f"Postgres does not answer: {error}") from error


async def open_pool(
    dsn: str,
    *,
    size: int,
    statement_timeout: float,
    application: str = "fleetwatch",
    stateless: bool = False,
) -> Pool:
    """Open a pool of up to `size` connections; `statement_timeout` is in seconds.

    A stateless pool's users leave nothing behind in a session, so nothing is reset between them:
    a round trip less for each query.
    """
    return await asyncpg.create_pool(
        dsn,
        reset=_leave_as_it_is if stateless else None,
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        statement_cache_size=STATEMENT_CACHE,
        server_settings={
            "application_name": application,
            "timezone": "UTC",
            "jit": "off",
            "plan_cache_mode": "force_custom_plan",
            "statement_timeout": str(int(statement_timeout * 1000)),
        },
    )


async def _leave_as_it_is(_connection: Connection) -> None:
    """Reset nothing."""
