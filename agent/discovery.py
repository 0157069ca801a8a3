"""Which of the kinds that we read a cluster serves, and in which version.

Asked every few seconds, because kinds come and go with their CRDs. Servers since 1.27 answer in
one aggregated document, with an ETag, so nothing but a 304 crosses the wire while nothing changes.
Older ones name the groups first and each version's resources after that; only groups that we read
are asked for. A server without the common document, such as an apiextensions-apiserver that stands
alone, is asked for each of our groups. A server that does not answer changes nothing that is known.
"""

import contextlib
from collections.abc import Iterable
from typing import Protocol

import msgspec
from msgspec import Struct

from agent.kubernetes import ApiError, NotFoundError, Query, UnavailableError
from sources.report import Kind

POLL_SECONDS = 5.0  # a new CRD is seen so late
ANSWER_BYTES = 16 * 2**20  # a cluster with a thousand CRDs answers with about one megabyte
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


class _Name(Struct, frozen=True):
    name: str = ""


class _AggregatedResource(Struct, frozen=True):
    resource: str = ""


class _AggregatedVersion(Struct, frozen=True):
    version: str = ""
    resources: list[_AggregatedResource] | None = None
    freshness: str = "Current"


class _Versions(Struct, frozen=True):
    """A group of either document: `items` are aggregated ones, `groups` plain ones."""

    metadata: _Name | None = None
    name: str = ""
    versions: list[_AggregatedVersion] | None = None


class _Groups(Struct, frozen=True):
    kind: str = ""
    items: list[_Versions] | None = None
    groups: list[_Versions] | None = None


class _Resources(Struct, frozen=True):
    resources: list[_Name] | None = None


_decode_groups = msgspec.json.Decoder(_Groups).decode
_decode_resources = msgspec.json.Decoder(_Resources).decode


class Discovery(Struct, frozen=True):
    """What a cluster serves: (group, plural) → the versions that serve it.

    `uncertain` are groups whose server does not answer: what was known of them still holds.
    """

    versions: dict[tuple[str, str], frozenset[str]]
    uncertain: frozenset[str] = frozenset()

    def choose(self, kind: Kind) -> str | None:
        """Return the first version in our order of preference that is served."""
        served = self.versions.get((kind.group, kind.plural), frozenset())
        return next((version for version in kind.versions if version in served), None)

    def unknown(self, kind: Kind) -> frozenset[str]:
        """Return versions that are served where none of them is one that we read."""
        served = self.versions.get((kind.group, kind.plural), frozenset())
        return frozenset() if self.choose(kind) else served


class Source(Protocol):
    """What discovery needs of `agent.kubernetes.Api`."""

    async def get(
        self, path: str, *, query: Query | None = None, accept: str = ..., limit: int = ...
    ) -> bytes:
        """Read a whole answer."""

    async def get_changed(
        self, path: str, *, etag: str, accept: str = ..., limit: int = ...
    ) -> tuple[bytes | None, str]:
        """Read a whole answer with its ETag, None where it is still the one of `etag`."""


class Discoverer:
    """Asks again and again what is served, remembering the last answer."""

    def __init__(self, api: Source, groups: Iterable[str]) -> None:
        self._api = api
        self._groups = frozenset(groups)
        self._etag = ""
        self._last = Discovery({})

    async def poll(self) -> Discovery:
        """Ask which resources of our groups are served; raises `ApiError`."""
        try:
            try:
                body, etag = await self._api.get_changed(
                    "/apis", etag=self._etag, accept=AGGREGATED, limit=ANSWER_BYTES
                )
            except NotFoundError:
                body, etag = await self._one_by_one(), ""
            if body is None:
                return self._last
            document = _decode_groups(body)
            if document.items is not None or document.kind == "APIGroupDiscoveryList":
                found = _aggregated(document.items or [], self._groups)
                self._etag = etag  # a plain list of groups has no news of resources
            else:
                found = await _plain(self._api, document.groups or [], self._groups)
        except msgspec.MsgspecError as exc:
            raise UnavailableError(f"GET /apis: not a discovery document: {exc}") from exc
        self._last = found
        return found

    async def _one_by_one(self) -> bytes:
        """Make the plain list of groups from each group's own document."""
        groups = []
        for group in sorted(self._groups):
            with contextlib.suppress(NotFoundError):
                groups.append(msgspec.Raw(await self._api.get(f"/apis/{group}")))
        return msgspec.json.encode({"groups": groups})


def _aggregated(items: list[_Versions], wanted: frozenset[str]) -> Discovery:
    versions: dict[tuple[str, str], set[str]] = {}
    uncertain = set()
    for group in items:
        name = group.metadata.name if group.metadata else ""
        if name not in wanted:
            continue
        for version in group.versions or ():
            if version.freshness == "Stale":
                uncertain.add(name)
            for resource in version.resources or ():
                versions.setdefault((name, resource.resource), set()).add(version.version)
    return _discovery(versions, uncertain)


async def _plain(api: Source, groups: list[_Versions], wanted: frozenset[str]) -> Discovery:
    versions: dict[tuple[str, str], set[str]] = {}
    uncertain = set()
    for group in groups:
        if group.name not in wanted:
            continue
        for version in group.versions or ():
            try:
                body = await api.get(f"/apis/{group.name}/{version.version}", limit=ANSWER_BYTES)
            except NotFoundError:
                continue  # went between the two questions
            except ApiError:
                uncertain.add(group.name)
                continue
            for resource in _decode_resources(body).resources or ():
                if "/" not in resource.name:  # not a subresource
                    versions.setdefault((group.name, resource.name), set()).add(version.version)
    return _discovery(versions, uncertain)


def _discovery(versions: dict[tuple[str, str], set[str]], uncertain: set[str]) -> Discovery:
    return Discovery(
        {resource: frozenset(found) for resource, found in versions.items()}, frozenset(uncertain)
    )
