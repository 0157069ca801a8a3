"""Connections to Postgres.

Statements are planned anew for each execution: a generic plan, to which asyncpg's prepared
statements flip by themselves at the sixth run, made one statement 1,300 times slower. Those of
queries that say so keep theirs (docs/decisions/0008-kept-plans.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

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
STATEMENT_CACHE = 128  # prepared statements a connection: a backend holds about 300 kB of each
RANDOM_PAGE_COST = (
    "1.1"  # of memory and SSDs: Postgres's own, 4, would have small tables read whole
)
# How Postgres notices that the machine of a program is gone, whose locks would stay otherwise: by
# packets every 30 s where nothing comes, three of which are not answered.
ABANDONED = {
    "tcp_keepalives_idle": "30",  # seconds
    "tcp_keepalives_interval": "10",  # seconds
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": "60s",  # no transaction waits for us for so long
}
KEEPS_PLAN = "/* keeps its plan */"  # begins a statement whose plan serves all values alike


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


class QueryConnection(asyncpg.Connection):
    """Keeps the plans of statements that say so, and plans all others anew.

    A setting of the session decides, so it is set whenever the next statement needs the other way:
    a tenth of a millisecond, where planning takes up to several.
    """

    __slots__ = ("_keeps_plans",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._keeps_plans = False

    async def fetchval(
        self,
        query: str,
        *args: Any,
        column: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's own
    ) -> Any:
        """Run a statement and return its one value."""
        keeps = query.startswith(KEEPS_PLAN)
        if keeps is not self._keeps_plans:
            mode = "force_generic_plan" if keeps else "force_custom_plan"
            await self.execute(f"SET plan_cache_mode = {mode}", timeout=timeout)
            self._keeps_plans = keeps
        return await super().fetchval(query, *args, column=column, timeout=timeout)


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
    connect_timeout: float = CONNECT_TIMEOUT,
    connection_class: type["asyncpg.Connection[asyncpg.Record]"] | None = None,
) -> Pool:
    """Open a pool of up to `size` connections; time-outs are in seconds.

    Users leave nothing behind in a session: what they set is of a transaction, a lock they give back.
    So nothing is reset between them, a round trip less each time; a transaction that is left open is
    rolled back. A stateless pool's connections keep the plans of statements that say so;
    `connection_class` None is what does. Other pools write, and prepare no statement twice: so each is
    planned anew too, but not the look-up of every row that a foreign key refers to, as
    `force_custom_plan` would have it (a tenth of a millisecond a row).
    """
    usual: Any = QueryConnection if stateless else asyncpg.Connection
    return await asyncpg.create_pool(
        dsn,
        reset=_leave_as_it_is,
        connection_class=connection_class or usual,
        min_size=1,
        max_size=size,
        timeout=connect_timeout,
        command_timeout=COMMAND_TIMEOUT,
        statement_cache_size=STATEMENT_CACHE if stateless else 0,
        server_settings={
            "application_name": application,
            "timezone": "UTC",
            "jit": "off",
            "random_page_cost": RANDOM_PAGE_COST,
            "plan_cache_mode": "force_custom_plan" if stateless else "auto",
            "statement_timeout": str(int(statement_timeout * 1000)),
            **ABANDONED,
        },
    )


async def _leave_as_it_is(_connection: Connection) -> None:
    """Reset nothing."""
