"""The clusters of a scope: a ClusterFilter of the API, checked and put into canonical form.

Canonical is what `store/credentials.py` reads: no nulls, no empty parts, and a label without a
condition means that the label exists. `state` is refused, since a scope must not come and go with
a cluster's connection. A filter that limits nothing becomes None: every cluster.
"""

from typing import Any

TEXT_CONDITIONS = ("eq", "in", "not", "contains", "startsWith")
VALUES_MAX = 1000  # of one `in`
LABELS_MAX = 20
TEXT_LENGTH_MAX = 253


class BadScopeError(ValueError):
    """The filter is not one; the message names the field and what is allowed."""


def canonical(clusters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Check a ClusterFilter and reduce it. None is every cluster."""
    if clusters is None:
        return None
    given = _object(clusters, "clusters", ("name", "labels", "state"))
    if "state" in given:
        raise BadScopeError("clusters.state: not allowed in a scope; use name and labels")
    reduced: dict[str, Any] = {}
    if name := _conditions(given.get("name")):
        reduced["name"] = name
    if labels := _labels(given.get("labels")):
        reduced["labels"] = labels
    return reduced or None


def _conditions(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    given = _object(value, "clusters.name", TEXT_CONDITIONS)
    return {
        condition: _texts(operand, f"clusters.name.{condition}")
        if condition == "in"
        else _text(operand, f"clusters.name.{condition}")
        for condition, operand in given.items()
    }


def _labels(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > LABELS_MAX:
        raise BadScopeError(f"clusters.labels: a list of at most {LABELS_MAX}")
    return [_label(item, f"clusters.labels[{index}]") for index, item in enumerate(value)]


def _label(value: Any, where: str) -> dict[str, Any]:
    given = _object(value, where, ("key", "in", "exists"))
    if "key" not in given:
        raise BadScopeError(f"{where}.key: required")
    label: dict[str, Any] = {"key": _text(given["key"], f"{where}.key")}
    if "in" in given:
        label["in"] = _texts(given["in"], f"{where}.in")
    if "exists" in given:
        if not isinstance(given["exists"], bool):
            raise BadScopeError(f"{where}.exists: true or false")
        label["exists"] = given["exists"]
    if len(label) == 1:
        label["exists"] = True
    return label


def _object(value: Any, where: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadScopeError(f"{where}: an object with {', '.join(allowed)}")
    for field in value:
        if field not in allowed:
            raise BadScopeError(f"{where}.{field}: unknown; allowed are {', '.join(allowed)}")
    return {field: operand for field, operand in value.items() if operand is not None}


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or len(value) > VALUES_MAX:
        raise BadScopeError(f"{where}: a list of at most {VALUES_MAX} texts")
    return [_text(item, where) for item in value]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > TEXT_LENGTH_MAX or not value.isprintable():
        raise BadScopeError(f"{where}: a printable text of at most {TEXT_LENGTH_MAX} characters")
    return value
