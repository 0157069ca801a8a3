"""An error names what would have done."""

import pytest

from aggregator.graph import schema
from aggregator.graph.documents import Documents
from aggregator.graph.errors import InvalidError

DOCUMENTS = Documents(schema.core(schema.build()))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "{ findings(filter: {severity: {in: [SUPER]}}) { totalCount } }",
            "Severity is one of CRITICAL, HIGH, MEDIUM, LOW, INFO, UNKNOWN.",
        ),
        ("{ fleet { nothing } }", "Fleet has clusters, severities, reports, images, workloads."),
        (
            "{ findings(filter: {severity: {over: HIGH}}) { totalCount } }",
            "SeverityFilter has in, atLeast.",
        ),
        ("{ cluster(title: 1) { id } }", "cluster takes name."),
    ],
)
def test_what_is_allowed_is_said(query: str, says: str) -> None:
    with pytest.raises(InvalidError) as caught:
        DOCUMENTS.read(query)

    assert says in str(caught.value)
