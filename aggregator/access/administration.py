"""Adding, changing and removing clusters and tokens: each one transaction with its audit row.

Only an ADMIN administers. An ADMIN whose scope is limited to clusters may change clusters that are
inside of it before and after, and no tokens, as a token could carry a wider scope; one that is
limited to namespaces administers nothing. A cluster outside the scope is NOT_FOUND, as for queries.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from aggregator.access import naming, scope
from aggregator.access.principal import Principal, Role
from aggregator.access.token import digest, generate
from aggregator.store import audit, clusters, credentials
from aggregator.store.pool import Connection, Pool

FORBIDDEN = "FORBIDDEN"
NOT_FOUND = "NOT_FOUND"
BAD_INPUT = "BAD_INPUT"
CONFLICT = "CONFLICT"


class RefusedError(Exception):
    """What was asked for is not done; `code` is for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class AddedCluster(Struct, frozen=True):
    """A new cluster and its agent's token, which is never shown again."""

    cluster_id: int
    token: str


class CreatedToken(Struct, frozen=True):
    """A new credential and its token, which is never shown again."""

    id: str
    token: str


async def add_cluster(
    pool: Pool, principal: Principal, *, name: str, labels: dict[str, str]
) -> AddedCluster:
    """Add a cluster and make its agent's token."""
    _may_change_clusters(principal)
    token = generate()
    async with _refusing(pool) as connection:
        cluster_id = await _insert_cluster(connection, principal, name=name, labels=labels)
        await _give_agent_token(connection, cluster_id=cluster_id, name=name, token=token)
        detail = {"labels": labels}
        await _record(connection, principal, "addCluster", target=name, detail=detail)
    return AddedCluster(cluster_id=cluster_id, token=token)


async def ensure_cluster(pool: Pool, principal: Principal, *, name: str) -> int:
    """Return the id of a cluster that an ADMIN pushes to; it is added where there is none."""
    _may_change_clusters(principal)
    try:
        return await _find_or_insert(pool, principal, name)
    except RefusedError as error:
        if error.code != CONFLICT:
            raise
        return await _find_or_insert(pool, principal, name)  # another push was faster


async def _find_or_insert(pool: Pool, principal: Principal, name: str) -> int:
    async with _refusing(pool) as connection:
        cluster_id = await clusters.find(connection, name=name)
        if cluster_id is None:
            cluster_id = await _insert_cluster(connection, principal, name=name, labels={})
            detail = {"labels": {}, "by": "push"}
            await _record(connection, principal, "addCluster", target=name, detail=detail)
        elif not _in_scope(principal.scope.clusters, cluster_id):
            raise RefusedError(FORBIDDEN, f"The cluster {name!r} is outside this token's scope.")
    return cluster_id


async def update_cluster(
    pool: Pool,
    principal: Principal,
    *,
    name: str,
    labels: dict[str, str] | None,  # None leaves them; otherwise they are replaced
    rename: str | None,  # None leaves the name
) -> int:
    """Rename a cluster or replace its labels."""
    _may_change_clusters(principal)
    async with _refusing(pool) as connection:
        if rename is not None:
            naming.cluster_name(rename)
        if labels is not None:
            naming.cluster_labels(labels)
        await _find_in_scope(connection, principal, name)
        cluster_id = await clusters.update(connection, name=name, labels=labels, rename=rename)
        if cluster_id is None:
            raise _no_cluster(name)
        await _must_stay_in_scope(connection, principal, cluster_id)
        detail = {"labels": labels, "rename": rename}
        await _record(connection, principal, "updateCluster", target=name, detail=detail)
    return cluster_id


async def remove_cluster(pool: Pool, principal: Principal, *, name: str) -> bool:
    """Remove a cluster, its tokens and all that it reported."""
    _may_change_clusters(principal)
    async with _refusing(pool) as connection:
        await _find_in_scope(connection, principal, name)
        if not await clusters.remove(connection, name=name):
            raise _no_cluster(name)
        await _record(connection, principal, "removeCluster", target=name, detail={})
    return True


async def rebind_cluster(pool: Pool, principal: Principal, *, name: str) -> int:
    """Let the next session of a cluster bind its Kubernetes UID anew: for rebuilt clusters."""
    _may_change_clusters(principal)
    async with _refusing(pool) as connection:
        await _find_in_scope(connection, principal, name)
        cluster_id = await clusters.rebind(connection, name=name)
        if cluster_id is None:
            raise _no_cluster(name)
        await _record(connection, principal, "rebindCluster", target=name, detail={})
    return cluster_id


async def create_agent_token(pool: Pool, principal: Principal, *, name: str) -> CreatedToken:
    """Make one more token for a cluster's agent; the old ones stay until they are revoked."""
    _may_change_clusters(principal)
    token = generate()
    async with _refusing(pool) as connection:
        cluster_id = await _find_in_scope(connection, principal, name)
        created = await _give_agent_token(connection, cluster_id=cluster_id, name=name, token=token)
        detail = {"id": str(created)}
        await _record(connection, principal, "createAgentToken", target=name, detail=detail)
    return CreatedToken(id=str(created), token=token)


async def create_token(
    pool: Pool,
    principal: Principal,
    *,
    name: str,
    role: str,
    clusters: dict[str, Any] | None,  # a ClusterFilter; None is every cluster
    namespaces: list[str] | None,  # None is every namespace
    expires_at: datetime | None,  # None never expires
) -> CreatedToken:
    """Make a token for the API."""
    _may_change_tokens(principal)
    token = generate()
    async with _refusing(pool) as connection:
        naming.token_name(name)
        if role not in (Role.VIEWER, Role.ADMIN):
            raise RefusedError(BAD_INPUT, f"The role is VIEWER or ADMIN, not {role!r}.")
        if expires_at is not None:
            expires_at = _in_future(expires_at)
        created = await credentials.create(
            connection,
            name=name,
            role=str(role),
            token_hash=digest(token),
            clusters=scope.canonical(clusters),
            namespaces=naming.namespaces(namespaces),
            expires_at=expires_at,
        )
        detail = {
            "id": str(created),
            "role": str(role),
            "clusters": clusters,
            "namespaces": namespaces,
            "expiresAt": None if expires_at is None else expires_at.isoformat(),
        }
        await _record(connection, principal, "createToken", target=name, detail=detail)
    return CreatedToken(id=str(created), token=token)


async def revoke_token(pool: Pool, principal: Principal, *, id: str) -> bool:  # noqa: A002 - the API's word
    """Revoke a token, an agent's included; whoever uses it is shut out at once."""
    _may_change_tokens(principal)
    async with _refusing(pool) as connection:
        try:
            credential_id = UUID(id)
        except ValueError as error:
            raise RefusedError(NOT_FOUND, f"There is no token with the id {id!r}.") from error
        name = await credentials.revoke(connection, credential_id=credential_id)
        if name is None:
            raise RefusedError(NOT_FOUND, f"There is no active token with the id {id!r}.")
        detail = {"id": str(credential_id)}
        await _record(connection, principal, "revokeToken", target=name, detail=detail)
    return True


@asynccontextmanager
async def _refusing(pool: Pool) -> AsyncIterator[Connection]:
    """Open a transaction; what is wrong with the input ends it as a RefusedError."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            yield connection
    except (naming.BadNameError, scope.BadScopeError) as error:
        raise RefusedError(BAD_INPUT, str(error)) from error
    except clusters.NameTakenError as error:
        raise RefusedError(CONFLICT, f"There is already a cluster named {error}.") from error


def _may_change_clusters(principal: Principal) -> None:
    if principal.role is not Role.ADMIN:
        raise RefusedError(FORBIDDEN, f"The token {principal.name!r} does not have role ADMIN.")
    if principal.scope.namespaces is not None:
        raise RefusedError(
            FORBIDDEN, f"The token {principal.name!r} is limited to namespaces: it may only ask."
        )


def _may_change_tokens(principal: Principal) -> None:
    _may_change_clusters(principal)
    if principal.scope.clusters is not None:
        raise RefusedError(
            FORBIDDEN,
            f"The token {principal.name!r} is limited to some clusters: it may not change tokens.",
        )


async def _insert_cluster(
    connection: Connection, principal: Principal, *, name: str, labels: dict[str, str]
) -> int:
    naming.cluster_name(name)
    naming.cluster_labels(labels)
    cluster_id = await clusters.add(connection, name=name, labels=labels)
    await _must_stay_in_scope(connection, principal, cluster_id)
    return cluster_id


async def _give_agent_token(
    connection: Connection, *, cluster_id: int, name: str, token: str
) -> UUID:
    return await credentials.create(
        connection,
        name=f"agent of {name}",
        role=Role.AGENT,
        token_hash=digest(token),
        cluster_id=cluster_id,
    )


async def _find_in_scope(connection: Connection, principal: Principal, name: str) -> int:
    cluster_id = await clusters.find(connection, name=name)
    if cluster_id is None or not _in_scope(principal.scope.clusters, cluster_id):
        raise _no_cluster(name)
    return cluster_id


async def _must_stay_in_scope(
    connection: Connection, principal: Principal, cluster_id: int
) -> None:
    if principal.scope.clusters is None:
        return
    credential_id = UUID(principal.credential_id)
    in_scope = await credentials.scope(connection, credential_id=credential_id)
    if not _in_scope(in_scope, cluster_id):
        raise RefusedError(
            FORBIDDEN, f"The cluster would be outside the scope of the token {principal.name!r}."
        )


def _in_scope(allowed: tuple[int, ...] | None, cluster_id: int) -> bool:
    return allowed is None or cluster_id in allowed


def _no_cluster(name: str) -> RefusedError:
    return RefusedError(NOT_FOUND, f"There is no cluster named {name!r}.")


def _in_future(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise RefusedError(BAD_INPUT, f"expiresAt {moment.isoformat()} is not in the future.")
    return moment


async def _record(
    connection: Connection,
    principal: Principal,
    action: str,
    *,
    target: str,
    detail: dict[str, Any],
) -> None:
    await audit.record(
        connection,
        actor=principal.name,
        credential_id=UUID(principal.credential_id),
        action=action,
        target=target,
        detail=detail,
    )
