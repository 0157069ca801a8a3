"""Each query of queries/ has its SQL and its answer; UPDATE_GOLDEN=1 rewrites them: read the diff.

A query may begin with comments: `# variables: {…}` and `# scope: {"clusters": […], "namespaces": […]}`.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aggregator.access.principal import Principal
from tests.aggregator.graph.conftest import ADMIN, Graph, viewer

QUERIES = Path(__file__).with_name("queries")
NAMES = sorted(path.stem for path in QUERIES.glob("*.graphql"))
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))

# Aliases that the statement numbers belong to tables that carry the scope, or to shared ones.
SCOPED = {
    "cluster": "c",
    "subject": "s",
    "placement_content": "pc",
    "usage": "u",
    "image_usage": "iu",
    "severity_count": "sc",
    "failed_report": "fr",
    "sync_root": "k",
    "report": "rp",
    "runtime_event": "e",
    "runtime_event_hour": "e",
    "event_gap": "g",
    "transition": "tr",
}


def header(text: str, name: str) -> Any:
    match = re.search(rf"^# {name}: (.*)$", text, re.MULTILINE)
    return json.loads(match[1]) if match else None


def principal_of(text: str) -> Principal:
    scope = header(text, "scope")
    if scope is None:
        return ADMIN
    clusters, namespaces = scope.get("clusters"), scope.get("namespaces")
    return viewer(
        tuple(clusters) if clusters is not None else None,
        tuple(namespaces) if namespaces is not None else None,
    )


def pretty(sql: str) -> str:
    """Break the statement where clauses begin, indented by depth, to be read in a diff."""
    lines: list[str] = []
    depth, line = 0, ""
    for token in re.split(
        r"( (?:FROM|WHERE|ORDER BY|GROUP BY|CROSS JOIN|JOIN|LEFT JOIN|WITH) |\(|\))", sql
    ):
        if re.fullmatch(r" (FROM|WHERE|ORDER BY|GROUP BY|CROSS JOIN|JOIN|LEFT JOIN|WITH) ", token):
            lines.append("  " * depth + line.strip())
            line = token.strip() + " "
            continue
        depth += token.count("(") - token.count(")")
        line += token
    lines.append("  " * depth + line.strip())
    return "\n".join(lines) + "\n"


def limits(sql: str, column: str, type_: str) -> bool:
    """Tell whether a column must be one of a scope's values, or is each of them in turn."""
    array = rf"\$\d+::{type_}\[\]"
    walked = re.search(rf"\b{re.escape(column)} = (v\d+)\b", sql)
    return bool(
        re.search(rf"\b{re.escape(column)} = ANY\({array}\)", sql)
        or (walked and re.search(rf"\bunnest\({array}\) {walked[1]}\b", sql))
    )


def compare(path: Path, actual: str) -> None:
    if UPDATE:
        path.write_text(actual)
    assert path.exists(), f"{path.name} is missing: run with UPDATE_GOLDEN=1"
    assert actual == path.read_text()


@pytest.mark.parametrize("name", NAMES)
async def test_a_query_gives_its_sql_and_its_answer(graph: Graph, name: str) -> None:
    text = (QUERIES / f"{name}.graphql").read_text()
    data = await graph.ask(text, header(text, "variables"), principal=principal_of(text))
    compare(QUERIES / f"{name}.sql", pretty(graph.counter.statements[-1]))
    answer = re.sub(r'"[A-Za-z0-9+/=]{40,}"', '"…"', json.dumps(data, indent=1, ensure_ascii=False))
    compare(QUERIES / f"{name}.json", answer + "\n")


@pytest.mark.parametrize("name", NAMES)
async def test_a_query_carries_the_scope_wherever_a_table_does(graph: Graph, name: str) -> None:
    text = (QUERIES / f"{name}.graphql").read_text()
    request = header(text, "variables")
    await graph.ask(text, request, principal=viewer((1,), ("web",)))
    sql = graph.counter.statements[-1]
    for table, stem in SCOPED.items():
        for alias in re.findall(rf"\b{table} ({stem}\d+)\b", sql):
            column = "id" if table == "cluster" else "cluster_id"
            assert limits(sql, f"{alias}.{column}", "int"), (alias, sql)
    for alias in re.findall(
        r"\b(?:usage|image_usage|severity_count|failed_report|runtime_event|runtime_event_hour)"
        r" ((?:u|iu|sc|fr|e)\d+)\b",
        sql,
    ):
        assert limits(sql, f"{alias}.namespace", "text"), (alias, sql)
    assert "runtime_event_fleet" not in sql  # these hold what all clusters have
    for alias in re.findall(r"\bplacement (p\d+)\b", sql):
        assert limits(sql, f"{alias}.namespace", "text"), (alias, sql)


def test_every_query_has_its_files() -> None:
    assert NAMES
    stray = {path.stem for path in QUERIES.iterdir()} - set(NAMES)
    assert not stray
    for name in NAMES:
        answer = (QUERIES / f"{name}.json").read_bytes()
        assert msgspec.json.decode(answer) is not None
