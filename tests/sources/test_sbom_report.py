import copy
import json
import uuid

from sources.report import ImageRef, Package
from sources.resource import CLUSTER
from sources.sbom_report import SBOM
from tests.sources import samples

WEB = "sbom_report/shop-web.yaml"


def test_a_package_is_a_component() -> None:
    reading = samples.read_sample(WEB)
    assert SBOM.category is None
    assert (reading.findings, reading.rules) == ((), ())
    assert reading.os == "debian 12.4"
    packages = {package.name: package for package in reading.packages}
    assert len(packages) == len(reading.packages) == 5
    assert packages["libssl3"] == Package(
        name="libssl3",
        version="3.0.11-1~deb12u2",
        type="library",
        purl="pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.4",
        licenses=("Apache-2.0", "OpenSSL"),
    )
    assert packages["storefront"].group == "@acme"
    assert packages["base-files"].licenses == ("GPL-2.0-or-later AND Verbatim",)
    assert packages["usr/share/app/package-lock.json"].version == ""
    assert packages["debian"].type == "operating-system"


def test_each_run_of_the_scanner_makes_the_same_content() -> None:
    obj = samples.sample(WEB)
    again = copy.deepcopy(obj)
    bill = again["report"]["components"]
    bill |= {"serialNumber": f"urn:uuid:{uuid.uuid4()}", "dependencies": [], "version": 2}
    bill["metadata"] |= {"timestamp": "2026-03-03T00:00:00+00:00", "tools": []}
    for component in [*bill["components"], bill["metadata"]["component"]]:
        component["bom-ref"] = str(uuid.uuid4())
    bill["components"].reverse()
    assert samples.split_one(again).content == samples.split_one(obj).content


def test_names_of_the_image_are_context_its_identity_is_content() -> None:
    content = json.loads(samples.split_one(samples.sample(WEB)).content)
    properties = content["metadata"]["component"]["properties"]
    assert [one["name"] for one in properties] == [
        "aquasecurity:trivy:DiffID",
        "aquasecurity:trivy:ImageID",
    ]


def test_tools_as_a_list_and_a_version_as_a_number() -> None:
    part = samples.split_one(samples.sample("sbom_report/tools-list.yaml"))
    assert samples.read(part).os == "debian 11.7"
    assert part.image == ImageRef("registry.k8s.io", "kube-apiserver", "v1.27.3")


def test_a_cached_bill_is_about_its_image_only() -> None:
    part = samples.split_one(samples.sample("sbom_report/image-cache.yaml"))
    assert part.subject == CLUSTER
    assert part.image == ImageRef("ghcr.io", "acme/payments-api", "4.11.0")
    assert samples.read(part).packages == ()


def test_components_without_a_name_are_no_packages() -> None:
    obj = samples.sample(WEB)
    obj["report"]["components"]["components"] = [{"type": "library"}, {"name": ""}, {"name": "a"}]
    assert samples.read(samples.split_one(obj)).packages == (Package(name="a", version=""),)
