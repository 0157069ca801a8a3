"""The metadata of a Kubernetes object, as far as sources read it."""

from typing import Any

from msgspec import Struct

from sources import text


class OwnerReference(Struct, rename="camel"):
    """Who deletes the object when it goes itself."""

    kind: str | None = None
    name: str | None = None
    api_version: str | None = None
    controller: bool | None = None


class Metadata(Struct, rename="camel"):
    """All parts are optional: manifests and documentation leave out what the API server fills in.

    The API server holds text only in labels and annotations; YAML by hand says `true` and `1.16`.
    """

    name: str | None = None
    namespace: str | None = None
    labels: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    owner_references: list[OwnerReference] | None = None

    def label(self, key: str) -> str:
        """Return a label's value, "" without it."""
        return text.written((self.labels or {}).get(key))

    def annotation(self, key: str) -> str:
        """Return an annotation's value, "" without it."""
        return text.written((self.annotations or {}).get(key))

    def clean_labels(self) -> dict[str, str]:
        """Return the labels as context."""
        return {
            text.clean(key): text.clean(text.written(value))
            for key, value in (self.labels or {}).items()
        }
