"""Variables of `fleetwatch query`, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aggregator.cli import main
from aggregator.cli.client import AnswerError, Client
from aggregator.cli.query import read_variables

QUERY = "query ($name: String!, $first: Int, $in: [String!], $id: ID, $filter: FindingFilter) { x }"


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("name=CVE-2021-44228", "CVE-2021-44228"),
        ("name=1.10", "1.10"),
        ("name=true", "true"),
        ("name=", ""),
        ('name="quoted"', "quoted"),
        ("name=a=b", "a=b"),
        ("name=null", None),
        ("id=123", "123"),
        ("first=10", 10),
        ('in=["a","b"]', ["a", "b"]),
        ('filter={"severity":{"in":["HIGH"]}}', {"severity": {"in": ["HIGH"]}}),
        ("other=text", "text"),
    ],
)
def test_variables(item: str, value: Any) -> None:
    [read] = read_variables((item,), QUERY).values()

    assert read == value


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Answer every question with two nodes, or with an error where it says so."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def answer(_: Client, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        asked.append((query, variables))
        if "bad" in query:
            raise AnswerError(
                {
                    "data": None,
                    "errors": [
                        {
                            "message": "no such field",
                            "path": ["fleet", "bad"],
                            "locations": [{"line": 1, "column": 9}],
                        }
                    ],
                }
            )
        return {"data": {"clusters": {"nodes": [{"name": "a"}, {"name": "b"}]}}}

    monkeypatch.setattr(Client, "answer", answer)
    monkeypatch.setenv("FLEETWATCH_URL", "https://fleetwatch.example")
    monkeypatch.setenv("FLEETWATCH_TOKEN", "fw_x")
    return asked


@pytest.mark.parametrize(
    ("style", "output"),
    [
        ("json", '{"data": {"clusters": {"nodes": [{"name": "a"}, {"name": "b"}]}}}'),
        ("table", "NAME\na\nb\n"),
    ],
)
@pytest.mark.usefixtures("answered")
def test_formats(style: str, output: str) -> None:
    result = CliRunner().invoke(main, ["query", "{ x }", "--format", style])

    assert result.exit_code == 0
    if style == "json":
        assert json.loads(result.output) == json.loads(output)
    else:
        assert result.output == output


def test_the_query_may_come_from_a_file_or_standard_input(
    answered: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "q.graphql"
    file.write_text("query ($n: Int) { x }")

    CliRunner().invoke(main, ["query", "-f", str(file), "--var", "n=1"])
    CliRunner().invoke(main, ["query", "-f", "-"], input="{ y }")

    assert answered == [("query ($n: Int) { x }", {"n": 1}), ("{ y }", {})]


@pytest.mark.usefixtures("answered")
def test_errors_end_with_one() -> None:
    result = CliRunner().invoke(main, ["query", "{ bad }"])

    assert result.exit_code == 1
    assert json.loads(result.stdout)["data"] is None
    assert result.stderr == "Error: fleet.bad: no such field (line 1, column 9)\n"


@pytest.mark.parametrize("arguments", [[], ["{ x }", "-f", "-"], ["{ x }", "--var", "novalue"]])
@pytest.mark.usefixtures("answered")
def test_wrong_use_ends_with_two(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["query", *arguments]).exit_code == 2
