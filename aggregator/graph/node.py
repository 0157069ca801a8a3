"""Ids: opaque to clients, base64 of the type and the key; `node(id)` finds the object again."""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from uuid import UUID

import strawberry

from aggregator.graph.arguments import Given
from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.mapping import column
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Bindings, Read, Row, Statement, where
from aggregator.graph.tables import (
    CLUSTER,
    FINDING,
    IMAGE,
    REPORT,
    RULE,
    RUNTIME_EVENT,
    SUBJECT,
    Table,
)

Part = int | UUID  # of a key


def identity(type_name: str, key: str) -> str:
    """Return the template for a row's id."""
    return f"encode(convert_to('{type_name}:' || {key}, 'UTF8'), 'base64')"


# Entries with the same key in the placement's contents of lower id come first. A placement has one
# content as a rule, then nothing is looked up.
ORDINAL = (
    "{f.ordinal} + CASE WHEN {p.contents} > 1 THEN (SELECT count(*) FROM placement_content o"
    " JOIN finding g ON g.content_id = o.content_id AND g.key = {f.key}"
    " WHERE o.placement_id = {p.id} AND o.content_id < {f.content_id}) ELSE 0 END"
)
REPORT_ID = identity("Report", "{rp.cluster_id} || ':' || {rp.key}")
FINDING_ID = identity("Finding", f"{{p.id}} || ':' || {{f.key}} || ':' || ({ORDINAL})")


@strawberry.interface(description="Anything that `node` finds again by its id.")
class Node:
    id: strawberry.ID = column("NULL", "Opaque and stable; give it to `node`.")


def decode(value: str) -> tuple[str, list[Part]]:
    """Return an id's type and key."""
    try:
        name, *parts = base64.b64decode(value.encode(), validate=True).decode("ascii").split(":")
        key = [read(part) for read, part in zip(KEYS[name], parts, strict=True)]
    except (binascii.Error, UnicodeError, ValueError, KeyError):
        name, key = "", []
    if not name:
        raise GraphError(BAD_INPUT, f"`id` is not an id that this API gave out: {value!r}.")
    return name, key


def _number(part: str) -> int:
    number = int(part)
    if abs(number) >= 2**63:
        raise ValueError(part)
    return number


TABLES: dict[str, tuple[Table, str]] = {
    "Cluster": (CLUSTER, "{c.id}"),
    "Rule": (RULE, "{r.id}"),
    "Subject": (SUBJECT, "{s.id}"),
    "Image": (IMAGE, "{i.id}"),
}
# What the key of each type is made of.
KEYS: dict[str, tuple[Callable[[str], Part], ...]] = {
    "Finding": (_number, _number, _number),
    "RuntimeEvent": (_number, _number),
    "Report": (_number, UUID),
    **dict.fromkeys(TABLES, (_number,)),
}


def _part(leaf: Given, type_name: str, index: int, path: tuple[str, ...]) -> Read:
    def read(bindings: Bindings) -> Part | None:
        try:
            name, key = decode(leaf.read(bindings))
        except GraphError as error:
            error.path = path
            raise
        return key[index] if name == type_name else None

    return read


def node(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the object with an id, whatever its type: at most one of the sub-selects finds it."""
    leaf = compilation.arguments(field)["id"]
    statement = compilation.statement
    found = []
    for type_name, (table, key) in TABLES.items():
        child = table.row(statement, row)
        part = statement.bind(_part(leaf, type_name, 0, field.path), "bigint")
        conditions = [f"{child.fill(key)} = {part}", *table.listed(statement, child)]
        tail = f" FROM {child.fill(table.source)}{where(conditions)}"
        found.append(f"({compilation.object_of(type_name, field, child, tail)})")
    child = REPORT.row(statement, row)
    tail = f" FROM {child.fill(REPORT.source)}{where(_report(statement, child, leaf, field.path))}"
    found.append(f"({compilation.object_of('Report', field, child, tail)})")
    child = FINDING.row(statement, row)
    tail = f" FROM {child.fill(FINDING.source)}{where(_finding(statement, child, leaf, field.path))} LIMIT 1"
    found.append(f"({compilation.object_of('Finding', field, child, tail)})")
    child = RUNTIME_EVENT.row(statement, row)
    tail = f" FROM {child.fill(RUNTIME_EVENT.source)}{where(_event(statement, child, leaf, field.path))}"
    found.append(f"({compilation.object_of('RuntimeEvent', field, child, tail)})")
    return f"coalesce({', '.join(found)})"


def _report(statement: Statement, row: Row, leaf: Given, path: tuple[str, ...]) -> list[str]:
    return [
        row.fill("{rp.cluster_id} = ") + statement.bind(_part(leaf, "Report", 0, path), "bigint"),
        row.fill("{rp.key} = ") + statement.bind(_part(leaf, "Report", 1, path), "uuid"),
        *REPORT.listed(statement, row),
    ]


def _event(statement: Statement, row: Row, leaf: Given, path: tuple[str, ...]) -> list[str]:
    at = statement.bind(_part(leaf, "RuntimeEvent", 0, path), "bigint")
    return [
        row.fill("{e.at} = ") + f"timestamptz 'epoch' + {at} * interval '1 microsecond'",
        row.fill("{e.id} = ") + statement.bind(_part(leaf, "RuntimeEvent", 1, path), "bigint"),
        *RUNTIME_EVENT.scope(statement, row),
    ]


def _finding(statement: Statement, row: Row, leaf: Given, path: tuple[str, ...]) -> list[str]:
    bind: Callable[[int], str] = lambda index: statement.bind(  # noqa: E731
        _part(leaf, "Finding", index, path), "bigint"
    )
    return [
        row.fill("{p.id} = ") + bind(0),
        row.fill("{pc.placement_id} = ") + bind(0),
        row.fill("{f.key} = ") + bind(1),
        row.fill(f"{ORDINAL} = ") + bind(2),
        row.fill("{pc.live} + {pc.absent} > 0"),
        row.fill("{f.status} IN ('FAIL', 'WARN', 'ERROR')"),
        *FINDING.scope(statement, row),
    ]


NODE_ID: Any = ("id", strawberry.ID, "An id from an earlier answer.")
