"""Which runtime events: the input, and the conditions it stands for over a row of `runtime_event`.

The same conditions run on the rollups as far as those know the columns (event_count.py).
"""

from collections.abc import Callable, Iterator
from typing import Optional

import strawberry

from aggregator.graph import cluster_filter
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.compiler import Compilation
from aggregator.graph.filters import (
    ClusterFilter,
    StringFilter,
    TimeFilter,
    among,
    chosen,
    given,
    pins,
    text,
    time,
)
from aggregator.graph.finding_filter import subject
from aggregator.graph.scalars import Priority
from aggregator.graph.statement import Row
from aggregator.graph.subject_filter import SubjectFilter


@strawberry.input(description="Tests a priority.")
class PriorityFilter:
    in_: list[Priority] | None = given("One of these.", "in")
    at_least: Priority | None = given("This urgent or more; EMERGENCY is the most urgent.")


@strawberry.input(description="Tests one of an event's fields as text.")
class FieldFilter:
    name: str = strawberry.field(description="The field's name: proc.name, fd.name, ka.verb …")
    eq: str | None = given("Equal to this.")
    in_: list[str] | None = given("Equal to one of these.", "in")


@strawberry.input(
    description=(
        "Which runtime events. All that is given must hold. `time` tests the event's own time as far"
        " as it lies within 7 days before and 5 minutes after its arrival."
    )
)
class RuntimeEventFilter:
    and_: list["RuntimeEventFilter"] | None = given("All of these hold.", "and")
    or_: list["RuntimeEventFilter"] | None = given("At least one of these holds.", "or")
    not_: Optional["RuntimeEventFilter"] = given("This does not hold.", "not")
    time: TimeFilter | None = given("By when it happened.")
    cluster: ClusterFilter | None = given("By the cluster.")
    rule: StringFilter | None = given("By the rule's name.")
    priority: PriorityFilter | None = given("By the priority.")
    source: StringFilter | None = given("By the source: syscall, k8s_audit …")
    namespace: StringFilter | None = given("By the namespace.")
    pod: StringFilter | None = given("By the pod's name.")
    image: StringFilter | None = given("By the image's name: registry/repository:tag@digest.")
    hostname: StringFilter | None = given("By the host that the sensor runs on.")
    tag: str | None = given("It has this tag.")
    output: StringFilter | None = given("By its text.")
    field: list[FieldFilter] | None = given("By its fields; all must hold.")
    subject: SubjectFilter | None = given("By what it is about.")


PRIORITIES = list(Priority)  # most urgent first


def together(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """Yield the inputs that must all hold."""
    for name, value in (tree or {}).items():
        if value is None:
            continue
        if name == "and":
            for each in value:
                yield from together(each)
        else:
            yield name, value


def conditions(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    """Return the conditions of a filter over a row of `runtime_event`, letter `e`."""
    return [
        condition
        for name, value in together(tree)
        for condition in _condition(compilation, row, name, value)
    ]


def named(name: str, value: Tree) -> bool:
    """Tell whether an input names values that an index finds."""
    if name == "priority":
        return priorities(value) is not None
    if name == "subject":
        return pins(value.get("name"))
    # The indexes by pod and namespace leave out events that have none.
    return pins(value) and not (name in {"pod", "namespace"} and _names_none(value))


def _names_none(tree: Tree) -> bool:
    eq, among = tree.get("eq"), tree.get("in")
    return (isinstance(eq, Given) and eq.value == "") or (
        isinstance(among, Given) and "" in among.value
    )


def leaves(tree: Tree) -> Iterator[str]:
    """Yield the names of all inputs, at any depth, but those that combine others."""
    for name, value in together(tree):
        if name == "or":
            for each in value:
                yield from leaves(each)
        elif name == "not":
            yield from leaves(value)
        else:
            yield name


def priorities(tree: Tree) -> list[Priority] | None:
    """Return the priorities that a PriorityFilter allows; None for all."""
    if not isinstance(tree, dict):
        return None
    allowed = chosen(tree)
    least = tree.get("atLeast")
    if isinstance(least, Given):
        graver = PRIORITIES[: PRIORITIES.index(least.value) + 1]
        allowed = [each for each in graver if allowed is None or each in allowed]
    return allowed


def images(compilation: Compilation, tree: Tree) -> str:
    """Return the query for the ids of the images that a StringFilter names."""
    return f"SELECT o.id FROM image o WHERE {' AND '.join(text(compilation, 'o.name', tree))}"


def _all(compilation: Compilation, row: Row, tree: Tree) -> str:
    found = conditions(compilation, row, tree)
    return f"({' AND '.join(found)})" if found else "true"


def _condition(compilation: Compilation, row: Row, name: str, value: Tree) -> list[str]:
    if name == "or":
        return [f"({' OR '.join(_all(compilation, row, each) for each in value) or 'false'})"]
    if name == "not":
        return [f"{_all(compilation, row, value)} IS NOT TRUE"]
    return _LEAVES[name](compilation, row, value)


def _image(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    if pins(tree):
        return [row.fill("{e.image_id}") + f" = ANY(ARRAY({images(compilation, tree)}))"]
    name = row.fill("(SELECT o.name FROM image o WHERE o.id = {e.image_id})")
    return text(compilation, name, tree)


def _subject(compilation: Compilation, row: Row, tree: Tree) -> list[str]:
    return subject(compilation, Row({**row, "p": row["e"]}), tree)


def _tag(compilation: Compilation, row: Row, leaf: Given) -> list[str]:
    return [row.fill("{e.tags}") + f" @> ARRAY[{compilation.statement.bind(leaf.read, 'text')}]"]


def _fields(compilation: Compilation, row: Row, trees: Tree) -> list[str]:
    bind = compilation.statement.bind
    found = []
    for tree in trees or ():
        field = row.fill("{e.fields}") + f" ->> {bind(tree['name'].read, 'text')}"
        tests = text(compilation, f"({field})", {k: tree.get(k) for k in ("eq", "in")})
        found += tests or [f"({field}) IS NOT NULL"]
    return found


def _text(column: str) -> Callable[[Compilation, Row, Tree], list[str]]:
    return lambda c, r, t: text(c, r.fill(f"{{e.{column}}}"), t)


_LEAVES: dict[str, Callable[[Compilation, Row, Tree], list[str]]] = {
    "time": lambda c, r, t: time(c, r.fill("{e.at}"), t),
    "cluster": lambda c, r, t: cluster_filter.within(c, r.fill("{e.cluster_id}"), t),
    "rule": _text("rule"),
    "priority": lambda _, r, t: among(r.fill("{e.priority}"), priorities(t), "event_priority"),
    "source": _text("source"),
    "namespace": _text("namespace"),
    "pod": _text("pod"),
    "image": _image,
    "hostname": _text("hostname"),
    "tag": _tag,
    "output": _text("output"),
    "field": _fields,
    "subject": _subject,
}
