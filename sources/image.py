"""Image names as reports give them, made one name for one image."""

from msgspec import Struct

from sources import text
from sources.report import ImageRef

DOCKER_HUB = "docker.io"
_DOCKER_HUB_NAMES = frozenset(
    {"", "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
)


class Artifact(Struct):
    """`report.artifact`: a repository without its registry, and at best a tag and a digest."""

    repository: str | None = None
    tag: str | float | None = None  # YAML by hand leaves out the quotes of 1.16
    digest: str | None = None


class Registry(Struct):
    """`report.registry`: the host as `server`; before Starboard 0.4 an address as `url`."""

    server: str | None = None
    url: str | None = None


def image_ref(artifact: Artifact | None, registry: Registry | None) -> ImageRef | None:
    """Normalise an image's name; None where the report names none.

    Docker Hub is always "docker.io", and its official images carry "library/". A repository that
    starts with a registry's host, where no registry is named, gives the host away.
    """
    if artifact is None:
        return None
    return named(
        text.clean(artifact.repository),
        text.clean(text.written(artifact.tag)),
        text.clean(artifact.digest),
        host=_host(registry) if registry else "",
    )


def named(repository: str, tag: str, digest: str, *, host: str = "") -> ImageRef | None:
    """Normalise an image's name, of texts that are clean; None where there is no repository."""
    repository = repository.strip("/")
    if not repository:
        return None
    first, _, rest = repository.partition("/")
    if rest and (first == host or (not host and _looks_like_host(first))):
        host, repository = first, rest
    if host in _DOCKER_HUB_NAMES:
        host = DOCKER_HUB
        if "/" not in repository:
            repository = f"library/{repository}"
    return ImageRef(
        registry=host,
        repository=repository,
        tag=tag,
        digest=digest.rpartition("@")[2],
    )


def _host(registry: Registry) -> str:
    """Read the host of "index.docker.io" or "https://index.docker.io/v1/"."""
    address = text.clean(registry.server or registry.url)
    return address.rpartition("://")[2].partition("/")[0].lower()


def _looks_like_host(part: str) -> bool:
    """Tell a registry from a user of Docker Hub the way container runtimes do."""
    return "." in part or ":" in part or part == "localhost"
