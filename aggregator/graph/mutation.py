"""What an ADMIN may change: clusters and tokens.

The changes themselves, with their audit rows, are use cases of aggregator/access. Here are their
names and arguments in the API. A payload's cluster is read by the compiler after the change, like
any other query: a mutation answers with what is stored then.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import strawberry
from msgspec import Struct

from aggregator.access import administration
from aggregator.access.principal import Principal, Role
from aggregator.graph.filters import ClusterFilter
from aggregator.graph.mapping import Argument, declared, lazy
from aggregator.graph.scalars import DateTime, Json, TokenRole

UNSET: Any = strawberry.UNSET


@strawberry.input(description="A new cluster.")
class AddClusterInput:
    name: str = strawberry.field(description="Its name, unique in the fleet.")
    labels: Json | None = strawberry.field(
        description="Its labels: an object of strings.", default=UNSET
    )


@strawberry.input(description="A new API token.")
class CreateTokenInput:
    name: str = strawberry.field(description="What it is for; audit rows name it.")
    role: TokenRole = strawberry.field(description="What it may do.")
    clusters: ClusterFilter | None = strawberry.field(
        description="The clusters that it may see; all if not given. By name and labels only.",
        default=UNSET,
    )
    namespaces: list[str] | None = strawberry.field(
        description="The namespaces that it may see; all if not given.", default=UNSET
    )
    expires_at: DateTime | None = strawberry.field(
        description="When it ends; never if not given.", default=UNSET
    )


@strawberry.type(description="A new cluster and its agent's token.")
class AddClusterPayload:
    cluster = strawberry.field(description="The cluster.", graphql_type=lazy("cluster", "Cluster"))
    token: str = strawberry.field(description="For its agent; shown only here.")


@strawberry.type(description="A new API token.")
class CreateTokenPayload:
    id: strawberry.ID = strawberry.field(description="To revoke it by.")
    token: str = strawberry.field(description="Shown only here.")


class Outcome(Struct, frozen=True):
    """What a change led to: a value, or scalars beside the cluster to read."""

    value: Any = None
    cluster_id: int | None = None


Change = Callable[[Any, Principal, dict[str, Any]], Awaitable[Outcome]]


async def _add_cluster(pool: Any, principal: Principal, arguments: dict[str, Any]) -> Outcome:
    given = arguments["input"]
    added = await administration.add_cluster(
        pool, principal, name=given["name"], labels=given.get("labels") or {}
    )
    return Outcome({"token": added.token}, added.cluster_id)


async def _update_cluster(pool: Any, principal: Principal, arguments: dict[str, Any]) -> Outcome:
    return Outcome(
        cluster_id=await administration.update_cluster(
            pool,
            principal,
            name=arguments["name"],
            labels=arguments.get("labels"),
            rename=arguments.get("rename"),
        )
    )


async def _remove_cluster(pool: Any, principal: Principal, arguments: dict[str, Any]) -> Outcome:
    return Outcome(await administration.remove_cluster(pool, principal, name=arguments["name"]))


async def _rebind_cluster(pool: Any, principal: Principal, arguments: dict[str, Any]) -> Outcome:
    return Outcome(
        cluster_id=await administration.rebind_cluster(pool, principal, name=arguments["name"])
    )


async def _create_token(pool: Any, principal: Principal, arguments: dict[str, Any]) -> Outcome:
    given = arguments["input"]
    expires: datetime | None = given.get("expiresAt")
    created = await administration.create_token(
        pool,
        principal,
        name=given["name"],
        role=Role(given["role"].value),
        clusters=_plain(given.get("clusters")),
        namespaces=given.get("namespaces"),
        expires_at=expires,
    )
    return Outcome({"id": created.id, "token": created.token})


async def _revoke_token(pool: Any, principal: Principal, arguments: dict[str, Any]) -> Outcome:
    return Outcome(await administration.revoke_token(pool, principal, id=arguments["id"]))


def _plain(value: Any) -> Any:
    """Return an input as JSON holds it: enums by name, nothing that is not given."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return getattr(value, "name", value)


def _change(change: Change, description: str, *arguments: Argument, returns: object) -> Any:
    field = strawberry.field(
        description=description, metadata={"change": change}, graphql_type=returns
    )
    field.arguments = declared(arguments)
    return field


_NAME: Argument = ("name", str, "The cluster's name.")


@strawberry.type(description="Changes; they need an ADMIN token, and each leaves an audit row.")
class Mutation:
    add_cluster = _change(
        _add_cluster,
        "Add a cluster and get its agent's token.",
        ("input", AddClusterInput, "The cluster."),
        returns=AddClusterPayload,
    )
    update_cluster = _change(
        _update_cluster,
        "Rename a cluster or replace its labels.",
        _NAME,
        ("labels", Json | None, "All its labels; they stay if not given."),
        ("rename", str | None, "Its new name."),
        returns=lazy("cluster", "Cluster"),
    )
    remove_cluster = _change(
        _remove_cluster,
        "Remove a cluster and all that is known of it.",
        _NAME,
        returns=bool,
    )
    rebind_cluster = _change(
        _rebind_cluster,
        "Let the next session bind a rebuilt cluster's new UID.",
        _NAME,
        returns=lazy("cluster", "Cluster"),
    )
    create_token = _change(
        _create_token,
        "Make an API token.",
        ("input", CreateTokenInput, "The token."),
        returns=CreateTokenPayload,
    )
    revoke_token = _change(
        _revoke_token,
        "Revoke a token, at once and for ever.",
        ("id", strawberry.ID, "Its id."),
        returns=bool,
    )
