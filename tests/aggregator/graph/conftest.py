"""The graph on a small fleet, loaded once: these tests only read, unless they take a copy."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from aggregator.access.principal import Principal, Role, Scope
from aggregator.graph.endpoint import GraphQL, GraphQLRequest, Response
from aggregator.store import finding_stats
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import open_pool
from tests.aggregator.graph import events, fleet
from tests.apart import run_apart

KEY = b"k" * 32
ADMIN = Principal("11111111-1111-1111-1111-111111111111", "root", Role.ADMIN)


def viewer(
    clusters: tuple[int, ...] | None = None, namespaces: tuple[str, ...] | None = None
) -> Principal:
    return Principal("id", "viewer", Role.VIEWER, Scope(clusters, namespaces))


@pytest.fixture(scope="session")
def fleet_dsn(postgres: EmbeddedPostgres) -> str:
    """Return the address of a database with the small fleet."""

    async def prepare() -> None:
        connection = await asyncpg.connect(postgres.dsn())
        await connection.execute("CREATE DATABASE fleet TEMPLATE template STRATEGY file_copy")
        await connection.close()
        connection = await asyncpg.connect(postgres.dsn("fleet"))
        try:
            await fleet.load(connection)
            await events.load(connection)
        finally:
            await connection.close()
        pool = await open_pool(postgres.dsn("fleet"), size=1, statement_timeout=30.0)
        await finding_stats.take(pool)
        await pool.close()

    run_apart(prepare())
    return postgres.dsn("fleet")


class Counter:
    """A pool that counts statements, refuses all that is not one, and keeps the last."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.statements: list[str] = []
        self.values: list[tuple[Any, ...]] = []

    async def fetchval(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's own
    ) -> Any:
        self.statements.append(query)
        self.values.append(args)
        return await self.pool.fetchval(query, *args, timeout=timeout)


class Graph:
    """The endpoint as tests use it."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.counter = Counter(pool)
        self.endpoint = GraphQL(self.counter, cursor_key=KEY)

    async def execute(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        principal: Principal = ADMIN,
        operation_name: str | None = None,
    ) -> Response:
        request = GraphQLRequest(query, variables, operation_name)
        return await self.endpoint.execute(request, principal)

    async def ask(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        principal: Principal = ADMIN,
    ) -> Any:
        """Return the data of a query, which must be one statement and succeed."""
        before = len(self.counter.statements)
        response = await self.execute(query, variables, principal=principal)
        answer = msgspec.json.decode(response.body)
        assert "errors" not in answer, answer
        assert response.status == 200
        assert len(self.counter.statements) == before + 1
        return answer["data"]

    async def error(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        principal: Principal = ADMIN,
    ) -> dict[str, Any]:
        """Return the first error of an operation, which must fail as a whole."""
        response = await self.execute(query, variables, principal=principal)
        answer = msgspec.json.decode(response.body)
        assert answer.get("errors"), answer
        assert answer["data"] is None
        error: dict[str, Any] = answer["errors"][0]
        error["status"] = response.status
        return error


@pytest.fixture
async def graph(fleet_dsn: str) -> AsyncIterator[Graph]:
    """Yield the graph over the small fleet."""
    pool = await open_pool(fleet_dsn, size=2, statement_timeout=30.0)
    yield Graph(pool)
    await pool.close()
