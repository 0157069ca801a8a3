"""Image references as pods write them, in the normal form that reports use.

What runs is told by two fields that each say half: the spec names registry, repository and tag,
and the status's `imageID` names the manifest's digest, in one of several spellings and sometimes
not at all.
"""

import re
import sys

from protocol.messages import Image

DOCKER_HUB = "docker.io"
_DOCKER_HUBS = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,128}")


def parse(reference: str) -> Image:
    """Split "registry/repository:tag@digest" as the container runtimes do.

    The first part is a registry if it has a dot or a colon or is "localhost"; what has no registry
    comes from Docker Hub, its official images from "library/". A bare image ID has no name.
    """
    name, _, digest = reference.partition("@")
    digest = digest if _DIGEST.fullmatch(digest) else ""
    if not digest and _DIGEST.fullmatch(name):  # an image ID, not a name
        return Image("", "", "", "")
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, path = head, rest
    else:
        registry, path = DOCKER_HUB, name
    repository, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = path, ""
    if registry in _DOCKER_HUBS:
        registry = DOCKER_HUB
        if repository and "/" not in repository:
            repository = f"library/{repository}"
    if not tag and not digest and repository:
        tag = "latest"
    one = sys.intern  # many pods hold the same texts
    return Image(one(registry), one(repository), one(tag), one(digest))


def running(spec: str, image_id: str, reported: str = "") -> Image:
    """Say what runs: the name that the pod asks for with the digest that its status reports.

    `image_id` is "repository@sha256:…", perhaps behind "docker-pullable://": the digest of the
    manifest that was pulled, trusted. A bare "sha256:…" or "docker://sha256:…" is the digest of
    the image's configuration, which names no manifest: a pinned digest is kept then, untrusted.
    `reported` is the status's own name of the image, for where the spec is not known.
    """
    image = parse(spec or reported)
    _, _, digest = image_id.rpartition("@")
    if "@" in image_id and _DIGEST.fullmatch(digest):
        digest = sys.intern(digest)
        return Image(image.registry, image.repository, image.tag, digest, trusted=True)
    return image
