"""What a FindingFilter says: its conditions, and what the plan may make of it.

A finding is a row of three: the entry of a content (`f`), the content at a placement (`pc`), the
placement (`p`). Conditions on `f` alone are kept apart from those on the place, because the fetch
walks entries in order and looks up their places (finding_page.py). The same conditions run on
rollups, where one table stands for all three letters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from aggregator.graph import cluster_filter, subject_filter
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import (
    among,
    chosen,
    narrows,
    pins,
    severities,
    text,
    time,
    time_bounds,
)
from aggregator.graph.scalars import OPEN_STATUSES, FindingCategory, FindingStatus, ReportState
from aggregator.graph.statement import Row, Statement, where
from aggregator.graph.tables import SUBJECT

COUNTERS = {
    ReportState.LIVE: "{pc.live}",
    ReportState.ABSENT: "{pc.absent}",
    ReportState.SUPERSEDED: "{pc.superseded}",
}
CURRENT = (ReportState.LIVE, ReportState.ABSENT)

# What a finding's latest transition says that opened its key; the content's arrival for a key
# that is not open, and so in no keyset.
FIRST_SEEN = (
    "coalesce((SELECT t.at FROM transition t WHERE t.placement_id = {pc.placement_id}"
    " AND NOT EXISTS (SELECT FROM keyset ks WHERE ks.id = ANY(t.before) AND {f.key} = ANY(ks.keys))"
    " AND EXISTS (SELECT FROM keyset ks WHERE ks.id = ANY(t.after) AND {f.key} = ANY(ks.keys))"
    " ORDER BY t.at DESC LIMIT 1), {pc.since})"
)

OF_ENTRY = frozenset(
    {"category", "status", "severity", "rule", "package", "fixable", "scoreAtLeast"}
)
COMBINED = frozenset({"and", "or", "not"})
# What severity_count can be asked, and what usage can.
ON_COUNTS = frozenset({"cluster", "category", "source", "status", "severity", "namespace"})
ON_USAGE = (OF_ENTRY | {"cluster", "namespace"}) - {"source"}
# What an ordered walk over entries finds soon, or what a rollup tells that it never will.
DENSE = ON_COUNTS | {"fixable", "scoreAtLeast"}


@dataclass(slots=True)
class Conditions:
    """Conditions on the entry alone, and those on the place as well."""

    entry: list[str] = field(default_factory=list)
    place: list[str] = field(default_factory=list)

    @property
    def every(self) -> list[str]:
        """All of them."""
        return self.entry + self.place


def inputs(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """Yield what a filter gives, at any depth."""
    if isinstance(tree, list):
        for each in tree:
            yield from inputs(each)
    elif isinstance(tree, dict):
        for name, value in tree.items():
            if value is None:
                continue
            yield name, value
            if name in COMBINED:
                yield from inputs(value)


class FindingQuestion:
    """A filter on findings with its defaults."""

    def __init__(self, tree: Tree) -> None:
        self.tree: dict[str, Tree] = tree if isinstance(tree, dict) else {}
        self.given = [*inputs(self.tree)]
        self.names = {name for name, _ in self.given} - COMBINED
        self.combined = any(name in {"or", "not"} for name, _ in self.given)
        states = {
            state for name, value in self.given if name == "state" for state in chosen(value) or ()
        }
        self.states = tuple(state for state in ReportState if state in states) or CURRENT
        if "state" in self.names and not states:
            self.states = ()
        nested = "state" in self.names and "state" not in dict(self.together())
        self.current = set(self.states) <= set(CURRENT) and not nested  # `not` may ask for others

    @property
    def default_states(self) -> bool:
        """Whether findings of live and absent reports are asked for."""
        return "state" not in self.names

    @property
    def few(self) -> bool:
        """Whether the filter names what few findings have."""
        return self.pinned("rule") or self.pinned("package") or self._few_contents

    @property
    def by_contents(self) -> bool:
        """Whether the filter tests images, or names subjects or a namespace of a cluster."""
        return self._few_contents or self.narrowing("image") is not None

    @property
    def _few_contents(self) -> bool:
        return (
            self.pinned("image")
            or self.pinned("subject", "name")
            or (self.pinned("cluster", "name") and self.pinned("namespace"))
        )

    @property
    def lately(self) -> bool:
        """Whether what a walk over the latest transitions soon finds is asked for."""
        return not self.combined and self.names <= {"firstSeenAt", "cluster"} and self.open

    @property
    def by_pattern(self) -> bool:
        """Whether texts are tested by which few findings may be left."""
        return any(self.narrowing(name) is not None for name in ("image", "rule", "package"))

    def narrowing(self, name: str) -> dict[str, Tree] | None:
        """Return the test of a text by which few may be left: all but `not` do."""
        found = [value for each, value in self.together() if each == name and narrows(value)]
        found.sort(key=pins, reverse=True)
        return found[0] if found else None

    @property
    def since(self) -> bool:
        """Whether only what is open since some time is asked for."""
        times = [value for name, value in self.together() if name == "firstSeenAt"]
        late = any(
            value.get("since") is not None or value.get("last") is not None for value in times
        )
        return late and self.open and self.default_states

    def bounds(self, compilation: Compilation) -> list[str]:
        """Return the times since when what is asked for is open."""
        return [
            bound
            for name, value in self.together()
            if name == "firstSeenAt"
            for bound in time_bounds(compilation, value)[0]
        ]

    @property
    def open(self) -> bool:
        """Whether only what needs attention is asked for."""
        return self.outcomes == [OPEN_STATUSES]

    @property
    def categories(self) -> list[FindingCategory] | None:
        """The categories asked for; None for all."""
        return chosen(dict(self.together()).get("category"))

    @property
    def outcomes(self) -> list[tuple[FindingStatus, ...]]:
        """The statuses asked for: those that need attention, and those that do not."""
        asked = chosen(dict(self.together()).get("status")) or []
        if not asked and "status" in self.names:
            asked = [*FindingStatus]  # `or` and `not` say which
        closed = tuple(each for each in asked if each not in OPEN_STATUSES)
        if not closed:
            return [OPEN_STATUSES]
        open_ = tuple(each for each in asked if each in OPEN_STATUSES)
        return [open_, closed] if open_ else [closed]

    @property
    def dense(self) -> bool:
        """Whether only what an ordered walk finds soon is asked for."""
        return not self.combined and self.names <= DENSE and self.current

    def together(self) -> Iterator[tuple[str, Tree]]:
        """Yield the inputs that must all hold."""
        yield from _together(self.tree)

    def pinned(self, *path: str) -> bool:
        """Tell whether the filter names the values of an input."""
        for name, value in self.together():
            inner = value
            if name != path[0]:
                continue
            for step in path[1:]:
                inner = inner.get(step) if isinstance(inner, dict) else None
            if pins(inner):
                return True
        return False

    def occurrences(self) -> str:
        """Return the template for how many of the asked reports carry a finding."""
        return " + ".join(COUNTERS[state] for state in self.states) or "0"

    def conditions(
        self, compilation: Compilation, row: Row, *, counters: bool = True
    ) -> Conditions:
        """Return all conditions of the filter and its defaults.

        Without `counters` on rollups, which hold live and absent reports only, the default.
        """
        found = Conditions()
        for name, value in self.together():
            target = found.entry if _of_entry(name, value) else found.place
            target += _condition(compilation, row, name, value)
        if "status" not in self.names:
            found.entry += among(row.fill("{f.status}"), list(OPEN_STATUSES), "finding_status")
        if counters and self.default_states:
            found.place.append(row.fill(f"{self.occurrences()} > 0"))
        return found

    def counted(self, compilation: Compilation, row: Row) -> list[str]:
        """Return what the filter says of rows of severity_count; a bound where it says more."""
        found = [
            condition
            for name, value in self.together()
            if name in ON_COUNTS
            for condition in _condition(compilation, row, name, value)
        ]
        if "status" not in self.names:
            found += among(row.fill("{f.status}"), list(OPEN_STATUSES), "finding_status")
        return found

    def limits(self, compilation: Compilation, row: Row) -> list[str]:
        """Return what the filter says of the cluster and the namespace."""
        return [
            condition
            for name, value in self.together()
            if name in {"cluster", "namespace"}
            for condition in _condition(compilation, row, name, value)
        ]


def on_table(table: str, row: Row, *, entry: str | None = None) -> Row:
    """Return a row where one rollup stands for the place, and for the entry unless given."""
    cells = row[table]
    return Row({**row, "f": row[entry] if entry else cells, "pc": cells, "p": cells})


def _together(tree: dict[str, Tree]) -> Iterator[tuple[str, Tree]]:
    for name, value in tree.items():
        if value is None:
            continue
        if name == "and":
            for each in value:
                yield from _together(each)
        else:
            yield name, value


def _of_entry(name: str, value: Tree) -> bool:
    if name in COMBINED:
        return all(each in OF_ENTRY for each, _ in inputs(value) if each not in COMBINED)
    return name in OF_ENTRY


def _all(compilation: Compilation, row: Row, tree: dict[str, Tree]) -> str:
    found = [
        condition
        for name, value in _together(tree)
        for condition in _condition(compilation, row, name, value)
    ]
    return f"({' AND '.join(found)})" if found else "true"


def _condition(compilation: Compilation, row: Row, name: str, value: Tree) -> list[str]:
    if name == "or":
        return [f"({' OR '.join(_all(compilation, row, each) for each in value) or 'false'})"]
    if name == "not":
        return [f"{_all(compilation, row, value)} IS NOT TRUE"]
    return _LEAVES[name](compilation, row, value)


def _rule(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    if narrows(tree):
        rules = " AND ".join(text(compilation, "o.key", tree))
        return [row.fill("{f.rule_id}") + f" = ANY(ARRAY(SELECT o.id FROM rule o WHERE {rules}))"]
    key = row.fill("(SELECT o.key FROM rule o WHERE o.id = {f.rule_id})")
    return text(compilation, key, tree)


# The distinct packages of all findings, from one to the next in the index.
_PACKAGES = (
    "WITH RECURSIVE o AS ((SELECT x.package FROM finding x WHERE x.package IS NOT NULL"
    " ORDER BY x.package LIMIT 1) UNION ALL SELECT (SELECT x.package FROM finding x"
    " WHERE x.package > o.package ORDER BY x.package LIMIT 1) FROM o WHERE o.package IS NOT NULL)"
    " SELECT o.package FROM o"
)


def packages(compilation: Compilation, tree: dict[str, Tree]) -> str:
    """Return the array of the packages that a StringFilter names, or else of those that pass it."""
    bind = compilation.statement.bind
    if isinstance(tree.get("eq"), Given):
        return f"ARRAY[{bind(tree['eq'].read, 'text')}]"
    if isinstance(tree.get("in"), Given):
        return bind(tree["in"].read, "text[]")
    return f"ARRAY({_PACKAGES}{where(text(compilation, 'o.package', tree))})"


def _image(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    if narrows(tree):
        images = " AND ".join(text(compilation, "o.name", tree))
        return [
            row.fill("{pc.image_id}") + f" = ANY(ARRAY(SELECT o.id FROM image o WHERE {images}))"
        ]
    name = row.fill("(SELECT o.name FROM image o WHERE o.id = {pc.image_id})")
    return text(compilation, name, tree)


def subjects(compilation: Compilation, statement: Statement, tree: Tree) -> str:
    """Return the array of the subjects that a SubjectFilter lets through."""
    inner = SUBJECT.row(statement)
    found = [
        *subject_filter.conditions(compilation, inner, tree),
        *SUBJECT.scope(statement, inner),
    ]
    return f"ARRAY(SELECT {inner['s'].id} FROM {inner.fill(SUBJECT.source)}{where(found)})"


def subject(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    """Return the condition that the subject of a row, letter `p`, passes a SubjectFilter."""
    statement = compilation.statement
    if pins(tree.get("name")):
        return [row.fill("{p.subject_id}") + f" = ANY({subjects(compilation, statement, tree)})"]
    inner = SUBJECT.row(statement, row)
    found = [
        inner.fill("{s.id} = {up[p].subject_id}"),
        *subject_filter.conditions(compilation, inner, tree),
        *SUBJECT.scope(statement, inner),
    ]
    return [f"(SELECT true FROM {inner.fill(SUBJECT.source)}{where(found)})"]


def _fixable(compilation: Compilation, row: Row, leaf: Given) -> list[str]:
    del compilation
    return [row.fill("{f.fixed_version}") + (" IS NOT NULL" if leaf.value else " IS NULL")]


def _score(compilation: Compilation, row: Row, leaf: Given) -> list[str]:
    return [row.fill("{f.score}") + f" >= {compilation.statement.bind(leaf.read, 'real')}"]


def _state(compilation: Compilation, row: Row, leaf: Given) -> list[str]:
    del compilation
    counters = [COUNTERS[state] for state in chosen(leaf) or ()]
    return [row.fill(f"{' + '.join(counters)} > 0") if counters else "false"]


_LEAVES = {
    "cluster": lambda c, r, t: cluster_filter.within(c, r.fill("{pc.cluster_id}"), t),
    "category": lambda _, r, t: among(r.fill("{f.category}"), chosen(t), "finding_category"),
    "source": lambda c, r, t: text(c, r.fill("{p.source}"), t),
    "status": lambda _, r, t: among(r.fill("{f.status}"), chosen(t), "finding_status"),
    "severity": lambda _, r, t: among(r.fill("{f.severity}"), severities(t), "severity"),
    "rule": _rule,
    "namespace": lambda c, r, t: text(c, r.fill("{p.namespace}"), t),
    "subject": subject,
    "container": lambda c, r, t: text(c, r.fill("{p.container}"), t),
    "image": _image,
    "package": lambda c, r, t: text(c, r.fill("{f.package}"), t),
    "fixable": _fixable,
    "scoreAtLeast": _score,
    "firstSeenAt": lambda c, r, t: time(c, r.get("seen") or r.fill(FIRST_SEEN), t),
    "observedAt": lambda c, r, t: time(c, r.fill("{pc.observed_at}"), t),
    "state": _state,
}
