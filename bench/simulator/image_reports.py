"""What scanners say about the image of a container: its vulnerabilities, secrets and packages."""

from typing import Any

from agent.state import Place
from bench.simulator.chance import Chance
from bench.simulator.images import Image, Images
from bench.simulator.objects import (
    GROUP,
    TRIVY,
    Report,
    Revision,
    Shape,
    labels_of,
    scanner,
    time_of,
    written,
)
from bench.simulator.software import PLATFORMS, Package
from protocol import messages as m

LEAKY = 0.06  # of the images hold secrets
SECRETS = (
    ("aws-access-key-id", "AWS", "CRITICAL", "AWS Access Key ID"),
    ("private-key", "AsymmetricPrivateKey", "HIGH", "Asymmetric Private Key"),
    ("github-pat", "GitHub", "CRITICAL", "GitHub Personal Access Token"),
    ("jwt-token", "JWT", "MEDIUM", "JWT token"),
)
LICENCES = ("Apache-2.0", "MIT", "BSD-3-Clause", "GPL-2.0-or-later", "LGPL-2.1-or-later", "ISC")


class OfImage(Shape):
    """A report of a container's image; its content is the image's alone."""

    def __init__(self, chance: Chance, images: Images) -> None:
        super().__init__(chance)
        self.images = images

    def place(self, about: Revision, part: int) -> Place:
        """Name the object after owner and container."""
        kind, name = about.owner
        return (about.namespace, f"{kind.lower()}-{name}-{about.app.containers[part][0]}")

    def context(self, report: Report, content: bytes, *, superseded: bool) -> m.Report:
        """Say which image runs; one that runs no more is as the report names it, not trusted."""
        about, image = _seen(report)
        container = about.app.containers[report.part][0]
        return m.Report(
            content,
            "trivy-operator",
            about.workload,
            True,
            superseded,
            container,
            image.named(trusted=not superseded),
            *TRIVY,
            report.at,
            report.uid,
            labels_of(about.owner, about.namespace, container),
        )

    def _write(self, report: Report, **found: Any) -> dict[str, Any]:
        about, image = _seen(report)
        host = image.repository.registry
        return written(
            report,
            self.place(about, report.part),
            labels_of(about.owner, about.namespace, about.app.containers[report.part][0]),
            report={
                "artifact": {
                    "digest": image.digest,
                    "repository": image.repository.name,
                    "tag": image.tag,
                },
                "registry": {"server": "index.docker.io" if host == "docker.io" else host},
                "scanner": scanner(),
                "updateTimestamp": time_of(report.at),
                **found,
            },
        )


class Vulnerabilities(OfImage):
    """VulnerabilityReport."""

    kind = f"{GROUP}/VulnerabilityReport"

    def content(self, report: Report) -> tuple[object, ...]:
        """It depends on the image, and on what the database knew of it."""
        _, image = _seen(report)
        return (self.kind, image.number, self.images.known(image, report.version))

    def write(self, report: Report) -> dict[str, Any]:
        """Write what is found."""
        _, image = _seen(report)
        found = self.images.vulnerabilities(image, self.images.known(image, report.version))
        summary = {
            f"{severity.lower()}Count": sum(one["severity"] == severity for one in found)
            for severity in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
        }
        platform = PLATFORMS[image.repository.platform]
        return self._write(
            report,
            os={"family": platform.family, "name": platform.version},
            summary=summary,
            vulnerabilities=found,
        )


class Secrets(OfImage):
    """ExposedSecretReport; nearly all are empty, and all of those are one content."""

    kind = f"{GROUP}/ExposedSecretReport"

    def content(self, report: Report) -> tuple[object, ...]:
        """It depends on the repository, where that has any."""
        _, image = _seen(report)
        number = image.repository.number
        leaks = self.chance.fraction("leaks", number) < LEAKY
        return (self.kind, number if leaks else None)

    def write(self, report: Report) -> dict[str, Any]:
        """Write the secrets, with a match that must not leave the cluster."""
        number = self.content(report)[1]
        found = [
            {
                "category": category,
                "match": "key: *****",
                "ruleID": rule,
                "severity": severity,
                "target": f"/app/config/{rule}-{number}.yaml",
                "title": title,
            }
            for rule, category, severity, title in SECRETS
            if number is not None and self.chance.fraction("leak", number, rule) < 0.4
        ]
        return self._write(report, secrets=found, summary={"criticalCount": len(found)})


class Bills(OfImage):
    """SbomReport."""

    kind = f"{GROUP}/SbomReport"

    def content(self, report: Report) -> tuple[object, ...]:
        """It depends on the image."""
        _, image = _seen(report)
        return (self.kind, image.number)

    def write(self, report: Report) -> dict[str, Any]:
        """Write a CycloneDX document."""
        _, image = _seen(report)
        components = [_component(package) for package in self.images.packages(image)]
        bill = {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{report.uid}",
            "metadata": {"component": self._described(image)},
            "components": components,
        }
        return self._write(report, components=bill, summary={"componentsCount": len(components)})

    def _described(self, image: Image) -> dict[str, Any]:
        identity = "sha256:" + self.chance.hex(64, "image id", image.number)
        return {
            "type": "container",
            "name": f"{image.repository.name}:{image.tag}",
            "properties": [{"name": "aquasecurity:trivy:ImageID", "value": identity}],
        }


def _seen(report: Report) -> tuple[Revision, Image]:
    """Return whom a report is about, and the image."""
    about = report.about
    assert isinstance(about, Revision)
    return about, about.images[report.part]


def _component(package: Package) -> dict[str, Any]:
    return {
        "bom-ref": package.purl,
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "licenses": [{"license": {"id": LICENCES[len(package.purl) % len(LICENCES)]}}],
        "properties": [
            {"name": "aquasecurity:trivy:PkgID", "value": f"{package.name}@{package.version}"},
            {"name": "aquasecurity:trivy:PkgType", "value": package.type},
        ],
    }
