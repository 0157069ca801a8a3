"""SbomReport and ClusterSbomReport: what an image, or the cluster itself, is made of.

`report.components` is a CycloneDX document. Its components become packages; there are no
findings. Left out is what each run makes anew (serial number, time, bom-refs, and the dependencies
that are written in bom-refs), what depends on where the image was pulled from (its names and
repository digests), and the tools, which changed from a list to an object. The image's ID and the
digests of its layers stay, since they belong to the image alone.
"""

from typing import Any

from msgspec import Struct, field

from sources import aquasecurity, canonical
from sources.image import Artifact, Registry, image_ref
from sources.metadata import Metadata
from sources.owner import owner_of
from sources.report import ContentKind, Package, Part, Reading, Source
from sources.shape import conform, decode

OPERATING_SYSTEM = "operating-system"
GENERATED = frozenset({"bom-ref"})
OF_THE_IMAGE = frozenset({"aquasecurity:trivy:ImageID", "aquasecurity:trivy:DiffID"})


class LicenseName(Struct):
    """A licence by its SPDX id, else as the package calls it."""

    id: str | None = None
    name: str | None = None


class License(Struct):
    """A licence, or an expression of several; Trivy has written {} beside an expression."""

    license: LicenseName | None = None
    expression: str | None = None


class Component(Struct):
    """One entry of `components[]`."""

    name: str | None = None
    version: str | None = None
    type: str | None = None
    group: str | None = None
    purl: str | None = None
    licenses: list[License] | None = None


class Property(Struct):
    """A name and its value; a name may come several times."""

    name: str | None = None
    value: str | None = None


class DescribedComponent(Struct):
    """`metadata.component`: the image."""

    properties: list[Property] | None = None


class BillMetadata(Struct):
    """`metadata` of the document."""

    component: DescribedComponent | None = None


class Bill(Struct):
    """The CycloneDX document, in a report and in a content."""

    components: list[Component] | None = None
    metadata: BillMetadata | None = None


class Report(Struct, rename="camel"):
    """`report`."""

    components: Bill
    artifact: Artifact | None = None
    registry: Registry | None = None
    scanner: aquasecurity.Scanner | None = None
    update_timestamp: Any = None


class SbomReport(Struct):
    """The whole object."""

    report: Report
    metadata: Metadata = field(default_factory=Metadata)


def split(obj: dict[str, Any]) -> list[Part]:
    """One bill of one container's image, or of the cluster."""
    shaped = conform(obj, SbomReport)
    bill = obj["report"]["components"]
    content = {
        "components": canonical.sort_results(map(_lasting, bill.get("components") or ())),
        "metadata": {"component": {"properties": _image_properties(shaped.report.components)}},
    }
    return [
        aquasecurity.part(
            SBOM,
            canonical.encode(content),
            metadata=shaped.metadata,
            owner=owner_of(shaped.metadata),
            scanner=shaped.report.scanner,
            updated=shaped.report.update_timestamp,
            image=image_ref(shaped.report.artifact, shaped.report.registry),
        )
    ]


def read(content: bytes) -> Reading:
    """A package for each component that has a name."""
    components = decode(content, Bill).components or []
    return Reading(
        packages=tuple(_package(component) for component in components if component.name),
        os=next(filter(None, map(_os, components)), None),
    )


def _lasting(component: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in component.items() if name not in GENERATED}


def _image_properties(bill: Bill) -> list[dict[str, str | None]]:
    described = bill.metadata.component if bill.metadata else None
    properties = (described.properties if described else None) or ()
    return [
        {"name": one.name, "value": one.value} for one in properties if one.name in OF_THE_IMAGE
    ]


def _package(component: Component) -> Package:
    return Package(
        name=component.name or "",
        version=component.version or "",
        type=component.type or None,
        purl=component.purl or None,
        group=component.group or None,
        licenses=_licenses(component.licenses or ()),
    )


def _licenses(licenses: list[License] | tuple[()]) -> tuple[str, ...]:
    names = (
        (one.license and (one.license.id or one.license.name)) or one.expression for one in licenses
    )
    return tuple(dict.fromkeys(name for name in names if name))


def _os(component: Component) -> str | None:
    if component.type != OPERATING_SYSTEM:
        return None
    return " ".join(part for part in (component.name, component.version) if part) or None


SBOM = ContentKind(name="sbom", format=1, reader=1, category=None, read=read)

SOURCE = Source(
    name="sbom-report",
    kinds=(
        aquasecurity.kind("SbomReport", namespaced=True),
        aquasecurity.kind("ClusterSbomReport", namespaced=False),
    ),
    contents=(SBOM,),
    split=split,
)
