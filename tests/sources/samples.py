"""Sample objects: read the way the agent reads manifests, split and read through the registry."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sources import registry
from sources.report import Finding, Part, Reading, Ref

FOLDER = Path(__file__).parent / "samples"


class ManifestLoader(yaml.CSafeLoader):
    """YAML without its dates: in JSON, and so in Kubernetes, a time is text."""


ManifestLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """All objects of a file: JSON, multi-document YAML, and what Lists hold."""
    text = path.read_text(encoding="utf-8")
    # json accepts more than msgspec does; both are plain JSON here
    documents = (
        [json.loads(text)]
        if path.suffix == ".json"
        else yaml.load_all(text, ManifestLoader)  # a safe loader
    )
    for document in documents:
        if document and str(document.get("kind")).endswith("List"):
            yield from document["items"]
        elif document:
            yield document


def sample(name: str) -> dict[str, Any]:
    """The only object of a sample, such as "policy_report/adapter.yaml"."""
    (found,) = objects(FOLDER / name)
    return found


def every_sample() -> dict[str, dict[str, Any]]:
    """All samples of all sources by name."""
    return {
        str(path.relative_to(FOLDER)): next(objects(path))
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file()
    }


def group_of(obj: dict[str, Any]) -> str:
    return str(obj.get("apiVersion", "")).rpartition("/")[0]


def split(obj: dict[str, Any]) -> list[Part]:
    """Split an object by the source that the registry has for its kind."""
    _, source = registry.kinds()[group_of(obj), obj["kind"]]
    return source.split(obj)


def split_one(obj: dict[str, Any]) -> Part:
    (part,) = split(obj)
    return part


def read(part: Part) -> Reading:
    """Read a part's content by the reader that the registry has for it."""
    return registry.contents()[part.content_kind].read(part.content)


def read_sample(name: str) -> Reading:
    return read(split_one(sample(name)))


def by_rule(reading: Reading) -> dict[str, Finding]:
    """Findings by rule, where each rule has one."""
    found = {finding.rule: finding for finding in reading.findings}
    assert len(found) == len(reading.findings)
    return found


def by_subject(parts: list[Part]) -> dict[Ref, Part]:
    """Parts by subject, where each subject has one."""
    found = {part.subject: part for part in parts}
    assert len(found) == len(parts)
    return found
