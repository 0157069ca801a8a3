"""A source is one file with its test, its samples and its section in the documentation."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import sources
from sources import registry
from sources.report import Kind
from tests.sources import samples

ROOT = Path(__file__).parents[2]
MODULES = sorted(module.name for module in pkgutil.iter_modules(sources.__path__))
SOURCES = [
    name for name in MODULES if hasattr(importlib.import_module(f"sources.{name}"), "SOURCE")
]
UNTESTED_NOUNS = {"report"}  # definitions only


def test_the_folder_holds_the_sources_that_are_built() -> None:
    assert SOURCES == [
        "cis_kube_bench_report",
        "compliance_detail_report",
        "compliance_report",
        "config_audit_report",
        "exposed_secret_report",
        "infra_assessment_report",
        "kube_hunter_report",
        "policy_report",
        "rbac_assessment_report",
        "sbom_report",
        "vulnerability_report",
    ]
    assert [source.name.replace("-", "_") for source in registry.all_sources()] == SOURCES


@pytest.mark.parametrize("module", sorted({*MODULES} - UNTESTED_NOUNS))
def test_a_module_has_a_test_module(module: str) -> None:
    assert (Path(__file__).parent / f"test_{module}.py").is_file()


@pytest.mark.parametrize("module", SOURCES)
def test_a_source_has_samples_of_each_of_its_kinds(module: str) -> None:
    source = importlib.import_module(f"sources.{module}").SOURCE
    held = {
        (samples.group_of(obj), obj["kind"])
        for path in (samples.FOLDER / module).iterdir()
        for obj in samples.objects(path)
    }
    assert held <= {(kind.group, kind.kind) for kind in source.kinds}
    assert {kind for _, kind in held} == {kind.kind for kind in source.kinds}


@pytest.mark.parametrize("module", SOURCES)
def test_a_source_has_a_section_in_the_documentation(module: str) -> None:
    documentation = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    source = importlib.import_module(f"sources.{module}").SOURCE
    section = re.search(rf"^## {module}\n(.*?)(?=^## |\Z)", documentation, re.MULTILINE | re.DOTALL)
    assert section, f"docs/sources.md has no section {module}"
    for kind in source.kinds:
        assert f"`{kind.kind}`" in section[1]
    for content in source.contents:
        assert f"`{content.name}` format {content.format}" in section[1]


def test_no_samples_are_left_of_sources_that_are_gone() -> None:
    assert sorted(path.name for path in samples.FOLDER.iterdir()) == SOURCES


@pytest.mark.parametrize(
    "kind", [kind for kind, _ in registry.kinds().values()], ids=lambda kind: kind.group + kind.kind
)
def test_kinds_are_those_of_the_crds(kind: Kind) -> None:
    assert kind.plural == kind.plural.lower()
    assert kind.versions
    assert kind.namespaced != kind.kind.startswith(
        ("Cluster", "CISKubeBenchReport", "KubeHunterReport")
    )
