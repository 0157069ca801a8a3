"""What groups of findings are counted from: the cheapest that knows all dimensions and all of the filter.

    counts      severity_count       cluster, label, namespace, category, source, severity, status
    stats       rule_stat and such   one of rule, package, image; category, severity, status
    usage       finding x usage      the same as counts and stats without source and image
    placed      places x counts      all but rule and package, by the counts of each content
    placements  finding x places     everything

The first is exact and fast for any fleet. The second is as of a minute or so ago, and answers for
who sees the whole of a large fleet. The others look at findings in scope, and are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.graph import taken
from aggregator.graph.compiler import Compilation
from aggregator.graph.finding_filter import (
    OF_ENTRY,
    ON_COUNTS,
    ON_USAGE,
    FindingQuestion,
    on_table,
)
from aggregator.graph.limits import USED_CONTENTS
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import FINDING, PLACE, USAGE, severity_counts

COUNTED = frozenset(
    {"CLUSTER", "CLUSTER_LABEL", "NAMESPACE", "CATEGORY", "SOURCE", "SEVERITY", "STATUS"}
)
_USED = (COUNTED - {"SOURCE"}) | {"RULE", "PACKAGE"}
_OF_ENTRIES = frozenset({"CATEGORY", "SEVERITY", "STATUS"})
# The table, and the dimension's column of it: none is null.
_STATS = {
    "RULE": ("rule_stat", "rule_id"),
    "PACKAGE": ("package_stat", "nullif(package, '') AS package"),
    "IMAGE": ("image_stat", "nullif(image_id, 0) AS image_id"),
}
_ON_STATS = frozenset({"category", "severity", "status", "fixable"})


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to be grouped: the columns that dimensions take, FROM and WHERE, and what is summed."""

    row: Row
    tail: str
    findings: str
    occurrences: str
    clusters: str  # an aggregate


class Sources:
    """The sources of one question."""

    def __init__(
        self, compilation: Compilation, question: FindingQuestion, by: Sequence[str]
    ) -> None:
        self._compilation = compilation
        self._statement = compilation.statement
        self._question = question
        self._by = set(by)

    @property
    def known(self) -> bool:
        """Whether severity_count knows it all."""
        question = self._question
        return question.default_states and question.names <= ON_COUNTS and self._by <= COUNTED

    @property
    def stats(self) -> tuple[str, str] | None:
        """The counts by rule, package or image that knows it all, if there is one."""
        among = self._by & set(_STATS)
        question = self._question
        if self._statement.scoped or len(among) != 1 or not question.default_states or question.few:
            return None
        [name] = among
        if self._by - among <= _OF_ENTRIES and question.names <= _ON_STATS | {name.lower()}:
            return _STATS[name]
        return None

    @property
    def used(self) -> bool:
        """Whether a filter's places can be told apart from its entries."""
        question = self._question
        if not (question.default_states and question.names <= ON_USAGE and self._by <= _USED):
            return False
        row = on_table("u", self._statement.row("f", "u"), entry="f")
        place = question.conditions(self._compilation, row, counters=False).place
        return not any(f"{row['f']}." in each for each in place)

    @property
    def placed(self) -> bool:
        """Whether the counts of contents know what the entries are asked for."""
        question = self._question
        return (
            not {"RULE", "PACKAGE"} & self._by
            and not question.combined
            and not question.names & OF_ENTRY - ON_COUNTS
            and "firstSeenAt" not in question.names
        )

    @property
    def few(self) -> str:
        """The condition that few contents are within the scope and the filter's places."""
        uses = USAGE.row(self._statement)
        found = [
            *self._question.limits(self._compilation, on_table("u", uses)),
            *USAGE.scope(self._statement, uses),
        ]
        limited = f"SELECT FROM {uses.fill(USAGE.source)}{where(found)} LIMIT {USED_CONTENTS} + 1"
        return f"(SELECT count(*) FROM ({limited}) o) <= {USED_CONTENTS}"

    def all(self) -> list[Source]:
        """Return what is counted: of two, the statement takes the one that its fleet is fit for."""
        if self.known:
            return [self._counts()]
        exact = self._placed if self.placed else self._placements
        if self.used:
            exact = self._joined if self._question.few else self._usage
        if self.stats is None:
            return [exact([])]
        small = taken.small(self._statement)
        return [exact([small]), self._stats(*self.stats, [f"NOT {small}"])]

    def _counts(self) -> Source:
        table = severity_counts(
            self._statement,
            namespaces="NAMESPACE" in self._by or "namespace" in self._question.names,
        )
        counts = table.row(self._statement)
        row = on_table("sc", counts)
        found = [
            *self._question.conditions(self._compilation, row, counters=False).every,
            counts.fill("{sc.findings} > 0"),
            *table.scope(self._statement, counts),
        ]
        tail = f" FROM {counts.fill(table.source)}{where(found)}"
        clusters = row.fill(self._clusters)
        return Source(row, tail, counts["sc"].findings, counts["sc"].occurrences, clusters)

    def _stats(self, table: str, key: str, found: list[str]) -> Source:
        row = on_table("st", self._statement.row("st"))
        alias = row["st"]
        found = [
            *found,
            *self._question.conditions(self._compilation, row, counters=False).every,
        ]
        # The filter asks for the version itself.
        fixed = "CASE WHEN fixable THEN '' END AS fixed_version"
        columns = f"{key}, category, severity, status, {fixed}, findings, occurrences, clusters"
        source = f"(SELECT {columns} FROM {table}) {alias}"
        clusters = f"bit_count(bit_or({alias}.clusters))"
        return Source(
            row, f" FROM {source}{where(found)}", alias.findings, alias.occurrences, clusters
        )

    def _joined(self, found: list[str]) -> Source:
        """Join the few entries that are asked about with where each is used."""
        uses = self._statement.row("f", "u")
        row = on_table("u", uses, entry="f")
        found = [
            *found,
            *self._question.conditions(self._compilation, row, counters=False).every,
            uses.fill("{u.placements} > 0"),
            *USAGE.scope(self._statement, uses),
        ]
        joined = uses.fill("finding {f} JOIN usage {u} ON {u.content_id} = {f.content_id}")
        clusters = row.fill(self._clusters)
        tail = f" FROM {joined}{where(found)}"
        return Source(row, tail, uses["u"].placements, uses["u"].reports, clusters)

    def _usage(self, found: list[str]) -> Source:
        """Add up where each content is used before its entries are looked at."""
        near, limited = self._near(found)
        row = self._statement.row("f", "n")
        row = Row({**row, "pc": row["n"], "p": row["n"]})
        entries = self._question.conditions(self._compilation, row, counters=False).entry
        found = [row.fill("{f.content_id} = {n.content_id}"), *entries]
        source = row.fill(f"({near}) {{n}} JOIN finding {{f}} ON ") + " AND ".join(found)
        if limited:  # to few contents, which the planner does not know: each is looked up
            each = row.fill("SELECT {f}.* FROM finding {f}") + where(found)
            source = row.fill(f"({near}) {{n}} CROSS JOIN LATERAL ({each} OFFSET 0) {{f}}")
        clusters = "bit_count(bit_or({n.clusters}))"
        if self._by_cluster:
            clusters = self._clusters
        n = row["n"]
        return Source(row, f" FROM {source}", n.placements, n.reports, row.fill(clusters))

    @property
    def _clusters(self) -> str:
        # A group of one cluster needs no sort to count them.
        return "1::bigint" if "CLUSTER" in self._by else "count(DISTINCT {pc.cluster_id})"

    @property
    def _by_cluster(self) -> bool:
        return bool({"CLUSTER", "CLUSTER_LABEL"} & self._by)

    def _near(self, found: list[str]) -> tuple[str, bool]:
        """Return the query for how much each content is used, and whether within limits."""
        uses = self._statement.row("u", "oc", "f")
        row = on_table("u", uses, entry="f")
        place = self._question.conditions(self._compilation, row, counters=False).place
        keys = [
            "content_id",
            *(["cluster_id"] if self._by_cluster else []),
            *(["namespace"] if "NAMESPACE" in self._by else []),
        ]
        columns = ", ".join(getattr(uses["u"], key) for key in keys)
        found = [
            *found,
            *place,
            uses.fill("{u.placements} > 0"),
            *USAGE.scope(self._statement, uses),
        ]
        none = "(SELECT repeat('0', max(o.ordinal) + 1)::bit varying FROM cluster o)"
        near = uses.fill(
            f"SELECT {columns}, sum({{u.placements}}) AS placements, sum({{u.reports}}) AS reports,"
            f" bit_or(set_bit({none}, {{oc.ordinal}}, 1)) AS clusters"
            " FROM usage {u} JOIN cluster {oc} ON {oc.id} = {u.cluster_id}"
        )
        limited = bool(place) or self._statement.scoped
        return f"{near}{where(found)} GROUP BY {columns}", limited

    def _placed(self, found: list[str]) -> Source:
        """Count by what each content has of a kind, not by its entries."""
        row = self._statement.row("cc", "pc", "p")
        row["f"] = row["cc"]
        found = [
            *found,
            row.fill("{cc.content_id} = {pc.content_id}"),
            *self._question.conditions(self._compilation, row).every,
            *PLACE.scope(self._statement, row),
        ]
        tail = row.fill(f" FROM {PLACE.source} CROSS JOIN content_count {{cc}}") + where(found)
        carried = row.fill(f"{{cc.findings}} * ({self._question.occurrences()})")
        return Source(row, tail, row["cc"].findings, carried, row.fill(self._clusters))

    def _placements(self, found: list[str]) -> Source:
        row, tail = self.places(found)
        occurrences = row.fill(f"({self._question.occurrences()})")
        return Source(row, tail, "1", occurrences, row.fill(self._clusters))

    def places(self, found: Sequence[str] = ()) -> tuple[Row, str]:
        """Return every finding: the row, FROM and WHERE."""
        row = FINDING.row(self._statement)
        found = [
            *found,
            *self._question.conditions(self._compilation, row).every,
            *FINDING.scope(self._statement, row),
        ]
        return row, f" FROM {row.fill(FINDING.source)}{where(found)}"
