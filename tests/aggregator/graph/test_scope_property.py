"""Whoever has a scope is answered what everybody would be if there was nothing outside of it."""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import msgspec
import pytest

from aggregator.access import administration
from aggregator.access.authentication import Authenticator
from aggregator.access.principal import Principal, Role, Scope
from aggregator.store import clusters
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import Pool, open_pool
from tests.aggregator.graph import scoped_fleets
from tests.aggregator.graph.conftest import ADMIN, Graph
from tests.aggregator.graph.operations import Question, Seen, Writer, everything
from tests.conftest import _execute

SCOPES = int(os.environ.get("SCOPES", "4"))  # of a fleet; each has a database of its own
OPERATIONS = int(os.environ.get("OPERATIONS", "12"))  # random ones, and as many of the systematic
FLEETS = int(os.environ.get("FLEETS", "1"))  # random ones
WHOLE = [*everything()]

numbers = itertools.count()


@contextlib.asynccontextmanager
async def _copied(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """Copy a database; yield its name."""
    name = f"scoped_{next(numbers)}"
    await _execute(postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield name
    finally:
        await _execute(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.asynccontextmanager
async def _graph(postgres: EmbeddedPostgres, name: str) -> AsyncIterator[Graph]:
    pool = await open_pool(postgres.dsn(name), size=1, statement_timeout=30.0)
    try:
        yield Graph(pool)
    finally:
        await pool.close()


async def _ask(graph: Graph, question: Question, principal: Principal = ADMIN) -> Any:
    """Return the answer, errors included: a scope changes no limit."""
    request = await graph.execute(question.text, question.variables, principal=principal)
    return msgspec.json.decode(request.body)


async def _principal(pool: Pool, chance: Random) -> Principal:
    """Make a token with a random scope and look up whose it is."""
    wanted, namespaces = scoped_fleets.cluster_filter(chance), scoped_fleets.namespaces(chance)
    principal = await _viewer(pool, wanted, namespaces)
    visible = principal.scope.clusters
    assert sorted(visible if visible is not None else scoped_fleets.lets_through(None)) == (
        scoped_fleets.lets_through(wanted)
    )
    return principal


async def _viewer(
    pool: Pool, wanted: dict[str, Any] | None, namespaces: list[str] | None
) -> Principal:
    created = await administration.create_token(
        pool,
        ADMIN,
        name="viewer",
        role=Role.VIEWER,
        clusters=wanted,
        namespaces=namespaces,
        expires_at=None,
    )
    return await Authenticator(pool).authenticate({"authorization": f"Bearer {created.token}"})


@pytest.mark.parametrize("seed", range(FLEETS))
async def test_a_scope_answers_what_a_fleet_of_nothing_else_answers(
    postgres: EmbeddedPostgres, seed: int
) -> None:
    chance, seen = Random(seed), Seen()
    async with _copied(postgres, "template") as whole:
        async with _graph(postgres, whole) as graph, graph.pool.acquire() as connection:
            await scoped_fleets.load(connection, chance)
        for _ in range(SCOPES):
            # A database is copied while nobody is connected.
            async with (
                _copied(postgres, whole) as copy,
                _graph(postgres, whole) as graph,
                _graph(postgres, copy) as left,
            ):
                principal = await _principal(graph.pool, chance)
                async with left.pool.acquire() as connection:
                    await scoped_fleets.reduce(connection, principal.scope)
                await _compare(graph, left, principal, chance, seen)


async def test_a_cluster_that_is_being_removed_is_seen_by_nobody(
    postgres: EmbeddedPostgres,
) -> None:
    chance, seen = Random(7), Seen()
    async with _copied(postgres, "template") as whole:
        async with _graph(postgres, whole) as graph, graph.pool.acquire() as connection:
            await scoped_fleets.load(connection, chance)
        for name in ("prod-eu", "lab"):
            await _compare_removed(postgres, whole, name, chance, seen)


async def _compare_removed(
    postgres: EmbeddedPostgres, whole: str, name: str, chance: Random, seen: Seen
) -> None:
    async with (
        _copied(postgres, whole) as removing,
        _copied(postgres, whole) as without,
        _graph(postgres, removing) as graph,
        _graph(postgres, without) as left,
    ):
        async with graph.pool.acquire() as connection, connection.transaction():
            assert await clusters.remove(connection, name=name)
        principal = await _viewer(graph.pool, None, None)
        [hidden] = principal.scope.hidden
        async with left.pool.acquire() as connection:
            rows = await connection.fetch("SELECT id FROM cluster WHERE id <> $1", hidden)
            await scoped_fleets.reduce(connection, Scope(clusters=tuple(row["id"] for row in rows)))
        await _compare(graph, left, principal, chance, seen)


async def _compare(
    whole: Graph, left: Graph, principal: Principal, chance: Random, seen: Seen
) -> None:
    answered = 0
    written = [Writer(chance, seen, plain=True).query() for _ in range(OPERATIONS)]
    asked = [*written, *chance.sample(WHOLE, min(OPERATIONS, len(WHOLE)))]
    for question in asked:
        unlimited = await _ask(whole, question)
        seen.learn(unlimited["data"], chance)  # so that ids of what is outside are asked for
        actual = await _ask(whole, question, principal)
        expected = await _ask(left, question)
        assert actual == expected, (principal.scope, question)
        answered += "errors" not in actual
    assert answered > len(asked) / 2
