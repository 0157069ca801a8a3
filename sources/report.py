"""The nouns every source speaks: what an object splits into, and what a content reads as.

The agent calls `split` and understands only as much of an object as that takes.
The aggregator calls `read` once for every distinct content.
Both are pure functions; neither does I/O.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Category(StrEnum):
    """What kind of question a finding answers; the values are GraphQL's."""

    VULNERABILITY = "VULNERABILITY"
    MISCONFIGURATION = "MISCONFIGURATION"
    SECRET = "SECRET"  # noqa: S105 - a category, not a secret
    POLICY = "POLICY"
    BENCHMARK = "BENCHMARK"
    RBAC = "RBAC"
    INFRASTRUCTURE = "INFRASTRUCTURE"
    PROVENANCE = "PROVENANCE"
    NETWORK = "NETWORK"
    CLOUD = "CLOUD"


class Severity(StrEnum):
    """How bad, in the words of GraphQL; UNKNOWN where a producer says nothing usable."""

    UNKNOWN = "UNKNOWN"
    INFO = "INFO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Status(StrEnum):
    """The outcome of a check; FAIL, WARN and ERROR are open, they need attention."""

    PASS = "PASS"  # noqa: S105 - an outcome, not a password
    SKIP = "SKIP"
    ERROR = "ERROR"
    WARN = "WARN"
    FAIL = "FAIL"


OPEN = frozenset({Status.FAIL, Status.WARN, Status.ERROR})


class UnreadableError(Exception):
    """An object or a content that cannot be read.

    The message is the reason that users see in `failedReports`: what was expected where, and what
    was found; never the value of a secret.
    """


class Ref(Struct, frozen=True):
    """A Kubernetes object. `group` is "" for the core group, `namespace` "" for cluster scope."""

    group: str
    kind: str
    namespace: str
    name: str


class ImageRef(Struct, frozen=True):
    """An image as a report names it, normalised; "" stands for what is not known.

    `registry` is "docker.io" for Docker Hub whatever the report says (index.docker.io, "");
    `repository` carries the "library/" of official images; `digest` is "sha256:…".
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""


class Part(Struct, frozen=True):
    """One report: an object's share for one subject and source, split in context and content.

    Everything but `content` is context. `sub_key` is "" for an object about one subject and
    source, else a stable text made of both. `reported_at` is the report's own time in
    milliseconds since 1970, None where the kind has none or it cannot be true.
    `content` is JSON as `sources.canonical.encode` makes it; `content_kind` and `format`
    select its reader.
    """

    source: str
    subject: Ref
    content_kind: str
    format: int
    content: bytes
    sub_key: str = ""
    container: str = ""
    image: ImageRef | None = None
    scanner: str = ""
    scanner_version: str = ""
    reported_at: int | None = None
    labels: dict[str, str] = {}


class Finding(Struct, frozen=True):
    """One result. `rule` is the rule's key; None is "not known", "" is never used instead."""

    rule: str
    severity: Severity
    status: Status
    score: float | None = None
    package: str | None = None
    installed_version: str | None = None
    fixed_version: str | None = None
    package_type: str | None = None
    purl: str | None = None
    package_path: str | None = None
    target: str | None = None
    message: str | None = None


class Rule(Struct, frozen=True):
    """What the catalogue says about a rule; `links` are https only; times in ms since 1970."""

    key: str
    severity: Severity = Severity.UNKNOWN
    title: str | None = None
    description: str | None = None
    remediation: str | None = None
    score: float | None = None
    links: tuple[str, ...] = ()
    published_at: int | None = None
    modified_at: int | None = None


class Package(Struct, frozen=True):
    """One component of a bill of materials; `group` is Maven's group or npm's scope."""

    name: str
    version: str
    type: str | None = None
    purl: str | None = None
    group: str | None = None
    licenses: tuple[str, ...] = ()


class Reading(Struct, frozen=True):
    """What a content says. `findings` is a multiset: two equal entries are two findings."""

    findings: tuple[Finding, ...] = ()
    rules: tuple[Rule, ...] = ()
    packages: tuple[Package, ...] = ()
    os: str | None = None  # the image's operating system, such as "debian 12.5"


class Kind(Struct, frozen=True):
    """A kind to watch. `versions` are in order of preference; one served version is watched."""

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    namespaced: bool


class ContentKind(Struct, frozen=True):
    """How a content is read.

    `format` counts the shapes that `split` has written, `reader` the versions of `read`: a higher
    `reader` makes the aggregator read stored contents again. `category` is None for contents
    without findings.
    """

    name: str
    format: int
    reader: int
    category: Category | None
    read: Callable[[bytes], Reading]


class Source(Struct, frozen=True):
    """One module of this folder, as its constant `SOURCE`.

    `split` takes a decoded object of one of `kinds` (plain dicts and lists, as JSON decodes) and
    returns its reports, none for an object that says nothing. It raises `UnreadableError`, and
    nothing else, for what it cannot read.
    """

    name: str
    kinds: tuple[Kind, ...]
    contents: tuple[ContentKind, ...]
    split: Callable[[dict[str, Any]], list[Part]]
