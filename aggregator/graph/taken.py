"""Counts over the whole fleet that are taken every minute or so (store/finding_stats.py).

A small fleet is counted as it is asked about, so what is taken answers for large ones alone. The
statement looks which it is.
"""

from aggregator.graph.compiler import Compilation
from aggregator.graph.errors import TOO_BROAD, GraphError
from aggregator.graph.limits import SMALL_SCOPE_FINDINGS
from aggregator.graph.statement import Statement

_TAKEN = "finding_stats_taken"


def small(statement: Statement) -> str:
    """Return the condition that the fleet is small."""
    alias = statement.alias("sc")
    return (
        f"(SELECT coalesce(sum({alias}.findings), 0) FROM cluster_severity_count {alias})"
        f" <= {SMALL_SCOPE_FINDINGS}"
    )


def either(statement: Statement, exact: str, taken: str) -> str:
    """Return an expression that is exact in a small fleet and what was taken in a large one."""
    return f"CASE WHEN {small(statement)} THEN {exact} ELSE {taken} END"


def at(statement: Statement) -> str:
    """Return when the counts were taken; null in a small fleet."""
    return f"(SELECT o.at FROM {_TAKEN} o WHERE NOT {small(statement)})"


def refuse_until_taken(compilation: Compilation, path: tuple[str, ...], instead: str) -> None:
    """Answer TOO_BROAD where a large fleet has never been counted."""
    compilation.refuse_where(
        f"NOT ({small(compilation.statement)} OR EXISTS (SELECT FROM {_TAKEN}))",
        GraphError(
            TOO_BROAD,
            "The findings of this fleet have not been counted yet: ask again in some minutes, or"
            f" {instead}.",
            path=path,
        ),
    )
