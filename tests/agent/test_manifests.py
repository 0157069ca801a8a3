"""Objects from files, in every form that people keep them."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.manifests import ManifestError, read


def objects(*paths: Path | str) -> list[dict[str, Any]]:
    return [found for _, found in read(map(str, paths), listed=set())]


def names(*paths: Path | str) -> list[str]:
    return [found["metadata"]["name"] for found in objects(*paths)]


def named(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}


def test_several_documents(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("---\nkind: A\nmetadata: {name: a}\n---\n---\nkind: B\nmetadata: {name: b}\n")

    assert names(file) == ["a", "b"]


def test_json_lists_and_lines(tmp_path: Path) -> None:
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"kind": "List", "items": [named("a"), named("b")]}))
    lines = tmp_path / "lines.ndjson"
    lines.write_text("\n".join(json.dumps(named(name)) for name in "cd"))
    array = tmp_path / "array.json"
    array.write_text(json.dumps([named("e")]))

    assert names(listed, lines, array) == ["a", "b", "c", "d", "e"]


def test_items_of_a_typed_list_get_its_type(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    items = [{"metadata": {"name": "a"}}]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "PodList", "items": items}))

    [found] = objects(file)
    assert (found["apiVersion"], found["kind"]) == ("v1", "Pod")


def test_typed_lists_name_their_kind_even_when_empty(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"apiVersion": "g/v1", "kind": "ReportList", "items": []}))
    listed: set[tuple[str, str]] = set()

    assert list(read([str(file)], listed=listed)) == []
    assert listed == {("g/v1", "Report")}


def test_folders_are_read_in_order_and_other_files_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yml").write_text("kind: B\nmetadata: {name: b}\n")
    (tmp_path / "a.json").write_text(json.dumps(named("a")))
    (tmp_path / "README.md").write_text("not a manifest")

    assert names(tmp_path) == ["a", "b"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(named("a")).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)

    assert names("-") == ["a"]


def test_timestamps_stay_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: A\nat: 2026-01-01T00:00:00Z\nday: 2026-01-01\nnumber: 1.5\n")

    [found] = objects(file)
    assert (found["at"], found["day"]) == ("2026-01-01T00:00:00Z", "2026-01-01")
    assert found["number"] == 1.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ('{"kind": ', "not JSON"),
        ("just text", "not a Kubernetes object"),
        ("- 1\n", "not a Kubernetes object"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)

    with pytest.raises(ManifestError, match=says) as caught:
        objects(file)
    assert str(file) in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"kind: \xff\xfe")

    with pytest.raises(ManifestError, match="not UTF-8 at byte 6"):
        objects(file)
    with pytest.raises(ManifestError, match="no such file"):
        objects(tmp_path / "nothing.yaml")
