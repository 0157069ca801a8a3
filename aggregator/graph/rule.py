"""Rules: what was checked, and where in scope it was found."""

from collections.abc import Callable
from enum import Enum

import strawberry

from aggregator.graph import taken
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import (
    CategoryFilter,
    SeverityFilter,
    StringFilter,
    among,
    chosen,
    given,
    order_direction,
    severities,
    text,
)
from aggregator.graph.finding_arguments import FINDING_ARGUMENTS
from aggregator.graph.mapping import Computed, Later, column, lazy, mapped
from aggregator.graph.node import Node, identity
from aggregator.graph.pages import AFTER, FIRST, Connection, Listing, Page, Term
from aggregator.graph.scalars import DateTime, Direction, FindingCategory, Long, Severity
from aggregator.graph.selection import Selected
from aggregator.graph.severities import OPEN
from aggregator.graph.statement import Row, where
from aggregator.graph.tables import RULE, USAGE


@strawberry.input(description="Which rules. All that is given must hold.")
class RuleFilter:
    key: StringFilter | None = given("By the key: a CVE, a policy, a check.")
    title: StringFilter | None = given("By the title.")
    category: CategoryFilter | None = given("By the category.")
    severity: SeverityFilter | None = given("By the severity.")


@strawberry.enum(description="What rules are ordered by.")
class RuleOrderField(Enum):
    KEY = "KEY"
    SEVERITY = "SEVERITY"
    FINDINGS = "FINDINGS"
    CLUSTERS = "CLUSTERS"


@strawberry.input(description="The order of rules.")
class RuleOrder:
    field: RuleOrderField = strawberry.field(description="By what.")
    direction: Direction | None = order_direction(Direction.DESC)


def uses(compilation: Compilation, row: Row, value: str) -> str:
    """Return an aggregate over the places in scope where a rule's open findings are."""
    inner = Row({**compilation.statement.row("f", "u"), "up": row})
    found = [
        inner.fill("{f.rule_id} = {up[r].id}"),
        inner.fill(f"{{f.status}} IN ({OPEN})"),
        inner.fill("{u.placements} > 0"),
        *USAGE.scope(compilation.statement, inner),
    ]
    source = inner.fill("finding {f} JOIN usage {u} ON {u.content_id} = {f.content_id}")
    return f"(SELECT {inner.fill(value)} FROM {source}{where(found)})"


def _ranked(value: str, counted: str) -> Callable[[Compilation, Row], str]:
    """Return an order: exact for a scope or a small fleet, else by what was counted of the fleet."""

    def order(compilation: Compilation, row: Row) -> str:
        exact = uses(compilation, row, value)
        if compilation.statement.scoped:
            return exact
        return taken.either(
            compilation.statement,
            exact,
            f"(SELECT coalesce({counted}, 0)::bigint FROM rule_stat o"
            f" WHERE o.rule_id = {row['r'].id} AND o.status IN ({OPEN}))",
        )

    return order


_FINDINGS = _ranked("coalesce(sum({u.placements}), 0)::bigint", "sum(o.findings)")
_CLUSTERS = _ranked("count(DISTINCT {u.cluster_id})", "bit_count(bit_or(o.clusters))")


def _fixed(compilation: Compilation, row: Row, field: Selected) -> str:
    del field
    entry = Row({**compilation.statement.row("f"), "up": row})
    uses = USAGE.row(compilation.statement)
    used = [
        f"{uses['u'].content_id} = {entry['f'].content_id} AND {uses['u'].placements} > 0",
        *USAGE.scope(compilation.statement, uses),
    ]
    found = [
        entry.fill("{f.rule_id} = {up[r].id} AND {f.fixed_version} IS NOT NULL"),
        entry.fill(f"{{f.status}} IN ({OPEN})"),
        f"(SELECT true FROM {uses.fill(USAGE.source)}{where(used)} LIMIT 1)",
    ]
    versions = (
        f"SELECT DISTINCT {entry['f'].fixed_version} AS v FROM finding {entry['f']}{where(found)}"
    )
    return f"ARRAY({versions} ORDER BY 1)"


def conditions(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> list[str]:
    """Return the conditions of a RuleFilter."""
    return [
        *text(compilation, row.fill("{r.key}"), tree.get("key")),
        *text(compilation, row.fill("{r.title}"), tree.get("title")),
        *among(row.fill("{r.category}"), chosen(tree.get("category")), "finding_category"),
        *among(row.fill("{r.severity}"), severities(tree.get("severity")), "severity"),
    ]


@strawberry.type(description="What was checked: a CVE, a policy's rule, a benchmark's control …")
class Rule(Node):
    id: strawberry.ID = column(identity("Rule", "{r.id}"), "Opaque and stable.")
    key: str = column("{r.key}", "Its name, unique within a category.")
    category: FindingCategory = column("{r.category}", "What kind of check it is.")
    title: str | None = column("{r.title}", "In a few words.")
    description: str | None = column("{r.description}", "In full.")
    remediation: str | None = column("{r.remediation}", "What mends it.")
    severity: Severity = column("{r.severity}", "How bad it is as a rule.")
    score: float | None = column("{r.score}", "The CVSS score, where there is one.")
    links: list[str] = column("{r.links}", "Where more is said.")
    published_at: DateTime | None = column("{r.published_at}", "When it was published.")
    modified_at: DateTime | None = column("{r.modified_at}", "When it was last changed.")
    findings = mapped(
        Later("finding", "OF_RULE"),
        "Where it was found.",
        *FINDING_ARGUMENTS,
        returns=lazy("finding", "FindingConnection"),
    )
    clusters = mapped(
        Later("cluster", "OF_RULE"),
        "The clusters where it was found and needs attention.",
        FIRST,
        AFTER,
        returns=lazy("cluster", "ClusterConnection"),
    )
    images = mapped(
        Later("image", "OF_RULE"),
        "The images it was found in and needs attention.",
        FIRST,
        AFTER,
        returns=lazy("image", "ImageConnection"),
    )
    finding_count: Long = mapped(
        Computed(lambda c, row, _: _FINDINGS(c, row)),
        "How many findings need attention; in a large fleet, as of some minutes ago at most.",
    )
    cluster_count: Long = mapped(
        Computed(lambda c, row, _: _CLUSTERS(c, row)), "In how many clusters, likewise."
    )
    fixed_versions: list[str] = mapped(Computed(_fixed), "The versions that mend it, as found.")


@strawberry.type(description="Rules.")
class RuleConnection(Connection[Rule]):
    pass


_ID = Term("{r.id}", "int")
RULES = Listing(
    table=RULE,
    orders={
        "KEY": (Term("{r.key}", "text"), _ID),
        "SEVERITY": (Term("{r.severity}", "severity"), _ID),
        "FINDINGS": (Term(_FINDINGS, "bigint"), _ID),
        "CLUSTERS": (Term(_CLUSTERS, "bigint"), _ID),
    },
    default=("SEVERITY", Direction.DESC),
    conditions=conditions,
    costly=frozenset({"FINDINGS", "CLUSTERS"}),
    taken=frozenset({"FINDINGS", "CLUSTERS"}),
    counted="EXISTS (SELECT FROM rule_stat o WHERE o.rule_id = {r.id})",
)
ALL = Page(RULES)


def by_key(compilation: Compilation, row: Row, field: Selected) -> str:
    """Return the rule with a key; of several categories, the first unless one is asked for."""
    arguments = compilation.arguments(field)
    statement = compilation.statement
    inner = RULE.row(statement, row)
    category = arguments.get("category")
    found = [
        f"{inner['r'].key} = {statement.bind(arguments['key'].read, 'text')}",
        *RULE.listed(statement, inner),
    ]
    if isinstance(category, Given):
        found += among(inner["r"].category, [category.value], "finding_category")
    tail = f" FROM {inner.fill(RULE.source)}{where(found)} ORDER BY {inner['r'].category} LIMIT 1"
    return f"({compilation.object_from(field, inner, tail)})"


FILTER = ("filter", RuleFilter | None, "Which rules.")
ORDER = ("order_by", RuleOrder | None, "In which order; the worst first if not given.")
