"""Objects from files: YAML with any number of documents, JSON, JSON lines, Lists, folders, "-".

Numbers and texts come out as JSON has them: a YAML timestamp stays the text it is.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

SUFFIXES = (".yaml", ".yml", ".json", ".ndjson", ".jsonl")
STDIN = "-"
DEPTH = 10  # Lists inside Lists


class ManifestError(Exception):
    """A file that cannot be read; the message names it and the place in it."""


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(
    paths: Iterable[str], *, listed: set[tuple[str, str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where it came from, object) for every object. Raises `ManifestError`.

    `listed` gathers apiVersion and kind of typed Lists: one without items says that there are none.
    """
    for path in paths:
        for file in _files(path):
            where = "standard input" if file == STDIN else file
            for document in _documents(file, where):
                yield from _objects(document, where, DEPTH, listed)


def _files(path: str) -> Iterator[str]:
    if path == STDIN:
        yield path
        return
    place = Path(path)
    if place.is_dir():
        yield from sorted(
            str(file)
            for file in place.rglob("*")
            if file.is_file() and file.suffix.lower() in SUFFIXES
        )
    elif place.is_file():
        yield path
    else:
        raise ManifestError(f"{path}: no such file or folder")


def _documents(file: str, where: str) -> Iterator[Any]:
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise ManifestError(f"{where}: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{where}: not UTF-8 at byte {error.start:,}") from error
    if text.lstrip()[:1] in ("{", "["):
        yield from _json(text, where)
        return
    try:
        yield from yaml.load_all(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestError(f"{where}: not YAML: {' '.join(str(error).split())}") from error


def _json(text: str, where: str) -> Iterator[Any]:
    """One JSON value after another, as `kubectl get -o json` or JSON lines give them."""
    decoder = json.JSONDecoder()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            if at == 0:  # YAML's flow style looks like JSON
                yield from _flow(text, where, error)
                return
            raise ManifestError(f"{where}: not JSON: {error}") from error
        yield value


def _flow(text: str, where: str, error: Exception) -> Iterator[Any]:
    try:
        yield from yaml.load_all(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ManifestError(f"{where}: not JSON: {error}") from error


def _objects(
    document: Any, where: str, depth: int, listed: set[tuple[str, str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if document is None:
        return
    if isinstance(document, list):
        for item in document:
            yield from _objects(item, where, depth, listed)
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise ManifestError(f"{where}: holds something that is not a Kubernetes object")
    items = document.get("items")
    if document["kind"].endswith("List") and isinstance(items, list):
        if depth == 0:
            raise ManifestError(f"{where}: Lists more than {DEPTH} deep")
        listed.add((str(document.get("apiVersion", "")), document["kind"].removesuffix("List")))
        for item in items:
            yield from _objects(_with_type(item, document), where, depth - 1, listed)
        return
    yield where, document


def _with_type(item: Any, parent: dict[str, Any]) -> Any:
    """Items of a typed list, such as a PolicyReportList, leave their type out."""
    if isinstance(item, dict) and "kind" not in item:
        kind = parent["kind"].removesuffix("List")
        return {"apiVersion": parent.get("apiVersion"), "kind": kind, **item}
    return item
