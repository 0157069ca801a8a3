"""What a filter names that few findings have: the walk runs once for each such value."""

from collections.abc import Callable
from dataclasses import replace

from aggregator.graph.arguments import Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import among, pins, text
from aggregator.graph.finding_filter import FindingQuestion, packages
from aggregator.graph.finding_reach import Pin
from aggregator.graph.limits import PINNED_VALUES
from aggregator.graph.scalars import FindingCategory
from aggregator.graph.statement import Statement, literals, where


def few(
    compilation: Compilation, question: FindingQuestion, contents: Callable[[], str] | None
) -> Pin | None:
    """Return the pin by the rarest thing that the filter names; `contents` queries those it names."""
    rule, package = question.narrowing("rule"), question.narrowing("package")
    if contents is not None and not pins(rule):
        return Pin(contents(), ("{f}.content_id = {v}.content_id",))
    if rule is not None and not (pins(package) and not pins(rule)):
        return _rules(compilation, rule)
    return _packages(compilation, package) if package is not None else None


def few_values(compilation: Compilation, question: FindingQuestion) -> list[str]:
    """Return the condition that few values pass the test by which the walk is pinned, if it is."""
    image, rule, package = (question.narrowing(name) for name in ("image", "rule", "package"))
    if image is not None:
        tail = f"image o{where(text(compilation, 'o.name', image))}"
    elif rule is not None:
        tail = f"rule o{where(text(compilation, 'o.key', rule))}"
    elif package is not None:
        tail = f"unnest({packages(compilation, package)}) o"
    else:
        return []
    return [
        f"(SELECT count(*) FROM (SELECT FROM {tail} LIMIT {PINNED_VALUES} + 1) o) <= {PINNED_VALUES}"
    ]


def _rules(compilation: Compilation, tree: dict[str, Tree]) -> Pin:
    alias = compilation.statement.alias("r")
    found = text(compilation, f"{alias}.key", tree)
    values = f"SELECT {alias}.id AS rule_id FROM rule {alias}{where(found)}"
    return Pin(values, ("{f}.rule_id = {v}.rule_id",))


def _packages(compilation: Compilation, tree: dict[str, Tree]) -> Pin:
    alias = compilation.statement.alias("n")
    values = (
        f"SELECT DISTINCT {alias} AS package FROM unnest({packages(compilation, tree)}) {alias}"
    )
    return Pin(values, ("{f}.package = {v}.package",))


def categories(statement: Statement, members: list[FindingCategory] | None) -> list[Pin]:
    """Return the pin by categories; none for all, and for one, which is an index condition."""
    if members is None or len(members) <= 1:
        return []
    alias = statement.alias("n")
    every = literals(members, "finding_category")
    values = f"SELECT {alias} AS category FROM unnest(ARRAY[{every}]) {alias}"
    return [Pin(values, ("{f}.category = {v}.category",))]


def by_outcome(statement: Statement, question: FindingQuestion, pinned: list[Pin]) -> list[Pin]:
    """Return the pins, each for open and for closed statuses where both are asked for.

    Each of the two has an index of its own; that of the closed ones begins with the category.
    """
    if question.open:
        return pinned
    pinned = pinned or categories(statement, list(FindingCategory))
    return [
        replace(
            pin, conditions=(*pin.conditions, *among("{f}.status", [*members], "finding_status"))
        )
        for pin in pinned
        for members in question.outcomes
    ]
