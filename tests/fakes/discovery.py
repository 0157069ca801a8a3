"""What the fake API server says about what it serves, in both forms that servers have."""

import hashlib
from collections.abc import Iterable
from typing import Any

from tests.fakes.resources import ResourceType
from tests.fakes.storage import encode


def document(
    parts: list[str], types: Iterable[ResourceType], *, accept: str
) -> dict[str, Any] | None:
    """Answer a path of discovery; None for any other path."""
    served = list(types)
    found: dict[str, Any] | None = None
    match parts:
        case ["api"]:
            found = {"kind": "APIVersions", "versions": ["v1"]}
        case ["api", version]:
            found = _resources("", version, served)
        case ["apis"] if "as=APIGroupDiscoveryList" in accept:
            found = _aggregated(served)
        case ["apis"]:
            groups = sorted({one.group for one in served if one.group})
            found = {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(group, served) for group in groups],
            }
        case ["apis", group] if any(one.group == group for one in served):
            found = _group(group, served)
        case ["apis", group, version]:
            found = _resources(group, version, served)
    return found


def etag(value: dict[str, Any]) -> str:
    """The ETag of a document."""
    return f'"{hashlib.sha256(encode(value)).hexdigest()}"'


def _versions(group: str, served: list[ResourceType]) -> list[str]:
    found = (version for one in served if one.group == group for version in one.versions)
    return list(dict.fromkeys(found))


def _group(group: str, served: list[ResourceType]) -> dict[str, Any]:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version}
        for version in _versions(group, served)
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str, served: list[ResourceType]) -> dict[str, Any] | None:
    found = [one for one in served if one.group == group and version in one.versions]
    if not found:
        return None
    names: list[dict[str, Any]] = []
    for one in found:
        known = {"kind": one.kind, "namespaced": one.namespaced, "verbs": ["get", "list", "watch"]}
        names += [{"name": one.plural, **known}, {"name": f"{one.plural}/status", **known}]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": names}


def _aggregated(served: list[ResourceType]) -> dict[str, Any]:
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group, "creationTimestamp": None},
                "versions": [
                    {
                        "version": version,
                        "freshness": "Current",
                        "resources": [
                            {
                                "resource": one.plural,
                                "responseKind": {"group": "", "version": "", "kind": one.kind},
                                "scope": "Namespaced" if one.namespaced else "Cluster",
                                "verbs": ["get", "list", "watch"],
                            }
                            for one in served
                            if one.group == group and version in one.versions
                        ],
                    }
                    for version in _versions(group, served)
                ],
            }
            for group in sorted({one.group for one in served if one.group})
        ],
    }
