"""Answers as rows."""

import pytest

from aggregator.cli.table import as_text, rows_of


def test_rows_are_the_nodes_of_the_first_connection() -> None:
    data = {
        "fleet": {"clusters": 1},
        "rule": {"findings": {"nodes": [{"severity": "HIGH", "rule": {"key": "CVE-1"}}]}},
        "clusters": {"nodes": [{"name": "other"}]},
    }

    assert rows_of(data) == [{"severity": "HIGH", "rule.key": "CVE-1"}]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ({"clusters": {"edges": [{"cursor": "x", "node": {"name": "a"}}]}}, [{"name": "a"}]),
        ({"clusters": {"nodes": []}}, []),
        ({"groups": [{"findings": 3}, {"findings": 2}]}, [{"findings": "3"}, {"findings": "2"}]),
        ({"fleet": {"clusters": 2, "x": None}}, [{"fleet.clusters": "2", "fleet.x": ""}]),
        ({"a": {"links": ["x", "y"], "labels": {}}}, [{"a.links": "x, y", "a.labels": "{}"}]),
        ({"a": {"b": [{"c": 1}]}}, [{"c": "1"}]),
        ({"a": {"nodes": [{"images": [{"n": 1}]}]}}, [{"images": '[{"n": 1}]'}]),
    ],
)
def test_what_becomes_a_row(data: dict[str, object], rows: list[dict[str, str]]) -> None:
    assert rows_of(data) == rows


def test_columns_line_up_and_control_characters_stay_away() -> None:
    rows = [{"a": "x", "b": "1"}, {"a": "long\x1b[31m\n", "c": "z"}]

    assert as_text(rows).splitlines() == [
        "A           B  C",
        "x           1",
        "long�[31m      z",
    ]
