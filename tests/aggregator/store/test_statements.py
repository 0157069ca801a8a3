"""Every SQL constant of the store is one that Postgres takes on the current schema."""

import importlib
import pkgutil
from collections.abc import Iterator

import asyncpg

import aggregator.store
from aggregator.store.pool import Pool

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def statements() -> Iterator[tuple[str, str]]:
    for module in pkgutil.iter_modules(aggregator.store.__path__):
        loaded = importlib.import_module(f"aggregator.store.{module.name}")
        for name, value in vars(loaded).items():
            if name.isupper() and not name.startswith("_") and isinstance(value, str):
                text = value.strip()
                if text.startswith(VERBS):
                    yield f"{module.name}.{name}", text


async def test_statements_can_be_prepared(pool: Pool) -> None:
    wrong = {}
    async with pool.acquire() as connection:
        for name, statement in statements():
            try:
                await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                wrong[name] = str(error)

    assert wrong == {}


def test_the_store_has_statements() -> None:
    assert len(list(statements())) > 40
