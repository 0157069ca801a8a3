import pytest

from sources.image import Artifact, Registry, image_ref
from sources.report import ImageRef


@pytest.mark.parametrize(
    ("server", "repository", "registry", "name"),
    [
        ("index.docker.io", "library/nginx", "docker.io", "library/nginx"),
        ("index.docker.io", "nginx", "docker.io", "library/nginx"),
        ("docker.io", "grafana/loki", "docker.io", "grafana/loki"),
        ("", "nginx", "docker.io", "library/nginx"),
        (None, "grafana/loki", "docker.io", "grafana/loki"),
        ("", "quay.io/coreos/etcd", "quay.io", "coreos/etcd"),
        ("", "localhost/app", "localhost", "app"),
        ("", "index.docker.io/nginx", "docker.io", "library/nginx"),
        ("quay.io", "quay.io/coreos/etcd", "quay.io", "coreos/etcd"),
        ("k8s.gcr.io", "kube-apiserver", "k8s.gcr.io", "kube-apiserver"),
        ("Registry.Example.com:5000", "team/app", "registry.example.com:5000", "team/app"),
        ("https://index.docker.io/v1/", "redis", "docker.io", "library/redis"),
    ],
)
def test_one_name_for_one_image(
    server: str | None, repository: str, registry: str, name: str
) -> None:
    found = image_ref(Artifact(repository=repository), Registry(server=server))
    assert found == ImageRef(registry, name)


def test_the_registry_of_starboard_before_0_4_is_an_address() -> None:
    found = image_ref(Artifact(repository="a/b", tag="1"), Registry(url="https://quay.io/v2/"))
    assert found == ImageRef("quay.io", "a/b", "1")


def test_a_digest_without_the_name_before_it() -> None:
    found = image_ref(Artifact(repository="a/b", digest="quay.io/a/b@sha256:1f"), None)
    assert found == ImageRef("docker.io", "a/b", digest="sha256:1f")


def test_a_tag_that_yaml_took_for_a_number() -> None:
    found = image_ref(Artifact(repository="a/b", tag=1.16), None)
    assert found == ImageRef("docker.io", "a/b", "1.16")


@pytest.mark.parametrize("artifact", [None, Artifact(), Artifact(repository="/", tag="1")])
def test_no_repository_is_no_image(artifact: Artifact | None) -> None:
    assert image_ref(artifact, Registry(server="quay.io")) is None
