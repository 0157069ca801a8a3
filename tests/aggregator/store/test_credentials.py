"""A scope's filter in SQL means what it says."""

import json
from typing import Any

import pytest

from aggregator.access.scope import canonical
from aggregator.store import clusters, credentials
from aggregator.store.pool import Pool

FLEET = {
    "prod-eu": {"env": "prod", "region": "eu"},
    "prod-us": {"env": "prod", "region": "us"},
    "dev": {"env": "dev"},
    "50%_off": {},
}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, None),
        ({}, None),
        ({"name": {"eq": "dev"}}, ["dev"]),
        ({"name": {"in": ["dev", "prod-us", "none"]}}, ["dev", "prod-us"]),
        ({"name": {"in": []}}, []),
        ({"name": {"not": "dev"}}, ["50%_off", "prod-eu", "prod-us"]),
        ({"name": {"contains": "-"}}, ["prod-eu", "prod-us"]),
        ({"name": {"contains": "%_"}}, ["50%_off"]),
        ({"name": {"startsWith": "prod", "not": "prod-us"}}, ["prod-eu"]),
        ({"labels": [{"key": "env", "in": ["prod"]}]}, ["prod-eu", "prod-us"]),
        ({"labels": [{"key": "env"}]}, ["dev", "prod-eu", "prod-us"]),
        ({"labels": [{"key": "env", "exists": False}]}, ["50%_off"]),
        (
            {"labels": [{"key": "env", "in": ["prod"]}, {"key": "region", "in": ["us", "ap"]}]},
            ["prod-us"],
        ),
        ({"labels": [{"key": "region", "in": []}]}, []),
        (
            {"name": {"startsWith": "prod"}, "labels": [{"key": "region", "in": ["eu"]}]},
            ["prod-eu"],
        ),
    ],
)
async def test_scopes(pool: Pool, given: dict[str, Any] | None, names: list[str] | None) -> None:
    ids: dict[int, str] = {}
    async with pool.acquire() as connection, connection.transaction():
        for name, labels in FLEET.items():
            ids[await clusters.add(connection, name=name, labels=labels)] = name
        created = await credentials.create(
            connection, name="x", role="VIEWER", token_hash=b"x", clusters=canonical(given)
        )

    found = await credentials.find(pool, token_hash=b"x")
    async with pool.acquire() as connection:
        again = await credentials.scope(connection, credential_id=created)

    assert found is not None
    assert found.clusters == again
    assert (None if again is None else sorted(ids[item] for item in again)) == names


async def test_the_list_tells_scopes_and_never_a_hash(pool: Pool) -> None:
    async with pool.acquire() as connection:
        scope = {"name": {"eq": "a"}}
        await credentials.create(
            connection,
            name="x",
            role="VIEWER",
            token_hash=b"hash",
            clusters=scope,
            namespaces=["n"],
        )

    [listed] = await credentials.listed(pool, limit=10)

    assert (listed.clusters, listed.namespaces, listed.role) == (scope, ("n",), "VIEWER")
    assert "hash" not in json.dumps(listed, default=str)


async def test_active_ones_are_neither_revoked_nor_expired(pool: Pool) -> None:
    async with pool.acquire() as connection:
        made = [
            await credentials.create(connection, name=name, role="VIEWER", token_hash=name.encode())
            for name in ("active", "revoked", "expired")
        ]
        await credentials.revoke(connection, credential_id=made[1])
        await connection.execute("UPDATE credential SET expires_at = now() WHERE name = 'expired'")

    assert await credentials.active(pool, ids=[str(item) for item in made]) == {str(made[0])}
