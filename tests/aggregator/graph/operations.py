"""Random operations over the whole schema: valid ones, and what is left of them when they are spoilt.

Everything is drawn from a `Random`: one of Hypothesis shrinks what fails, one of the standard
library is fast enough for thousands.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_leaf_type,
)
from msgspec import Struct, field

import aggregator.graph
from tests.aggregator.graph import events, fleet

SCHEMA = build_schema((Path(aggregator.graph.__file__).parent / "schema.graphql").read_text())

# Texts that are there, parts of them, and what SQL might trip over.
WORDS = (
    *("web", "shop", "api", "nginx", "prod-eu", "prod-us", "staging", "prod", "team", "env", "app"),
    *("payments", "Deployment", "Namespace", "Node", "openssl", "zlib", "CVE-2024-0001", "CVE-"),
    *("shared-key", "kyverno", "trivy-operator", "falco", "syscall", "Shell", "shell", "bash"),
    *("proc.name", "VulnerabilityReport", "docker.io", "library/nginx", "ghcr.io/acme/api:v2"),
    *("docker.io/library/nginx:1.25@sha256:aa", "deb", "MIT", "web-1", "node-1", "3.0.1"),
    *(
        "",
        "%",
        "_",
        "\\",
        "'",
        '"',
        "$1",
        "{0}",
        "ünï€",
        "𝄞",
        "\u2028",
        "a'; DROP TABLE cluster;--",
    ),
)
TIMES = (
    *("2026-01-01T00:00:00Z", "2026-01-02T12:30:00.123456+02:00", "2026-01-03", "2026-02-01T00:00"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"),
)
SPANS = ("1s", "30m", "24h", "400d", "9w", "999999999w")
SCALARS: dict[str, Sequence[Any]] = {
    "Float": (0, 3.1, 7.5, 9.8, -1.5, 1e300, 5),
    "Int": (0, 1, 7, 2**31 - 1),
    "DateTime": TIMES,
}
SIZES = (0, 1, 2, 3, 5, 7, 10)
LARGE_SIZES = (25, 50, 1000)
NAMED: dict[str, tuple[str, ...]] = {
    "key": (*(key for _, key, _, _ in fleet.RULES), "team", "env", "app", "tier"),
    "labelKey": ("team", "env", "no"),
    "last": SPANS,
    "cluster.name": tuple(name for name, _, _ in fleet.CLUSTERS),
    "tag": ("shell", "container", "T1059"),
    "image": (*events.IMAGES.values(), "acme"),
}


class Enum(str):
    """A member of an enum, which is written without quotes."""

    __slots__ = ()


class Question(Struct):
    """An operation as a client would send it."""

    text: str
    variables: dict[str, Any]
    cursor: tuple[str, str] | None = None  # a variable for `after`, and where the next page is told

    def body(self) -> dict[str, Any]:
        """Return what is posted."""
        return {"query": self.text, "variables": self.variables}


class Seen(Struct):
    """Ids and cursors of earlier answers."""

    ids: list[str] = field(default_factory=lambda: ["", "Q2x1c3RlcjoxMjM0", "nonsense"])
    cursors: list[str] = field(default_factory=lambda: ["", "nonsense"])

    def learn(self, data: Any, chance: Random) -> None:
        """Keep some of what an answer tells."""
        for key, value in _leaves(data):
            if not isinstance(value, str) or chance.random() > 0.2:
                continue
            kept = self.cursors if "ursor" in key else self.ids if key.endswith("id") else None
            if kept is not None and value not in kept:
                kept.append(value)
                if len(kept) > 200:
                    del kept[chance.randrange(len(kept))]


def _leaves(data: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, name)
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, key)
    else:
        yield key, data


class Writer:
    """Writes one operation."""

    def __init__(
        self,
        chance: Random,
        seen: Seen,
        *,
        schema: GraphQLSchema = SCHEMA,
        plain: bool = False,  # without what a database of its own would answer differently
    ) -> None:
        self._chance = chance
        self._seen = seen
        self._schema = schema
        self._plain = plain
        self._variables: dict[str, Any] = {}
        self._declared: list[str] = []
        self._fragments: list[str] = []
        self._names = 0
        self._left = chance.choice((6, 15, 40))  # fields
        self._cursor: tuple[str, str] | None = None

    def query(self) -> Question:
        """Return a valid query."""
        depth = self._chance.choice((2, 3, 4, 5, 6))
        root = self._schema.query_type
        assert root is not None
        body = self._selection(root, depth, rows=1)
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        opening = "" if not declared and self._maybe(0.5) else f"query Q{declared} "
        text = " ".join([opening + body, *self._fragments])
        return Question(text, self._variables, self._cursor)

    # ------------------------------------------------------------ what is selected

    def _selection(
        self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int, *, rows: int
    ) -> str:
        names = [
            name
            for name, each in kind.fields.items()
            if (depth > 1 or is_leaf_type(get_named_type(each.type)))
            and not (self._plain and (name == "cursor" or name.endswith("Cursor")))
        ]
        parts: list[str] = []
        most = min(len(names), self._chance.choice((1, 2, 3, 4, 6)))
        for name in self._chance.sample(names, most):
            if parts and self._left <= 0:
                break
            parts.append(self._field(name, kind.fields[name], depth, rows))
        if isinstance(kind, GraphQLInterfaceType):
            parts += ["__typename", *self._possible(kind, depth, rows)]
        elif not parts or self._maybe(0.15):
            parts.append(f"{self._name()}: __typename")
        if kind is self._schema.query_type and self._maybe(0.1) and not self._plain:
            parts.append(self._about_schema())
        if self._maybe(0.05):
            parts.append(self._chance.choice([part for part in parts if "{" not in part] or [""]))
        return "{ " + " ".join(self._fragmented(kind, parts)) + " }"

    def _field(self, name: str, definition: GraphQLField, depth: int, rows: int) -> str:
        self._left -= 1
        kind = get_named_type(definition.type)
        alias = self._name() + ("id" if name == "id" else "Cursor" if "ursor" in name else "")
        text = f"{alias}: {name}"
        sized = rows * self._rows(definition)
        arguments = self._arguments(definition, sized)
        if "after" in definition.args and not self._plain and depth > 2 and rows == 1:
            arguments += self._page(alias)
        text += f"({', '.join(arguments)})" if arguments else ""
        text += self._directive()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            below = self._selection(kind, depth - 1, rows=sized)
            if self._cursor and self._cursor[1] == alias:
                below = below[:-1] + "pageInfo { endCursor hasNextPage } }"
            text += f" {below}"
        return text

    def _page(self, alias: str) -> list[str]:
        if self._maybe(0.2) and self._cursor is None and self._left > 0:
            variable = self._declare("String", None)
            self._cursor = variable[1:], alias
            return [f"after: {variable}"]
        if self._maybe(0.02):
            return [f"after: {json.dumps(self._chance.choice(self._seen.cursors))}"]
        return []

    def _possible(self, kind: GraphQLInterfaceType, depth: int, rows: int) -> list[str]:
        kinds = self._schema.get_possible_types(kind)
        chosen = self._chance.sample(kinds, self._chance.randrange(3))
        return [f"... on {each.name} {self._selection(each, depth, rows=rows)}" for each in chosen]

    def _about_schema(self) -> str:
        key, kind = self._name(), self._chance.choice([*self._schema.type_map, "Nothing"])
        asked = self._chance.randrange(3)
        if asked == 0:
            return f"{key}: __schema {{ queryType {{ name fields {{ name args {{ name }} }} }} }}"
        if asked == 1:
            return f"{key}: __type(name: {self._value('', self._named('String'))}) {{ kind name }}"
        return (
            f'{key}: __type(name: "{kind}") {{ name kind fields {{ name type {{ ofType {{ name }} }} }}'
            " enumValues { name } inputFields { defaultValue } }"
        )

    def _named(self, name: str) -> Any:
        return GraphQLNonNull(self._schema.type_map[name])

    def _fragmented(self, kind: Any, parts: list[str]) -> list[str]:
        """Put some of the parts into fragments."""
        if not self._maybe(0.2):
            return parts
        cut = self._chance.randrange(len(parts))
        inside, outside = " ".join(parts[cut:]), parts[:cut]
        kind_of = self._chance.randrange(3)
        if kind_of == 0:
            return [*outside, f"...{self._directive()} {{ {inside} }}"]
        if kind_of == 1:
            return [*outside, f"... on {kind.name}{self._directive()} {{ {inside} }}"]
        name = f"F{self._name()}"
        self._fragments.append(f"fragment {name} on {kind.name} {{ {inside} }}")
        spread = f"...{name}{self._directive()}"
        return [*outside, spread, spread] if self._maybe(0.2) else [*outside, spread]

    def _directive(self) -> str:
        if not self._maybe(0.06):
            return ""
        name = self._chance.choice(("include", "skip"))
        value = self._value("", self._named("Boolean"))
        return f" @{name}(if: {value})"

    # ------------------------------------------------------------ what is asked with

    @staticmethod
    def _rows(definition: GraphQLField) -> int:
        return 10 if "first" in definition.args else 1

    def _arguments(self, definition: GraphQLField, rows: int) -> list[str]:
        made = []
        for name, argument in definition.args.items():
            if name == "after":
                continue
            if name == "first":
                # Pages below pages are small, or they are more rows than anybody may ask for.
                sizes = SIZES if rows > 10 or self._maybe(0.8) else LARGE_SIZES
                if rows > 10 or self._maybe(0.8):
                    made.append(f"first: {self._leaf(self._chance.choice(sizes), 'Int')}")
            elif isinstance(argument.type, GraphQLNonNull) or self._maybe(0.4):
                made.append(f"{name}: {self._value(name, argument.type)}")
        return made

    def _leaf(self, value: Any, kind: str) -> str:
        return self._declare(kind, value) if self._maybe(0.3) else json.dumps(value)

    def _value(self, name: str, kind: Any) -> str:
        """Return a literal or a variable for a place of a type."""
        value = self._python(name, kind, 3)
        if self._maybe(0.3):
            return self._declare(str(kind), value)
        return self._literal(name, kind, value)

    def _declare(self, kind: str, value: Any) -> str:
        name = f"v{len(self._variables)}"
        default = ""
        if not isinstance(value, dict | list) and value is not None and self._maybe(0.2):
            # A default lets the type be nullable wherever the variable stands.
            kind, default = kind.rstrip("!"), f" = {literal(value)}"
        self._declared.append(f"${name}: {kind}{default}")
        if default and self._maybe(0.3):
            self._variables[f"{name}x"] = True  # of a name that nobody declared: left unheard
        else:
            self._variables[name] = value
        return f"${name}"

    def _literal(self, name: str, kind: Any, value: Any) -> str:
        """Write a value, some parts of it as variables."""
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(value, dict):
            fields = kind.fields
            items = (
                f"{key}: {self._part(f'{name}.{key}', fields[key].type, item)}"
                for key, item in value.items()
            )
            return "{" + ", ".join(items) + "}"
        if isinstance(value, list) and isinstance(kind, GraphQLList):
            return "[" + ", ".join(self._part(name, kind.of_type, item) for item in value) + "]"
        return literal(value)

    def _part(self, name: str, kind: Any, value: Any) -> str:
        if self._maybe(0.1):
            return self._declare(str(kind), value)
        return self._literal(name, kind, value)

    def _python(self, name: str, kind: Any, depth: int) -> Any:
        """Return a value of a type, as JSON would bring it."""
        if not isinstance(kind, GraphQLNonNull) and self._maybe(0.03):
            return None
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(kind, GraphQLList):
            size = self._chance.choice((1, 1, 2, 3, 0))
            return [self._python(name, kind.of_type, depth - 1) for _ in range(size)]
        if isinstance(kind, GraphQLEnumType):
            return Enum(self._chance.choice(list(kind.values)))
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(name, kind, depth)
        return self._scalar(name, kind.name)

    def _object(self, name: str, kind: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        def recursive(given: GraphQLInputField) -> bool:
            return isinstance(get_named_type(given.type), GraphQLInputObjectType)

        names = [each for each, given in kind.fields.items() if depth > 0 or not recursive(given)]
        wanted = set(self._chance.choices(names, k=self._chance.choice((0, 1, 1, 2, 3))))
        return {
            each: self._python(f"{name}.{each}", given.type, depth - 1)
            for each, given in kind.fields.items()
            if each in wanted or isinstance(given.type, GraphQLNonNull)
        }

    def _scalar(self, name: str, kind: str) -> Any:
        if kind == "Boolean":
            return self._maybe(0.5)
        known = {"ID": self._seen.ids, **SCALARS}.get(kind)
        if known is not None:
            return self._chance.choice(known)
        for part, values in NAMED.items():
            if (name == part or name.endswith(f".{part}")) and self._maybe(0.8):
                return self._chance.choice(values)
        return self._chance.choice(WORDS)

    def _maybe(self, share: float) -> bool:
        return self._chance.random() < share

    def _name(self) -> str:
        self._names += 1
        return f"a{self._names}"


def literal(value: Any) -> str:
    """Write a value as a GraphQL literal."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return str(value) if isinstance(value, Enum) else json.dumps(value)


# ---------------------------------------------------------------- everything that can be asked


def everything(depth: int = 3, rows: int = 20) -> Iterator[Question]:
    """Yield queries that select each field of each type that lies within so many levels."""
    root = SCHEMA.query_type
    assert root is not None
    for name, definition in root.fields.items():
        for arguments in _asking(name):
            text = f"{name}({arguments}first: {rows})" if "first" in definition.args else name
            text = text if "first" in definition.args else f"{name}({arguments})".replace("()", "")
            yield Question(f"{{ {text} {_all_of(definition.type, depth, rows)} }}", {})


def _asking(name: str) -> list[str]:
    """Return the arguments to ask a root field with, one after the other."""
    if name.endswith("Groups"):
        kind = "RuntimeEventDimension" if name.startswith("runtime") else "FindingDimension"
        dimensions = SCHEMA.type_map[kind]
        assert isinstance(dimensions, GraphQLEnumType)
        more = "interval: DAY, " if name.startswith("runtime") else 'labelKey: "team", '
        return [f"by: [{each}], {more}" for each in dimensions.values]
    if name == "cluster":
        return ['name: "prod-eu"', 'name: "staging"']
    if name == "rule":
        return ['key: "CVE-2024-0001"', 'key: "shared-key"']
    return ['id: "Q2x1c3Rlcjox"'] if name == "node" else [""]


def _all_of(kind: Any, depth: int, rows: int) -> str:
    kind = get_named_type(kind)
    if is_leaf_type(kind):
        return ""
    parts = ["__typename"]
    for name, definition in kind.fields.items():
        if name in {"cursor", "startCursor", "endCursor", "edges"}:
            continue
        below = get_named_type(definition.type)
        # A connection and its page are one level, and what is below them is asked for in short.
        less = depth if name == "nodes" else depth - 1
        if not is_leaf_type(below) and less <= 0:
            continue
        given = f"(first: {max(rows // 4, 3)})" if "first" in definition.args else ""
        parts.append(f"{name}{given} {_all_of(below, less, max(rows // 4, 3))}")
    return "{ " + " ".join(parts) + " }"


# ---------------------------------------------------------------- spoilt


class Sent(Struct):
    """A request that need not make sense."""

    body: bytes
    method: str = "POST"
    query: dict[str, str] = field(default_factory=dict)  # of the address
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


def spoilt(question: Question, chance: Random) -> Sent:
    """Return the operation with something wrong with it."""
    return chance.choice(SPOILERS)(question, chance)


def sent(text: str, variables: Any) -> Sent:
    """Return the request for an operation."""
    return Sent(json.dumps({"query": text, "variables": variables}).encode())


STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**31, 2**63, -(2**63), 10**400, 1e308, [], {}, [[]], [None]),
    *("\0", "\ud800", "x" * 5000, "NO_SUCH", "1e999", {"eq": 1}, {"": ""}, [{}], {"and": [{}]}),
    *({"not": {"not": {"not": None}}}, ["a"] * 1001, "0001-01-01T00:00:00+23:59"),
)
TOKENS = (
    *("{", "}", "(", ")", "[", "]", "$", "!", ":", "...", "@skip", "@include(if: 1)", "null", '"'),
    *('"""', "#", "\r", "\n", "\ufeff", "\0", "\ud83d", "on", "query", "mutation", "subscription"),
    *("fragment", "999999999999999999999999", "-1", "1e400", "NO_SUCH", "nope", "__typename", "é"),
    *('"\\u0000"', '"\\ud800"', '"\\u{110000}"', "true", "{not: {not: {}}}", "$v0", "first: -1"),
)


def _other_variable(question: Question, chance: Random) -> Sent:
    variables = dict(question.variables)
    name = chance.choice([*variables, "v0"])
    variables[name] = chance.choice(STRANGE)
    return sent(question.text, variables)


def _deep_variable(question: Question, chance: Random) -> Sent:
    depth = chance.choice((10, 250, 480, 700, 940, 970, 2000))
    opening, closing = chance.choice((("[", "]"), ('{"not":', "}")))
    name = chance.choice([*question.variables, "v0"])
    deep = opening * depth + ("1" if closing == "}" else "") + closing * depth
    return Sent(
        f'{{"query": {json.dumps(question.text)}, "variables": {{"{name}": {deep}}}}}'.encode()
    )


def _missing_variable(question: Question, chance: Random) -> Sent:
    variables = dict(question.variables)
    if variables:
        del variables[chance.choice(list(variables))]
    return sent(question.text, variables)


def _null_variable(question: Question, chance: Random) -> Sent:
    variables = dict(question.variables)
    variables[chance.choice([*variables, "v0", "v1"])] = None
    return sent(question.text, variables)


def _changed_text(question: Question, chance: Random) -> Sent:
    words = question.text.split(" ")
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(words))
        change = chance.randrange(4)
        if change == 0:
            words[at] = chance.choice(TOKENS)
        elif change == 1:
            words.insert(at, chance.choice(TOKENS))
        elif change == 2:
            words.insert(at, words[chance.randrange(len(words))])
        elif len(words) > 1:
            del words[at]
    return sent(" ".join(words), question.variables)


def _cut_text(question: Question, chance: Random) -> Sent:
    return sent(question.text[: chance.randrange(len(question.text) + 1)], question.variables)


def _renamed(question: Question, chance: Random) -> Sent:
    old = chance.choice(("nodes", "first", "filter", "SEVERITY", "name", "a1", "a2", "in", "v0"))
    new = chance.choice(("nope", "edges", "a1", "NO_SUCH", "after", "_", "__typename", "v9"))
    return sent(question.text.replace(old, new), question.variables)


def _deep_text(question: Question, chance: Random) -> Sent:
    depth = chance.choice((5, 21, 60, 99, 101, 170, 3000))
    opening, closing = chance.choice(
        (("{ a: findings { nodes { cluster ", " } } }"), ("{ ... ", " }"), ("{not: ", "}"))
    )
    inner = "{ __typename }" if closing != "}" else "{}"
    deep = opening * depth + inner + closing * depth
    if closing == "}":
        deep = "{ findings(filter: " + deep + ") { totalCount } }"
    return sent(chance.choice(("", "# \r")) + deep, question.variables)


def _repeated(question: Question, chance: Random) -> Sent:
    times = chance.choice((10, 70, 300))
    part = chance.choice(("a: fleet { reports } ", "fleet { clusters } ", "b%d: fleet { images } "))
    text = "".join(part.replace("%d", str(each)) for each in range(times))
    return sent("{ " + text + "}" + chance.choice(("", question.text)), question.variables)


def _spreading(question: Question, chance: Random) -> Sent:
    """Fragments that double at each level and end in nothing."""
    levels = chance.choice((3, 10, 40))
    end = chance.choice(("clusters @skip(if: true)", "clusters", "... on Fleet { clusters }"))
    parts = [f"fragment D{n} on Fleet {{ ...D{n + 1} ...D{n + 1} }}" for n in range(levels)]
    text = (
        f"{{ fleet {{ reports ...D0 }} }} {' '.join(parts)} fragment D{levels} on Fleet {{ {end} }}"
    )
    return sent(text, question.variables)


def _strange_body(question: Question, chance: Random) -> Sent:
    whole = json.dumps(question.body()).encode()
    return Sent(
        chance.choice(
            (
                *(
                    b"",
                    b"null",
                    b"1",
                    b"[]",
                    b"{}",
                    b"\xff\xfe",
                    b'{"query": null}',
                    b'{"query": 1}',
                ),
                *(b"[" + whole + b"]", whole[: chance.randrange(len(whole))], whole + b"}", b"\0"),
                *(
                    b'{"query": "{ fleet { clusters } }", "variables": []}',
                    whole.replace(b'"', b"'"),
                ),
                *(
                    b'{"query": "{ __typename }", "variables": 1e999}',
                    whole.decode().encode("utf-16"),
                ),
                *(b'{"query": "\\ud800"}', b'{"query": "{ cluster(name: \\"\\ud800\\") { id } }"}'),
                *(b'{"query": "{ __typename }", "operationName": "no"}', b"\xef\xbb\xbf" + whole),
                *(b'{"query": "{ __typename }", "operationName": 1}', whole * 2, b"[" * 5000),
                b'{"query": "{ __typename }", "variables": {"v0": "\\ud800\\u0000"}}',
                b'{"query": "{ __typename }", "query": 2, "extensions": {"persistedQuery": {}}}',
                b'{"query": "' + b"x" * chance.choice((65_000, 66_000, 1_100_000)) + b'"}',
            )
        )
    )


def _strange_headers(question: Question, chance: Random) -> Sent:
    made = sent(question.text, question.variables)
    made.headers = dict(
        [
            (
                "content-type",
                chance.choice(
                    (
                        *("", "text/plain", "application/json; charset=utf-16", "*/*", ";"),
                        *("application/jsonx", "application/graphql", "APPLICATION/JSON"),
                    )
                ),
            ),
            chance.choice(
                (
                    ("accept", chance.choice(("", "text/html", "image/png", "*/*;q=x", ";;,,"))),
                    (
                        "accept-encoding",
                        chance.choice(("zstd;q=nan", "gzip;q=1e999", "*;q=-1", ",")),
                    ),
                    ("content-encoding", "gzip"),
                    ("if-none-match", chance.choice(('"', "*", "W/", "W/*,"))),
                    ("x-request-id", "x" * 2000),
                )
            ),
        ]
    )
    return made


def _by_get(question: Question, chance: Random) -> Sent:
    given = {"query": question.text[:4000], "variables": json.dumps(question.variables)[:2000]}
    if chance.random() < 0.5:
        name = chance.choice(("query", "variables", "operationName", "extensions"))
        given[name] = chance.choice(
            (
                "",
                "{",
                "[]",
                "null",
                "\0",
                "é",
                "{fleet{clusters}}",
                "mutation{revokeToken(id:1)}",
                "Q",
            )
        )
    headers = {"if-none-match": chance.choice(("*", "", "W/x"))} if chance.random() < 0.3 else {}
    return Sent(b"", chance.choice(("GET", "GET", "GET", "PUT", "HEAD", "DELETE")), given, headers)


def _change(question: Question, chance: Random) -> Sent:
    """A mutation that cannot do what it asks for."""
    text = chance.choice(
        (
            "mutation ($x: String!) { removeCluster(name: $x) }",
            "mutation ($x: String!) { rebindCluster(name: $x) { name } }",
            'mutation ($x: JSON) { updateCluster(name: "no such", labels: $x) { id } }',
            'mutation ($x: JSON) { addCluster(input: {name: "", labels: $x}) { token } }',
            "mutation ($x: String!) { addCluster(input: {name: $x, labels: {a: 1}}) { token } }",
            'mutation ($x: DateTime) { createToken(input: {name: "", role: ADMIN, expiresAt: $x}) { id } }',
            'mutation ($x: ClusterFilter) { createToken(input: {name: "", role: VIEWER, clusters: $x}) { id } }',
            'mutation ($x: [String!]) { createToken(input: {name: "", role: VIEWER, namespaces: $x}) { id } }',
            "mutation ($x: ID!) { revokeToken(id: $x) }",
            "subscription ($x: String) { runtimeEvents(after: $x) { cursor } }",
        )
    )
    given = chance.choice((*STRANGE, *WORDS[-12:], *TIMES[4:], {"name": {"in": ["\0"]}}))
    del question
    return sent(text, {"x": given})


SPOILERS: tuple[Callable[[Question, Random], Sent], ...] = (
    *(_other_variable, _deep_variable, _missing_variable, _null_variable, _changed_text),
    *(_changed_text, _cut_text, _renamed, _deep_text, _repeated, _spreading, _strange_body),
    *(_strange_headers, _by_get, _change),
)
