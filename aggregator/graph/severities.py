"""Counts by severity and by status, from the rollup or from the counts of contents."""

from collections.abc import Sequence

import strawberry

from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import among
from aggregator.graph.mapping import Column, column, mapped
from aggregator.graph.scalars import (
    OPEN_STATUSES,
    FindingCategory,
    FindingStatus,
    Long,
    Severity,
)
from aggregator.graph.selection import Selected
from aggregator.graph.statement import Row, literals, where
from aggregator.graph.tables import severity_counts

OPEN = literals(OPEN_STATUSES, "finding_status")


@strawberry.type(
    description="Findings that need attention (FAIL, WARN, ERROR) of live and absent reports."
)
class SeverityCounts:
    critical: Long = column("{n.critical}", "Of severity CRITICAL.")
    high: Long = column("{n.high}", "Of severity HIGH.")
    medium: Long = column("{n.medium}", "Of severity MEDIUM.")
    low: Long = column("{n.low}", "Of severity LOW.")
    info: Long = column("{n.info}", "Of severity INFO.")
    unknown: Long = column("{n.unknown}", "Of no known severity.")
    total: Long = column("{n.total}", "Of any severity.")


@strawberry.type(description="Results of a report by their outcome.")
class StatusCounts:
    fail: Long = column("{n.fail}", "That failed.")
    warn: Long = column("{n.warn}", "That warn.")
    error: Long = column("{n.error}", "That could not be decided.")
    skip: Long = column("{n.skip}", "That were skipped or do not apply.")
    pass_: Long = mapped(Column("{n.pass}"), "That passed.", name="pass")


def counts(
    compilation: Compilation,
    field: Selected,
    alias: str,
    tail: str,
    *,
    by: type[Severity] | type[FindingStatus] = Severity,
) -> str:
    """Return counts over rows with `findings`, and the column that `by` stands for."""
    enum_column = "severity" if by is Severity else "status"
    sums = [
        f"coalesce(sum({alias}.findings) FILTER (WHERE {alias}.{enum_column} = '{member.name}'),"
        f" 0)::bigint AS {member.name.lower()}"
        for member in by
    ]
    sums.append(f"coalesce(sum({alias}.findings), 0)::bigint AS total")
    row = compilation.statement.row("n")
    tail = f" FROM (SELECT {', '.join(sums)}{tail}) {row['n']}"
    return f"({compilation.object_from(field, row, tail)})"


def rollup(compilation: Compilation, row: Row, field: Selected, conditions: Sequence[str]) -> str:
    """Return counts over the rows `sc` of severity counts under conditions."""
    arguments = compilation.arguments(field)
    alias = str(row["sc"])
    every = [
        *conditions,
        f"{alias}.status IN ({OPEN})",
        *category(row.fill("{sc.category}"), arguments.get("category")),
    ]
    namespace = arguments.get("namespace")
    if isinstance(namespace, Given):
        bound = compilation.statement.bind(namespace.read, "text")
        every.append(f"{alias}.namespace = {bound}")
    table = severity_counts(compilation.statement, namespaces=isinstance(namespace, Given))
    return counts(compilation, field, alias, f" FROM {row.fill(table.source)}{where(every)}")


def category(expression: str, given: Tree) -> list[str]:
    """Return the condition for an argument `category`."""
    members = [given.value] if isinstance(given, Given) else None
    return among(expression, members, "finding_category")


CATEGORY: tuple[str, object, str] = (
    "category",
    FindingCategory | None,
    "Only findings of this category.",
)
NAMESPACE: tuple[str, object, str] = ("namespace", str | None, "Only findings in this namespace.")
