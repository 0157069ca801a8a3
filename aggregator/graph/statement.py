"""One SQL statement in the making: numbered parameters, fresh aliases, rows to take columns from.

Values reach SQL as parameters only. A parameter is a function of the request (`Read`), so a
statement planned once serves every request of the same shape. Enum values are the exception: they
are members of our own enums, never a client's text, and stand in the SQL so that partial indexes
match.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aggregator.access.principal import Scope
from aggregator.store.pool import KEEPS_PLAN


@dataclass(slots=True)
class Bindings:
    """What a request brings to a plan."""

    variables: Mapping[str, Any]
    scope: Scope
    cursor_key: bytes  # the secret that cursors are signed with
    memo: dict[Any, Any] = field(default_factory=dict)


Read = Callable[[Bindings], Any]

EVENTS = "runtime_event"  # partitions: a plan for values in particular leaves most of them out


def read_scope_clusters(bindings: Bindings) -> list[int]:
    """Return the clusters the caller is limited to."""
    return list(bindings.scope.clusters or ())


def read_hidden_clusters(bindings: Bindings) -> list[int]:
    """Return the clusters that nobody sees any more."""
    return list(bindings.scope.hidden)


def read_scope_namespaces(bindings: Bindings) -> list[str]:
    """Return the namespaces the caller is limited to."""
    return list(bindings.scope.namespaces or ())


class Statement:
    """Parameters and aliases of one statement."""

    def __init__(
        self,
        *,
        scoped_clusters: bool,
        scoped_namespaces: bool,
        few_clusters: bool = False,
        hides_clusters: bool = False,
    ) -> None:
        self.reads: list[Read] = []
        self._hides_clusters = hides_clusters
        self.scoped_clusters = scoped_clusters
        self.scoped_namespaces = scoped_namespaces
        self.few_clusters = few_clusters  # so that each can be looked into by itself
        self._numbers: dict[Any, int] = {}
        self._steering: set[int] = set()
        self.plans_anew = (
            False  # what looks at much at once, where a plan made for any value may be far off
        )
        self._aliases: Counter[str] = Counter()

    def bind(self, read: Read, type_: str, *, key: object = None, steers: bool = False) -> str:
        """Return a parameter of `type_`; reads with the same `key` share one.

        `steers`: whether the best plan may depend on the value.
        """
        identity = (key if key is not None else read, type_)
        number = self._numbers.get(identity)
        if number is None:
            self.reads.append(read)
            number = self._numbers[identity] = len(self.reads)
        if steers:
            self._steering.add(number)
        return f"${number}::{type_}"

    def alias(self, stem: str) -> str:
        """Return an alias that this statement has not used."""
        self._aliases[stem] += 1
        return f"{stem}{self._aliases[stem]}"

    def row(self, *stems: str) -> Row:
        """Return a row of fresh aliases for tables."""
        return Row({stem: Cells(self.alias(stem)) for stem in stems})

    def scope(self, cluster: str | None = None, namespace: str | None = None) -> list[str]:
        """Return the conditions that keep a table's rows within the caller's scope."""
        conditions = []
        if cluster and self.scoped_clusters:
            conditions.append(f"{cluster} = ANY({self.bind(read_scope_clusters, 'int[]')})")
        elif cluster and self._hides_clusters:
            conditions.append(f"{cluster} <> ALL({self.bind(read_hidden_clusters, 'int[]')})")
        if namespace and self.scoped_namespaces:
            conditions.append(f"{namespace} = ANY({self.bind(read_scope_namespaces, 'text[]')})")
        return conditions

    def numbered(self, sql: str) -> tuple[str, tuple[Read, ...]]:
        """Return the finished SQL with the parameters that it uses, numbered without gaps."""
        used = dict.fromkeys(int(number) for number in re.findall(r"\$(\d+)::", sql))
        numbers = {old: new for new, old in enumerate(used, 1)}
        renumbered = re.sub(r"\$(\d+)::", lambda match: f"${numbers[int(match[1])]}::", sql)
        anew = self.plans_anew or EVENTS in sql or not self._steering.isdisjoint(used)
        if used and not anew:
            renumbered = f"{KEEPS_PLAN} {renumbered}"
        return renumbered, tuple(self.reads[old - 1] for old in used)

    @property
    def scoped(self) -> bool:
        """Whether the caller sees only a part of the fleet."""
        return self.scoped_clusters or self.scoped_namespaces


class Cells:
    """The columns of one alias, for templates such as `{f.message}`; `{f}` is the alias itself."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __getattr__(self, column: str) -> str:
        return f"{self._alias}.{column}"

    def __str__(self) -> str:
        return self._alias


class _Carried(Cells):
    """Columns that an inner query has to hand out; asking for one makes it do so."""

    def __init__(self, alias: str, table: str, carried: dict[tuple[str, str], str]) -> None:
        super().__init__(alias)
        self._table = table
        self._carried = carried

    def __getattr__(self, column: str) -> str:
        name = f"{self._table}_{column}"
        self._carried[self._table, column] = name
        return f"{self._alias}.{name}"


class Row(dict[str, Any]):
    """Tables by their letter; `up` is the row of the object around this one."""

    def fill(self, template: str) -> str:
        """Return the template with its columns."""
        return template.format_map(self)

    def below(self, parent: Row | None) -> Row:
        """Return this row, knowing the row around it."""
        return Row({**self, "up": parent}) if parent is not None else self


class CarriedRow(Row):
    """A row of an inner query, which hands out the columns as they are asked for."""

    def __init__(self, alias: str, stems: Iterable[str]) -> None:
        self.alias = alias
        self.carried: dict[tuple[str, str], str] = {}
        super().__init__({stem: _Carried(alias, stem, self.carried) for stem in stems})

    def columns(self, inner: Row) -> list[str]:
        """Return the select list of the inner query."""
        return [
            f"{getattr(inner[table], column)} AS {name}"
            for (table, column), name in self.carried.items()
        ]


class PageRow(CarriedRow):
    """A row of a page, or what is joined to one; what it refers to is joined to it too."""

    def __init__(self, alias: str, stems: Iterable[str], joins: list[str] | None = None) -> None:
        super().__init__(alias, stems)
        self.joins: list[str] = [] if joins is None else joins

    def joined(self, alias: str, stems: Iterable[str]) -> PageRow:
        """Return a row that is joined to this one, and that knows it."""
        row = PageRow(alias, stems, self.joins)
        row["up"] = self
        return row


def literals(values: Iterable[Enum], type_: str) -> str:
    """Return members of one of our enums as an SQL list."""
    return ", ".join(f"'{value.name}'::{type_}" for value in values)


def where(conditions: Iterable[str]) -> str:
    """Return a WHERE clause, or nothing."""
    text = " AND ".join(conditions)
    return f" WHERE {text}" if text else ""
