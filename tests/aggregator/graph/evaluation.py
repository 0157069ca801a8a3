"""A plain evaluation of queries in Python over the rows of the tables: slow, and easy to believe.

A selection is a list of (response name, field, arguments, selection below). Objects are pairs of a
type's name and a row; what a field gives stands in one function a type.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import asyncpg

from aggregator.access.principal import Scope

Row = dict[str, Any]
Selection = list[tuple[str, str, dict[str, Any], Any]]

TABLES = [
    "cluster",
    "agent_session",
    "subject",
    "placement",
    "placement_content",
    "content",
    "finding",
    "rule",
    "image",
    "report",
    "transition",
    "keyset",
    "image_usage",
    "package",
    "content_package",
    "failed_report",
]
SEVERITIES = ["UNKNOWN", "INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
OTHERWISE = {"since": "1900-01-01T00:00:00+00:00", "until": "2900-01-01T00:00:00+00:00"}
OPEN = {"FAIL", "WARN", "ERROR"}
COUNTERS = {"LIVE": "live", "ABSENT": "absent", "SUPERSEDED": "superseded"}


async def rows_of(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[Row]]:
    """Return all rows of the tables."""
    return {
        table: [
            # Postgres prints a `real` as the shortest text that it is; Python shows its doubles.
            {
                name: float(f"{value:.6g}") if isinstance(value, float) else value
                for name, value in row.items()
            }
            for row in await connection.fetch(f"SELECT * FROM {table}")
        ]
        for table in TABLES
    }


def passes(value: str | None, test: Row | None) -> bool:
    """Test a text as StringFilter says."""
    if test is None:
        return True
    checks: dict[str, Callable[[Any], bool]] = {
        "eq": lambda given: value == given,
        "in": lambda given: value in given,
        "not": lambda given: value != given,
        "contains": lambda given: value is not None and given in value,
        "startsWith": lambda given: value is not None and value.startswith(given),
    }
    return all(checks[name](given) for name, given in test.items() if given is not None)


def within(time: datetime, given: Row) -> bool:
    since, until = (datetime.fromisoformat(given.get(n) or OTHERWISE[n]) for n in OTHERWISE)
    return since <= time < until


def stamp(value: Any) -> Any:
    return value.isoformat() if value is not None else None


class World:
    """The rows that a scope may see, and the answers they give."""

    def __init__(self, tables: dict[str, list[Row]], scope: Scope) -> None:
        self.tables = tables
        self.scope = scope
        self.by_id = {
            table: {row["id"]: row for row in rows if "id" in row} for table, rows in tables.items()
        }
        self.places = [place for place in self._places() if self.sees(place)]
        self.findings = [
            {**place, "f": finding}
            for place in self.places
            for finding in tables["finding"]
            if finding["content_id"] == place["pc"]["content_id"]
        ]

    def _places(self) -> Iterable[Row]:
        for pc in self.tables["placement_content"]:
            p = self.by_id["placement"][pc["placement_id"]]
            yield {
                "pc": pc,
                "p": p,
                "cluster_id": pc["cluster_id"],
                "namespace": p["namespace"],
            }

    def sees(self, row: Row) -> bool:
        """Tell whether a row with a cluster and a namespace is in scope."""
        clusters, namespaces = self.scope.clusters, self.scope.namespaces
        return (clusters is None or row["cluster_id"] in clusters) and (
            namespaces is None or row["namespace"] in namespaces
        )

    # ------------------------------------------------------------ answers

    def answer(self, selection: Selection) -> Row:
        """Return the data for root fields."""
        return self.object(("Query", {}), selection)

    def object(self, thing: tuple[str, Row], selection: Selection) -> Row:
        name, row = thing
        fields = getattr(self, name.lower())
        made = {}
        for key, field, arguments, below in selection:
            if field == "__typename":
                made[key] = name
            else:
                made[key] = self.value(fields(row, field, arguments), below)
        return made

    def value(self, value: Any, below: Selection) -> Any:
        if isinstance(value, tuple):
            return self.object(value, below)
        if isinstance(value, Page):
            return value.answer(self, below)
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            return [self.object(each, below) for each in value]
        return value

    def query(self, _: Row, field: str, arguments: Row) -> Any:
        if field == "findings":
            return self.findings_page(self.findings, arguments)
        if field == "clusters":
            return self.clusters_page(self.seen_clusters(), arguments)
        if field == "images":
            return Page("Image", sorted(self.seen_images(), key=lambda i: i["name"]), arguments)
        if field == "rules":
            rules = [rule for rule in self.tables["rule"] if self.uses(rule)]
            rules.sort(key=lambda r: (SEVERITIES.index(r["severity"]), r["id"]), reverse=True)
            return Page("Rule", rules, arguments)
        if field == "subjects":
            subjects = [s for s in self.tables["subject"] if s["present"] and self.sees_subject(s)]
            return Page("Subject", sorted(subjects, key=lambda s: (s["name"], s["id"])), arguments)
        if field == "findingGroups":
            return self.groups(arguments)
        raise KeyError(field)

    # ------------------------------------------------------------ findings

    def findings_page(self, findings: list[Row], arguments: Row) -> "Page":
        given = arguments.get("filter") or {}
        states = mentioned(given, "state")
        rows = [
            {**row, "states": states or ["LIVE", "ABSENT"]}
            for row in findings
            if self.asked(row, given)
        ]
        order = arguments.get("orderBy") or {"field": "SEVERITY"}
        down = order.get("direction", "DESC") == "DESC"
        sign = -1 if down else 1
        keys: dict[str, Callable[[Row], Any]] = {
            "SEVERITY": lambda r: SEVERITIES.index(r["f"]["severity"]),
            "SCORE": lambda r: r["f"]["score"] if r["f"]["score"] is not None else -1e9,
            "RULE": lambda r: self.by_id["rule"][r["f"]["rule_id"]]["key"],
            "FIRST_SEEN": self.first_seen,
        }
        key = keys[order["field"]]
        if order["field"] in {"SEVERITY", "SCORE"}:
            rows.sort(
                key=lambda r: (
                    sign * key(r),
                    sign * r["f"]["id"],
                    r["cluster_id"],
                    r["p"]["id"],
                )
            )
        else:
            rows.sort(key=lambda r: (key(r), r["f"]["id"], r["p"]["id"]), reverse=down)
        return Page("Finding", rows, arguments)

    def asked(self, row: Row, given: Row) -> bool:
        if not mentioned(given, "status") and row["f"]["status"] not in OPEN:
            return False
        if not has(given, "state") and row["pc"]["live"] + row["pc"]["absent"] == 0:
            return False
        return self.holds(row, given)

    def holds(self, row: Row, given: Row) -> bool:
        return all(
            self.test(row, name, value) for name, value in given.items() if value is not None
        )

    def test(self, row: Row, name: str, value: Any) -> bool:
        f, p, pc = row["f"], row["p"], row["pc"]
        image = self.by_id["image"].get(pc["image_id"])
        subject = self.by_id["subject"][p["subject_id"]]
        cluster = self.by_id["cluster"][row["cluster_id"]]
        rank = SEVERITIES.index
        texts = {
            "source": p["source"],
            "rule": self.by_id["rule"][f["rule_id"]]["key"],
            "namespace": p["namespace"],
            "container": p["container"],
            "image": image["name"] if image else None,
            "package": f["package"],
        }
        tests: dict[str, Callable[[], Any]] = {
            "and": lambda: all(self.holds(row, each) for each in value),
            "or": lambda: any(self.holds(row, each) for each in value),
            "not": lambda: not self.holds(row, value),
            "category": lambda: f["category"] in value["in"],
            "status": lambda: f["status"] in value["in"],
            "severity": lambda: (
                f["severity"] in value.get("in", SEVERITIES)
                and rank(f["severity"]) >= rank(value.get("atLeast", "UNKNOWN"))
            ),
            "state": lambda: sum(pc[COUNTERS[state]] for state in value) > 0,
            "fixable": lambda: (f["fixed_version"] is not None) == value,
            "scoreAtLeast": lambda: f["score"] is not None and f["score"] >= value - 1e-6,
            "subject": lambda: (
                passes(subject["name"], value.get("name"))
                and passes(subject["kind"], value.get("kind"))
            ),
            "cluster": lambda: passes(cluster["name"], value.get("name")),
            "firstSeenAt": lambda: within(self.first_seen(row), value),
        }
        return bool(tests[name]()) if name in tests else passes(texts[name], value)

    def first_seen(self, row: Row) -> Any:
        keys = self.by_id["keyset"]

        def holds(sets: list[int]) -> bool:
            return any(row["f"]["key"] in keys[each]["keys"] for each in sets)

        times = [
            t["at"]
            for t in self.tables["transition"]
            if t["placement_id"] == row["p"]["id"] and not holds(t["before"]) and holds(t["after"])
        ]
        return max(times, default=row["pc"]["since"])

    def finding(self, row: Row, field: str, arguments: Row) -> Any:
        f, p, pc = row["f"], row["p"], row["pc"]
        package = {
            "name": f["package"],
            "installedVersion": f["installed_version"],
            "fixedVersion": f["fixed_version"],
        }
        image = self.by_id["image"].get(pc["image_id"])
        state = "LIVE" if pc["live"] else "ABSENT" if pc["absent"] else "SUPERSEDED"
        values: dict[str, Callable[[], Any]] = {
            "category": lambda: f["category"],
            "status": lambda: f["status"],
            "severity": lambda: f["severity"],
            "score": lambda: f["score"],
            "message": lambda: f["message"],
            "target": lambda: f["target"],
            "source": lambda: p["source"],
            "namespace": lambda: p["namespace"] or None,
            "container": lambda: p["container"] or None,
            "occurrences": lambda: sum(pc[COUNTERS[state]] for state in row["states"]),
            "state": lambda: state,
            "observedAt": lambda: stamp(pc["observed_at"]),
            "firstSeenAt": lambda: stamp(self.first_seen(row)),
            "rule": lambda: ("Rule", self.by_id["rule"][f["rule_id"]]),
            "cluster": lambda: ("Cluster", self.by_id["cluster"][row["cluster_id"]]),
            "subject": lambda: ("Subject", self.by_id["subject"][p["subject_id"]]),
            "image": lambda: ("Image", image) if image else None,
            "package": lambda: ("Plain", package) if f["package"] is not None else None,
        }
        del arguments
        return values[field]()

    @staticmethod
    def plain(row: Row, field: str, arguments: Row) -> Any:
        del arguments
        return row[field]

    # ------------------------------------------------------------ groups

    def groups(self, arguments: Row) -> "Page":
        rows = self.findings_page(self.findings, {"filter": arguments.get("filter")}).rows
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            key = tuple(self.dimension(row, name) for name in arguments["by"])
            found.setdefault(key, []).append(row)
        names = [CAMEL[name] for name in arguments["by"]]
        groups = [
            {
                **dict(zip(names, key, strict=True)),
                "findings": len(members),
                "occurrences": sum(sum(m["pc"][COUNTERS[s]] for s in m["states"]) for m in members),
                "clusters": len({m["cluster_id"] for m in members}),
                "subjects": (
                    "Plain",
                    {"value": len({m["p"]["subject_id"] for m in members}), "relation": "EXACT"},
                ),
            }
            for key, members in found.items()
        ]
        return Page("Plain", groups, arguments)

    def dimension(self, row: Row, name: str) -> Any:
        f, p = row["f"], row["p"]
        image = self.by_id["image"].get(row["pc"]["image_id"])
        subject = self.by_id["subject"][p["subject_id"]]
        return {
            "CLUSTER": self.by_id["cluster"][row["cluster_id"]]["name"],
            "NAMESPACE": p["namespace"] or None,
            "CATEGORY": f["category"],
            "SOURCE": p["source"],
            "SEVERITY": f["severity"],
            "STATUS": f["status"],
            "RULE": self.by_id["rule"][f["rule_id"]]["id"],
            "IMAGE": image["name"] if image else None,
            "PACKAGE": f["package"],
            "SUBJECT": subject["id"],
            "SUBJECT_KIND": subject["kind"],
            "CONTAINER": p["container"] or None,
        }[name]

    # ------------------------------------------------------------ other nouns

    def seen_clusters(self) -> list[Row]:
        clusters = self.scope.clusters
        rows = self.tables["cluster"]
        return [row for row in rows if clusters is None or row["id"] in clusters]

    def clusters_page(self, rows: list[Row], arguments: Row) -> "Page":
        return Page("Cluster", sorted(rows, key=lambda row: str(row["name"])), arguments)

    def open_findings(self) -> list[Row]:
        return [row for row in self.findings if self.asked(row, {})]

    def counts(self, rows: Iterable[Row]) -> tuple[str, Row]:
        found = [row["f"]["severity"] for row in rows]
        counts = {name.lower(): found.count(name) for name in SEVERITIES}
        return "Plain", {**counts, "total": len(found)}

    def cluster(self, row: Row, field: str, arguments: Row) -> Any:
        mine = [each for each in self.findings if each["cluster_id"] == row["id"]]
        if field == "findings":
            return self.findings_page(mine, arguments)
        if field == "severities":
            category = arguments.get("category")
            return self.counts(
                each
                for each in mine
                if self.asked(each, {"category": {"in": [category]}} if category else {})
            )
        if field == "images":
            images = [
                image
                for image in self.tables["image"]
                if any(u["cluster_id"] == row["id"] for u in self.image_uses(image))
            ]
            return Page("Image", sorted(images, key=lambda i: i["name"]), arguments)
        if field == "failedReports":
            return sum(
                1
                for each in self.tables["failed_report"]
                if each["cluster_id"] == row["id"] and self.sees(each)
            )
        return {"name": row["name"], "uid": row["uid"]}[field]

    def sees_subject(self, row: Row) -> bool:
        namespace = row["name"] if row["kind"] == "Namespace" else row["namespace"]
        return self.sees({**row, "namespace": namespace})

    def subject(self, row: Row, field: str, arguments: Row) -> Any:
        mine = [each for each in self.findings if each["p"]["subject_id"] == row["id"]]
        if field == "findings":
            return self.findings_page(mine, arguments)
        if field == "severities":
            return self.counts(each for each in mine if self.asked(each, {}))
        if field == "cluster":
            return "Cluster", self.by_id["cluster"][row["cluster_id"]]
        return {
            "name": row["name"],
            "kind": row["kind"],
            "namespace": row["namespace"] or None,
            "pods": row["pods"],
            "scanned": row["scanned"],
        }[field]

    def image_uses(self, row: Row) -> list[Row]:
        return [
            use
            for use in self.tables["image_usage"]
            if use["image_id"] == row["id"] and self.sees(use)
        ]

    def seen_images(self) -> list[Row]:
        return [image for image in self.tables["image"] if self.image_uses(image)]

    def image(self, row: Row, field: str, arguments: Row) -> Any:
        mine = [each for each in self.findings if each["pc"]["image_id"] == row["id"]]
        uses = self.image_uses(row)
        if field == "findings":
            return self.findings_page(mine, arguments)
        if field == "severities":
            return self.counts(each for each in mine if self.asked(each, {}))
        if field == "clusters":
            ids = {use["cluster_id"] for use in uses}
            return self.clusters_page([self.by_id["cluster"][each] for each in ids], arguments)
        return {
            "name": row["name"],
            "tag": row["tag"] or None,
            "clusterCount": len({use["cluster_id"] for use in uses}),
            "workloadCount": len({use["subject_id"] for use in uses}),
            "running": any(use["pods"] > 0 for use in uses),
            "scanned": any(use["reports"] > 0 for use in uses),
        }[field]

    def uses(self, rule: Row) -> list[Row]:
        return [row for row in self.findings if row["f"]["rule_id"] == rule["id"]]

    def rule(self, row: Row, field: str, arguments: Row) -> Any:
        found = [each for each in self.uses(row) if self.asked(each, {})]
        if field == "findings":
            return self.findings_page(self.uses(row), arguments)
        if field == "clusters":
            ids = {each["cluster_id"] for each in found}
            return self.clusters_page([self.by_id["cluster"][each] for each in ids], arguments)
        if field == "images":
            image_ids = {each["pc"]["image_id"] for each in found} - {None}
            images = [self.by_id["image"][each] for each in image_ids]
            return Page("Image", sorted(images, key=lambda i: i["name"]), arguments)
        fixed = {each["f"]["fixed_version"] for each in found} - {None}
        return {
            "key": row["key"],
            "category": row["category"],
            "title": row["title"],
            "score": row["score"],
            "links": row["links"],
            "findingCount": len(found),
            "clusterCount": len({each["cluster_id"] for each in found}),
            "fixedVersions": sorted(fixed),
        }[field]


CAMEL = {
    "CLUSTER": "cluster",
    "NAMESPACE": "namespace",
    "CATEGORY": "category",
    "SOURCE": "source",
    "SEVERITY": "severity",
    "STATUS": "status",
    "RULE": "rule",
    "IMAGE": "image",
    "PACKAGE": "package",
    "SUBJECT": "subject",
    "SUBJECT_KIND": "subjectKind",
    "CONTAINER": "container",
}


class Page:
    """All rows of a connection and how many are asked for."""

    def __init__(self, type_name: str, rows: list[Row], arguments: Row) -> None:
        self.type_name = type_name
        self.rows = rows
        self.first = arguments.get("first", 50)

    def answer(self, world: World, selection: Selection) -> Row:
        made: Row = {}
        page = self.rows[: self.first]
        for key, field, _, below in selection:
            if field == "nodes":
                made[key] = [world.object((self.type_name, row), below) for row in page]
            elif field == "totalCount":
                made[key] = len(self.rows)
            elif field == "pageInfo":
                more = len(self.rows) > self.first
                facts = {"hasNextPage": more, "hasPreviousPage": False}
                made[key] = {name: facts[each] for name, each, _, _ in below}
            elif field == "edges":
                made[key] = [
                    {
                        name: world.object((self.type_name, row), inner)
                        for name, _, _, inner in below
                    }
                    for row in page
                ]
        return made


def has(given: Any, name: str) -> bool:
    """Tell whether a filter says anything of an input, at any depth."""
    if isinstance(given, list):
        return any(has(each, name) for each in given)
    if not isinstance(given, dict):
        return False
    return any(
        (key == name and value is not None) or (key in {"and", "or", "not"} and has(value, name))
        for key, value in given.items()
    )


def mentioned(given: Any, name: str) -> list[str]:
    """Return what a filter asks for of an enum, at any depth."""
    if isinstance(given, list):
        return [value for each in given for value in mentioned(each, name)]
    if not isinstance(given, dict):
        return []
    found: list[str] = []
    for key, value in given.items():
        if value is None:
            continue
        if key == name:
            found += value["in"] if isinstance(value, dict) else value
        elif key in {"and", "or", "not"}:
            found += mentioned(value, name)
    return [*dict.fromkeys(found)]
