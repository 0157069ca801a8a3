"""What all reports of the group aquasecurity.github.io share, Trivy Operator's and Starboard's.

They are objects with `metadata` and `report`, named and labelled alike, and served as v1alpha1
only, whatever shape they had in their time.
"""

from typing import Any

from msgspec import Struct

from sources import text, timestamp
from sources.metadata import Metadata
from sources.owner import TRIVY_OPERATOR, Owner, producer_of
from sources.report import ContentKind, ImageRef, Kind, Part

GROUP = "aquasecurity.github.io"


class Scanner(Struct):
    """`report.scanner`: the program that looked, such as Trivy 0.52.2 or kube-bench v0.6.5."""

    name: str | None = None
    version: str | float | None = None  # YAML by hand leaves out the quotes of 4.2


def kind(name: str, *, namespaced: bool) -> Kind:
    """Describe a kind of this group to whoever watches it."""
    return Kind(
        group=GROUP,
        kind=name,
        plural=f"{name.lower()}s",
        versions=("v1alpha1",),
        namespaced=namespaced,
    )


def part(
    content_kind: ContentKind,
    content: bytes,
    *,
    metadata: Metadata,
    owner: Owner,
    scanner: Scanner | None = None,
    updated: Any = None,
    image: ImageRef | None = None,
    default_source: str = TRIVY_OPERATOR,
    sub_key: str = "",
) -> Part:
    """Put a content and its context together; `updated` is the RFC 3339 time of the scan."""
    return Part(
        source=producer_of(metadata, default_source),
        subject=owner.subject,
        content_kind=content_kind.name,
        format=content_kind.format,
        content=content,
        sub_key=sub_key,
        container=owner.container,
        image=image,
        scanner=text.clean(scanner.name) if scanner else "",
        scanner_version=text.clean(text.written(scanner.version)) if scanner else "",
        reported_at=timestamp.reported(updated),
        labels=metadata.clean_labels(),
    )
