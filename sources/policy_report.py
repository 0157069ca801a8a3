"""PolicyReport, ClusterPolicyReport and their successors: the results of policies.

Kyverno, Kubewarden, falcosidekick and many others write them, each in its own way: one object for
a namespace, a policy or a resource; results that name one resource, several or none. An object
splits into one report for each (subject, source), and each result is in exactly one report for
each resource that it names. Without one, it is about the report's `scope`, else about its
namespace, else about the cluster.

The first version called `result` `status` and `properties` `data`; contents have the later names.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, field

from sources import canonical, resource, text, timestamp
from sources.catalogue import UNNAMED, catalogue
from sources.metadata import Metadata
from sources.report import (
    Category,
    ContentKind,
    Finding,
    Kind,
    Part,
    Reading,
    Ref,
    Rule,
    Source,
)
from sources.severity import severity_of, status_of
from sources.shape import conform, decode
from sources.subject_key import subject_key

WITHOUT_SOURCE = "policy-report"
MANAGED_BY = "app.kubernetes.io/managed-by"
KEPT = ("policy", "rule", "result", "severity", "category", "message", "scored", "properties")
# Properties that say where a result was found, or are made anew for each.
PLACE_PROPERTIES = frozenset({"policy-uid", "policy-resource-version", "resultID"})


class Resource(Struct, rename="camel"):
    """A reference to an object; some writers give no more than its name."""

    kind: str | None = None
    name: str | None = None
    namespace: str | None = None
    api_version: str | None = None


class Result(Struct):
    """One result, as it is stored; the old names are put right before that."""

    policy: str
    rule: str | None = None
    result: str | None = None
    severity: str | None = None
    message: str | None = None


class WrittenResult(Result):
    """One result, as it is written."""

    status: str | None = None  # v1alpha1
    source: str | None = None
    resources: list[Resource] | None = None
    properties: dict[str, Any] | None = None
    data: dict[str, Any] | None = None  # v1alpha1
    timestamp: Any = None


class PolicyReport(Struct):
    """The whole object, of any of the groups and versions."""

    results: list[WrittenResult] | None = None
    scope: Resource | None = None
    source: str | None = None  # since v1beta1
    metadata: Metadata = field(default_factory=Metadata)


class Content(Struct):
    """What is stored for one subject and source."""

    results: list[Result]


class Share(Struct):
    """What one subject and source have of an object so far; `newest` in ms since 1970."""

    results: list[bytes] = []
    newest: int | None = None


def split(obj: dict[str, Any]) -> list[Part]:
    """One report for each subject and source; with no results, one of its scope if it has one."""
    shaped = conform(obj, PolicyReport)
    shares: dict[tuple[Ref, str], Share] = {}
    if shaped.scope and shaped.scope.name and not shaped.results:
        shares[_scope(shaped), _source(shaped, None)] = Share()
    for result, given in zip(shaped.results or (), obj.get("results") or (), strict=True):
        encoded = canonical.encode(_lasting(given))
        found_at = timestamp.epoch(result.timestamp)
        source = _source(shaped, result)
        for subject in _subjects(shaped, result):
            share = shares.setdefault((subject, source), Share())
            share.results.append(encoded)
            share.newest = max(filter(None, (share.newest, found_at)), default=None)
    labels = shaped.metadata.clean_labels()
    return [
        Part(
            source=source,
            subject=subject,
            content_kind=POLICY_RESULTS.name,
            format=POLICY_RESULTS.format,
            content=canonical.encode({"results": [*map(msgspec.Raw, sorted(share.results))]}),
            sub_key=subject_key(subject, source),
            reported_at=share.newest,
            labels=labels,
        )
        for (subject, source), share in shares.items()
    ]


def read(content: bytes) -> Reading:
    """A finding for each result, passed or not."""
    results = decode(content, Content).results
    return Reading(findings=tuple(map(_finding, results)), rules=catalogue(map(_rule, results)))


def _source(report: PolicyReport, result: WrittenResult | None) -> str:
    """Tell who wrote a result; Kyverno's own spelling of its name varies in case."""
    named = (
        result.source if result else None,
        report.source,
        report.metadata.label(MANAGED_BY),
    )
    cleaned = (text.clean(name).strip().lower() for name in named)
    return next(filter(None, cleaned), WITHOUT_SOURCE)


def _subjects(report: PolicyReport, result: WrittenResult) -> Iterator[Ref]:
    """One subject for each resource that the result names, else the scope's."""
    for one in result.resources or ():
        yield _subject(report, one) if one.name else _scope(report)
    if not result.resources:
        yield _scope(report)


def _scope(report: PolicyReport) -> Ref:
    if report.scope and report.scope.name:
        return _subject(report, report.scope)
    return resource.namespace_or_cluster(report.metadata.namespace)


def _subject(report: PolicyReport, named: Resource) -> Ref:
    return resource.ref(
        group=resource.group_of(named.kind or "", named.api_version),
        kind=named.kind,
        namespace=named.namespace or report.metadata.namespace,
        name=named.name,
    )


def _lasting(result: dict[str, Any]) -> dict[str, Any]:
    """Keep what the policy says, under its later names, and nothing of where and when."""
    kept = {name: result[name] for name in KEPT if name in result}
    if not kept.get("result") and result.get("status"):
        kept["result"] = result["status"]
    if properties := result.get("properties") or result.get("data"):
        kept["properties"] = {
            name: value for name, value in properties.items() if name not in PLACE_PROPERTIES
        }
    return kept


def _finding(result: Result) -> Finding:
    return Finding(
        rule=_key(result),
        severity=severity_of(result.severity),
        status=status_of(result.result),
        message=result.message or None,
    )


def _rule(result: Result) -> Rule:
    """A key and a severity; the words stand in the findings, since each cluster has its own."""
    return Rule(key=_key(result), severity=severity_of(result.severity))


def _key(result: Result) -> str:
    if result.policy and result.rule:
        return f"{result.policy}/{result.rule}"
    return result.policy or result.rule or UNNAMED


POLICY_RESULTS = ContentKind(
    name="policy-results", format=1, reader=1, category=Category.POLICY, read=read
)

# (group, versions by preference, kinds). Of the versions without conversion between them, the
# newest knows every field of the others but v1alpha1's `status` and `data`.
_SERVED = (
    ("wgpolicyk8s.io", ("v1beta1", "v1alpha2", "v1alpha1"), "PolicyReport"),
    ("reports.x-k8s.io", ("v1beta2",), "PolicyReport"),
    ("openreports.io", ("v1alpha1",), "Report"),
)

SOURCE = Source(
    name="policy-report",
    kinds=tuple(
        Kind(
            group=group,
            kind=f"{prefix}{kind}",
            plural=f"{prefix}{kind}s".lower(),
            versions=versions,
            namespaced=not prefix,
        )
        for group, versions, kind in _SERVED
        for prefix in ("", "Cluster")
    ),
    contents=(POLICY_RESULTS,),
    split=split,
)
