"""Where clusters, namespaces or a source limit what findings are asked about: what the walk is pinned by.

A walk over all entries looks in vain for what the limits leave out, so severity_count tells which
categories there are, with which severities, and one walk a category is made. That is fast where the
limits let a fair part of all contents through. Where they let few through, it would go far between
two hits: then each of the few contents is walked by itself. The statement counts them and goes the
one way or the other, so that neither a hit nor a miss decides how long it takes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aggregator.graph.compiler import Compilation
from aggregator.graph.finding_filter import FindingQuestion, on_table
from aggregator.graph.limits import WALKED_CONTENTS
from aggregator.graph.statement import Cells, Row, where
from aggregator.graph.tables import USAGE, severity_counts


@dataclass(frozen=True, slots=True)
class Pin:
    """A query for values, and what ties entries `{f}` to a row `{v}` of it."""

    values: str
    conditions: tuple[str, ...]
    surely: bool = False  # whether each entry has a place that is asked about


class Reach:
    """What the limits of a question, of the caller and of the row around let through."""

    def __init__(
        self, compilation: Compilation, question: FindingQuestion, tie: str | None, up: Row
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._question = question
        self._tie = tie  # of severity_count to the row around
        self._up = up
        self.by_namespace = "namespace" in question.names or self._statement.scoped_namespaces

    @property
    def limited(self) -> bool:
        """Whether there are limits."""
        return self.by_place or "source" in self._question.names

    @property
    def by_place(self) -> bool:
        """Whether clusters or namespaces are limited."""
        limits = {"cluster", "namespace"} & self._question.names
        return bool(limits or self._tie or self._statement.scoped)

    def pins(self, placed: Callable[[Cells], str] | None) -> tuple[str, list[Pin]]:
        """Return a WITH clause, and what the walks are pinned by.

        `placed` returns the condition that a content has a place that is asked about; None where
        that depends on the entry.
        """
        if not self.by_place or placed is None:
            return "", [self._categories([])]
        within, contents, few = self._contents(placed)
        return within, [contents, self._categories([f"NOT {few}"])]

    def contents(self, placed: Callable[[Cells], str]) -> tuple[str, list[Pin]]:
        """Return the same for an order whose index knows no categories."""
        if not self.by_place:
            return "", []
        within, contents, few = self._contents(placed)
        return within, [contents, Pin(f"SELECT WHERE NOT {few}", ())]

    def _contents(self, placed: Callable[[Cells], str]) -> tuple[str, Pin, str]:
        near, alias = self._statement.alias("near"), self._statement.alias("n")
        few = f"(SELECT count(*) FROM {near}) <= {WALKED_CONTENTS}"
        contents = Pin(
            f"SELECT DISTINCT {alias}.content_id FROM {near} {alias}"
            f" WHERE {few} AND {placed(Cells(alias))}",
            ("{f}.content_id = {v}.content_id",),
            surely=True,
        )
        return f"WITH {near} AS MATERIALIZED ({self._near()}) ", contents, few

    def uses(self, row: Row, content: str) -> list[str]:
        """Return the conditions for where a content is used within the limits; all without one."""
        return [
            *([row.fill(f"{{u.content_id}} = {content}")] if content else []),
            *self._question.limits(self._compilation, on_table("u", row)),
            *USAGE.scope(self._statement, row),
            *self._tied(row, "u"),
        ]

    def _near(self) -> str:
        """Return the query for the contents within, and one more than are walked by themselves."""
        uses = USAGE.row(self._statement, self._up)
        distinct = "DISTINCT " if self.by_namespace else ""  # in the order of an index
        return (
            f"SELECT {distinct}{uses['u'].content_id} FROM {uses.fill(USAGE.source)}"
            f"{where(self.uses(uses, ''))} LIMIT {WALKED_CONTENTS} + 1"
        )

    def _categories(self, gates: list[str], *more: str) -> Pin:
        table = severity_counts(self._statement, namespaces="namespace" in self._question.names)
        counts = table.row(self._statement, self._up)
        found = [
            *self._question.counted(self._compilation, on_table("sc", counts)),
            *table.scope(self._statement, counts),
            *self._tied(counts, "sc"),
            counts.fill("{sc.findings} > 0"),
            *gates,
        ]
        category, severity = counts["sc"].category, counts["sc"].severity
        values = (
            f"SELECT {category}, array_agg(DISTINCT {severity}) AS severities"
            f" FROM {counts.fill(table.source)}{where(found)} GROUP BY 1"
        )
        return Pin(
            values, ("{f}.category = {v}.category", "{f}.severity = ANY({v}.severities)", *more)
        )

    def _tied(self, row: Row, stem: str) -> list[str]:
        return [Row({**row, "sc": row[stem]}).fill(self._tie)] if self._tie else []
