import pytest

from agent.images import parse, running
from protocol.messages import Image

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nginx", ("docker.io", "library/nginx", "latest", "")),
        ("nginx:1.25", ("docker.io", "library/nginx", "1.25", "")),
        ("bitnami/redis:7", ("docker.io", "bitnami/redis", "7", "")),
        ("index.docker.io/library/nginx:1", ("docker.io", "library/nginx", "1", "")),
        ("ghcr.io/a/b/c:v1", ("ghcr.io", "a/b/c", "v1", "")),
        ("localhost/x", ("localhost", "x", "latest", "")),
        ("registry:5000/x:y", ("registry:5000", "x", "y", "")),
        ("registry:5000/x", ("registry:5000", "x", "latest", "")),
        (f"nginx@{DIGEST}", ("docker.io", "library/nginx", "", DIGEST)),
        (f"quay.io/a/b:1@{DIGEST}", ("quay.io", "a/b", "1", DIGEST)),
        (DIGEST, ("", "", "", "")),
        ("", ("docker.io", "", "", "")),
    ],
)
def test_names_are_normal(reference: str, expected: tuple[str, str, str, str]) -> None:
    assert parse(reference) == Image(*expected)


@pytest.mark.parametrize(
    "image_id", [f"docker.io/library/nginx@{DIGEST}", f"docker-pullable://nginx@{DIGEST}"]
)
def test_a_manifests_digest_is_trusted(image_id: str) -> None:
    image = running("nginx:1.25", image_id)
    assert image == Image("docker.io", "library/nginx", "1.25", DIGEST, trusted=True)


@pytest.mark.parametrize("image_id", [DIGEST, f"docker://{DIGEST}", "", "nginx@sha256:short"])
def test_an_image_id_is_no_digest(image_id: str) -> None:
    assert running("nginx:1.25", image_id) == Image("docker.io", "library/nginx", "1.25", "")


def test_a_pinned_digest_is_kept_untrusted() -> None:
    pinned = "sha256:" + "d" * 64
    assert running(f"nginx@{pinned}", DIGEST).digest == pinned
    assert not running(f"nginx@{pinned}", DIGEST).trusted


def test_the_status_names_what_the_spec_does_not() -> None:
    assert running("", f"x@{DIGEST}", "quay.io/a/b:1").repository == "a/b"
