"""The guide and the page of limits say what the code does."""

import re
from pathlib import Path

import msgspec
import pytest

from aggregator.graph import errors, limits
from tests.aggregator.graph.conftest import Graph

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "graphql.md").read_text()
LIMITS = (DOCS / "graphql-limits.md").read_text()
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
