"""Who asks: a credential's name, role and scope."""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What a credential may do: VIEWER asks, ADMIN also changes, AGENT only writes its cluster."""

    VIEWER = "VIEWER"
    ADMIN = "ADMIN"
    AGENT = "AGENT"


class Scope(Struct, frozen=True):
    """What a credential may see. None is everything; an empty tuple is nothing.

    `clusters` are ids of table cluster. `namespaces` limits to subjects of these namespaces;
    what belongs to no namespace (nodes, cluster-scoped objects) is then out of scope. `hidden` are
    clusters that were removed and are not all gone; they are outside of `clusters` in any case.
    """

    clusters: tuple[int, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    hidden: tuple[int, ...] = ()


class Principal(Struct, frozen=True):
    """An authenticated caller. `cluster_id` is that of an agent's credential."""

    credential_id: str
    name: str
    role: Role
    scope: Scope = Scope()
    cluster_id: int | None = None
