"""Which container, image or object an event is about."""

from typing import Any

import pytest

from sources.falco_subject import About, about, flat
from sources.report import ImageRef, Ref

NOTHING = About("", "", "", None, None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, NOTHING),
        ({"k8s.ns.name": "<NA>", "k8s.pod.name": None, "container.name": ""}, NOTHING),
        ({"k8s.pod.name": "p"}, About("", "p", "", None, None)),
        ({"k8s": {"ns": {"name": "n"}, "pod.name": "p"}}, About("n", "p", "", None, None)),
        ({"k8s.ns.name": None, "k8s": {"ns": {"name": "n"}}}, About("n", "", "", None, None)),
        ({"k8s.ns.name": "a", "k8s": {"ns": {"name": "b"}}}, About("a", "", "", None, None)),
        ({"k8smeta.ns.name": "n", "k8smeta.pod.name": "p"}, About("n", "p", "", None, None)),
        ({"container.id": "host", "container.name": "host"}, NOTHING),
        ({"container.name": "host"}, NOTHING),
        ({"container.name": "k8s_web_p_n_1-2_0"}, About("n", "p", "web", None, None)),
        ({"container.name": "k8s_POD_p_n_1-2_0"}, About("n", "p", "", None, None)),
        ({"container.name": "k8s_web"}, About("", "", "k8s_web", None, None)),
        (
            {"ka.target.resource": "pods", "ka.target.name": "p", "ka.target.namespace": "n"},
            About("n", "p", "", None, None),
        ),
        ({"ka.target.resource": "pods", "ka.resp.name": "p"}, About("", "p", "", None, None)),
        (
            {"ka.target.resource": "namespaces", "ka.target.name": "n"},
            About("", "", "", Ref("", "Namespace", "", "n"), None),
        ),
        (
            {"ka.target.resource": "jobs", "ka.target.name": "j", "ka.target.namespace": "n"},
            About("n", "", "", Ref("batch", "Job", "n", "j"), None),
        ),
        ({"ka.target.resource": "jobs"}, NOTHING),
        ({"ka.target.resource": "nodepools", "ka.target.name": "x"}, NOTHING),
    ],
)
def test_what_an_event_is_about(fields: dict[str, Any], expected: About) -> None:
    assert about(flat(fields)) == expected


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        ({"repository": "nginx"}, ImageRef("docker.io", "library/nginx")),
        (
            {"repository": "ghcr.io/a/b", "tag": "1", "digest": "sha256:ab"},
            ImageRef("ghcr.io", "a/b", "1", "sha256:ab"),
        ),
        ({"repository": None, "tag": None}, None),
        ({"repository": "<NA>"}, None),
    ],
)
def test_an_image_is_normalised(fields: dict[str, Any], image: ImageRef | None) -> None:
    named = {f"container.image.{name}": value for name, value in fields.items()}

    assert about(named).image == image


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("nginx:1.27", ImageRef("docker.io", "library/nginx", "1.27")),
        ("localhost:5000/a/b", ImageRef("localhost:5000", "a/b")),
        ("ghcr.io/a/b:1@sha256:ab", ImageRef("ghcr.io", "a/b", "1", "sha256:ab")),
        ("sha256:ab", None),
    ],
)
def test_a_whole_name_stands_in(name: str, image: ImageRef | None) -> None:
    assert about({"container.image": name}).image == image


def test_nesting_without_end_is_left() -> None:
    fields: dict[str, Any] = {"a": 1}
    for _ in range(40):
        fields = {"a": fields}

    assert about(flat(fields)) == NOTHING
