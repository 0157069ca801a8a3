"""KEY=VALUE on the command line."""

from collections.abc import Iterable

import click


def read_labels(items: Iterable[str]) -> dict[str, str]:
    """Read KEY=VALUE items; a key that comes twice keeps its last value."""
    labels: dict[str, str] = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise click.UsageError(f"{item!r} is not KEY=VALUE.")
        labels[key] = value
    return labels
