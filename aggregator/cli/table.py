"""Answers as rows: plain columns for a terminal.

An answer's rows are the nodes of its first connection, else its first list of objects, else the
answer itself. Nested objects become columns named by their path, as `rule.key`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def rows_of(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Flatten an answer's `data`."""
    for candidates in (_connections(data), _lists(data)):
        for found in candidates:
            return [dict(_flatten(item)) for item in found]
    return [dict(_flatten(data))]


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return all columns of rows in the order of their first sight."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_text(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Lay rows out in aligned columns. Nothing that a cell holds reaches the terminal as control."""
    names = columns_of(rows) if columns is None else list(columns)
    lines = [[name.upper() for name in names]]
    lines += [[_printable(str(row.get(name, ""))) for name in names] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _connections(value: Any) -> Iterator[list[Any]]:
    """Yield the nodes of each connection, outer ones first."""
    if not isinstance(value, dict):
        return
    nodes = value.get("nodes")
    edges = value.get("edges")
    if isinstance(nodes, list):
        yield nodes
    elif isinstance(edges, list):
        yield [edge.get("node", edge) for edge in edges if isinstance(edge, dict)]
    else:
        for child in value.values():
            yield from _connections(child)


def _lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _lists(child)


def _flatten(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _flatten(child, f"{path}.{name}" if path else name)
    else:
        yield path or "value", _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "�"
        for character in text
    )
