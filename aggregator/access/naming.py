"""What names and labels may be, checked where they enter."""

import re
from typing import Any

CLUSTER_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")  # 1 to 253
TOKEN_NAME_MAX = 200  # characters
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # Kubernetes' own rule
NAMESPACES_MAX = 1000
LABELS_MAX = 64
LABEL_KEY = re.compile(r"(?:[A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
LABEL_VALUE_MAX = 253  # characters


class BadNameError(ValueError):
    """A name or label that is not allowed; the message says what is."""


def cluster_name(name: str) -> str:
    """Check a cluster's name."""
    if CLUSTER_NAME.fullmatch(name) is None:
        raise BadNameError(
            f"The name {name!r} is not allowed: 1 to 253 letters, digits, dots, dashes and "
            "underscores, with a letter or digit first and last."
        )
    return name


def cluster_labels(labels: Any) -> dict[str, str]:
    """Check a cluster's labels: text to text."""
    if not isinstance(labels, dict) or len(labels) > LABELS_MAX:
        raise BadNameError(f"Labels are an object of at most {LABELS_MAX} texts by key.")
    for key, value in labels.items():
        if not isinstance(key, str) or LABEL_KEY.fullmatch(key) is None:
            raise BadNameError(f"The label key {key!r} is not allowed: write it as in Kubernetes.")
        if not isinstance(value, str) or len(value) > LABEL_VALUE_MAX or not _printable(value):
            raise BadNameError(
                f"The value of label {key!r} is not allowed: a printable text of at most "
                f"{LABEL_VALUE_MAX} characters."
            )
    return labels


def token_name(name: str) -> str:
    """Check a token's name, which is for people."""
    if not name.strip() or len(name) > TOKEN_NAME_MAX or not _printable(name):
        raise BadNameError(
            f"The token's name is 1 to {TOKEN_NAME_MAX} printable characters, not {name!r}."
        )
    return name


def namespaces(names: list[str] | None) -> list[str] | None:
    """Check the namespaces of a scope; None is every namespace."""
    if names is None:
        return None
    if len(names) > NAMESPACES_MAX:
        raise BadNameError(f"A scope has at most {NAMESPACES_MAX} namespaces.")
    for name in names:
        if NAMESPACE.fullmatch(name) is None:
            raise BadNameError(f"{name!r} is not the name of a Kubernetes namespace.")
    return sorted(set(names))


def _printable(value: str) -> bool:
    return value.isprintable()
