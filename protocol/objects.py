"""How objects of a cluster and images are named on the wire."""

from msgspec import Struct


class Key(Struct, frozen=True, array_like=True):
    """An entry's place within its kind. For workloads `sub` is "group/Kind", else a sub-key."""

    namespace: str
    name: str
    sub: str = ""


class Object(Struct, frozen=True, array_like=True):
    """A Kubernetes object; `group` is "" for the core group, `namespace` "" for cluster scope."""

    group: str
    kind: str
    namespace: str
    name: str


class Image(Struct, frozen=True, array_like=True):
    """An image, normalised; `trusted` where `digest` was seen running, not only reported."""

    registry: str
    repository: str
    tag: str
    digest: str
    trusted: bool = False
