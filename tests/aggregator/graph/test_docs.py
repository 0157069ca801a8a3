"""The guide and the page of limits say what the code does."""

import json
import os
import re
from pathlib import Path

import msgspec
import pytest

from aggregator.graph import errors, limits
from tests.aggregator.graph.conftest import Graph

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "graphql.md").read_text()
LIMITS = (DOCS / "graphql-limits.md").read_text()
QUESTIONS = DOCS / "graphql-questions.md"
ASKED = re.compile(r"```graphql\n(.*?)```\n\n```json\n(.*?)```", re.DOTALL)
SAMPLES = re.findall(r"```graphql\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("name", [name for name in dir(limits) if name.isupper()])
def test_every_limit_stands_in_the_page_with_its_value(name: str) -> None:
    value = getattr(limits, name)
    if isinstance(value, tuple):
        for each in value:
            assert re.search(rf"\b{each:,}\b", LIMITS)
        return
    assert re.search(rf"^\| `{name}` \| {value:,.15g} \|", LIMITS, re.MULTILINE)


@pytest.mark.parametrize("code", errors.CODES)
def test_every_code_is_explained(code: str) -> None:
    assert re.search(rf"^\| {code} \|", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("sample", SAMPLES)
async def test_every_sample_runs(graph: Graph, sample: str) -> None:
    if sample.startswith("mutation"):
        graph.endpoint._documents.read(sample)
        return
    response = await graph.execute(sample)
    answer = msgspec.json.decode(response.body)
    assert "errors" not in answer
    assert all(value for value in answer["data"].values())


async def test_every_question_has_its_answer(graph: Graph) -> None:
    page = QUESTIONS.read_text()
    answers = {}
    for question, _ in ASKED.findall(page):
        data = await graph.ask(question)
        assert all(data.values()), question
        answers[question] = _short(data)

    def answered(found: re.Match[str]) -> str:
        return f"```graphql\n{found[1]}```\n\n```json\n{answers[found[1]]}\n```"

    expected = ASKED.sub(answered, page)
    if os.environ.get("UPDATE_GOLDEN"):
        QUESTIONS.write_text(expected)
    assert page.count("```graphql") == len(answers)
    assert page == expected, "run with UPDATE_GOLDEN=1 and read the diff"


def _short(value: object, indent: str = "", width: int = 100) -> str:
    """Return JSON with a line for what fits into one, and no more spaces than it takes to read it."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= width or not isinstance(value, dict | list):
        return line
    below = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(k)}: {_short(v, below, width)}" for k, v in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [_short(each, below, width) for each in value]
        opening, closing = "[", "]"
    inner = f",\n{below}".join(parts)
    return f"{opening}\n{below}{inner}\n{indent}{closing}"
