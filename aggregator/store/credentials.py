"""Credentials: hashed tokens with role and scope, and word to every replica when access changes.

One statement answers a token: who it is, and its scope resolved to ids of clusters. What a change of
credentials or clusters must not leave standing, the caches of `aggregator.access`, hears of it by
NOTIFY, which Postgres sends when the change commits.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from aggregator.store.pool import Connection, Pool, UnavailableError, answering

CHANNEL = "fleetwatch_access"
PING_INTERVAL = 5.0  # seconds between looks at whether the listening connection still answers
PING_TIMEOUT = 5.0  # seconds

# A ClusterFilter, canonical (see access/scope.py), against the cluster `c`; {0} is its SQL expression.
_MATCHES = """
    ({0}->'name'->>'eq' IS NULL OR c.name = {0}->'name'->>'eq')
    AND ({0}->'name'->'in' IS NULL OR {0}->'name'->'in' ? c.name)
    AND ({0}->'name'->>'not' IS NULL OR c.name <> {0}->'name'->>'not')
    AND ({0}->'name'->>'contains' IS NULL OR position({0}->'name'->>'contains' IN c.name) > 0)
    AND ({0}->'name'->>'startsWith' IS NULL OR starts_with(c.name, {0}->'name'->>'startsWith'))
    AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(coalesce({0}->'labels', '[]')) AS label
        WHERE NOT (
            (label->'in' IS NULL OR coalesce(label->'in' ? (c.labels->>(label->>'key')), false))
            AND (label->'exists' IS NULL
                 OR (c.labels ? (label->>'key')) = (label->>'exists')::boolean)))
"""
_RESOLVED = f"""
    CASE WHEN k.scope_clusters IS NULL THEN NULL
    ELSE ARRAY(SELECT c.id FROM cluster c WHERE c.removed_at IS NULL AND {_MATCHES.format("k.scope_clusters")} ORDER BY c.id)
    END
"""
FIND = f"""
    SELECT k.id::text, k.name, k.role::text, k.cluster_id, owner.name AS cluster_name,
        {_RESOLVED} AS clusters, k.scope_namespaces AS namespaces,
        ARRAY(SELECT id FROM cluster WHERE removed_at IS NOT NULL ORDER BY id) AS hidden,
        extract(epoch FROM k.expires_at - now())::float8 AS expires_in,
        k.revoked_at IS NOT NULL AS revoked
    FROM credential k LEFT JOIN cluster owner ON owner.id = k.cluster_id
    WHERE k.token_hash = $1
"""
SCOPE = f"SELECT {_RESOLVED} FROM credential k WHERE k.id = $1"
CREATE = """
    INSERT INTO credential
        (name, role, token_hash, cluster_id, scope_clusters, scope_namespaces, expires_at)
    VALUES ($1, $2::text::token_role, $3, $4, $5::jsonb, $6, $7)
    RETURNING id
"""
REVOKE = """
    UPDATE credential SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING name
"""
ACTIVE = """
    SELECT id::text FROM credential
    WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
LIST = """
    SELECT k.id::text, k.name, k.role::text, owner.name AS cluster, k.scope_clusters::text AS clusters,
        k.scope_namespaces AS namespaces, k.created_at, k.expires_at, k.revoked_at
    FROM credential k LEFT JOIN cluster owner ON owner.id = k.cluster_id
    ORDER BY k.created_at, k.id
    LIMIT $1
"""
NOTIFY = "SELECT pg_notify($1, '')"


class DisconnectedError(Exception):
    """The connection that listened for changes is lost."""


class Credential(Struct, frozen=True):
    """What a token stands for, as of now. `clusters` None is every cluster but the `hidden` ones."""

    id: str
    name: str
    role: str
    cluster_id: int | None
    cluster_name: str | None
    clusters: tuple[int, ...] | None
    hidden: tuple[int, ...]
    namespaces: tuple[str, ...] | None
    expires_in: float | None  # seconds; negative once expired
    revoked: bool


class Listed(Struct, frozen=True, rename="camel"):
    """A credential as `token list` shows it; `clusters` is its ClusterFilter."""

    id: str
    name: str
    role: str
    cluster: str | None
    clusters: dict[str, Any] | None
    namespaces: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def find(executor: Connection | Pool, *, token_hash: bytes) -> Credential | None:
    """Return the credential of a token, revoked and expired ones included."""
    with answering():
        row = await executor.fetchrow(FIND, token_hash)
    if row is None:
        return None
    return Credential(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        cluster_id=row["cluster_id"],
        cluster_name=row["cluster_name"],
        clusters=None if row["clusters"] is None else tuple(row["clusters"]),
        hidden=tuple(row["hidden"]),
        namespaces=None if row["namespaces"] is None else tuple(row["namespaces"]),
        expires_in=row["expires_in"],
        revoked=row["revoked"],
    )


async def scope(connection: Connection, *, credential_id: UUID) -> tuple[int, ...] | None:
    """Resolve a credential's clusters as this transaction sees them; None is every cluster."""
    clusters: list[int] | None = await connection.fetchval(SCOPE, credential_id)
    return None if clusters is None else tuple(clusters)


async def create(
    connection: Connection,
    *,
    name: str,
    role: str,
    token_hash: bytes,
    cluster_id: int | None = None,  # of an agent's token
    clusters: dict[str, Any] | None = None,  # a canonical ClusterFilter; None is every cluster
    namespaces: Sequence[str] | None = None,  # None is every namespace
    expires_at: datetime | None = None,  # None never expires
) -> UUID:
    """Insert a credential."""
    encoded = None if clusters is None else json.dumps(clusters)
    credential_id: UUID = await connection.fetchval(
        CREATE, name, role, token_hash, cluster_id, encoded, namespaces, expires_at
    )
    return credential_id


async def revoke(connection: Connection, *, credential_id: UUID) -> str | None:
    """Revoke a credential. Returns its name, or None if there is no such active one."""
    name: str | None = await connection.fetchval(REVOKE, credential_id)
    if name is not None:
        await notify(connection)
    return name


async def active(pool: Pool, *, ids: Sequence[str]) -> frozenset[str]:
    """Which of these credentials still open doors."""
    with answering():
        return frozenset(row["id"] for row in await pool.fetch(ACTIVE, ids))


async def listed(pool: Pool, *, limit: int) -> list[Listed]:
    """All credentials, oldest first, revoked and expired ones included."""
    return [
        Listed(
            id=row["id"],
            name=row["name"],
            role=row["role"],
            cluster=row["cluster"],
            clusters=None if row["clusters"] is None else json.loads(row["clusters"]),
            namespaces=None if row["namespaces"] is None else tuple(row["namespaces"]),
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
        )
        for row in await pool.fetch(LIST, limit)
    ]


async def notify(connection: Connection) -> None:
    """Tell every replica, once this transaction commits, that access has changed."""
    await connection.execute(NOTIFY, CHANNEL)


async def listen(pool: Pool, *, started: Callable[[], None], changed: Callable[[], None]) -> None:
    """Call `changed` at each change of access from `started` on; ends by DisconnectedError only."""
    lost = asyncio.Event()

    def on_change(*_: object) -> None:
        changed()

    def on_loss(*_: object) -> None:
        lost.set()

    try:
        with answering():
            async with pool.acquire(timeout=PING_TIMEOUT) as connection:
                connection.add_termination_listener(on_loss)
                await connection.add_listener(CHANNEL, on_change)
                try:
                    started()
                    await _until_lost(connection, lost)
                finally:
                    if not connection.is_closed():
                        connection.remove_termination_listener(on_loss)
                        await connection.remove_listener(CHANNEL, on_change)
    except UnavailableError as error:
        raise DisconnectedError(f"listening for changes of access ended: {error}") from error
    raise DisconnectedError("listening for changes of access ended")


async def _until_lost(connection: Connection, lost: asyncio.Event) -> None:
    while not lost.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(PING_INTERVAL):  # wait_for of 3.11 may lose a cancellation
                await lost.wait()
        await connection.execute("SELECT 1", timeout=PING_TIMEOUT)
