import pytest

from sources.catalogue import catalogue, https_links
from sources.report import Rule, Severity


def test_a_rule_stands_once_with_the_first_text_that_is_not_empty() -> None:
    rules = [
        Rule("a", Severity.LOW, description="first", links=("https://one",)),
        Rule("b"),
        Rule("a", Severity.HIGH, title="title", description="second", score=5.0, published_at=1),
        Rule("a", Severity.MEDIUM, score=7.0, links=("https://two",), published_at=2),
    ]
    assert catalogue(rules) == (
        Rule(
            "a",
            Severity.HIGH,
            title="title",
            description="first",
            score=7.0,
            links=("https://one",),
            published_at=1,
        ),
        Rule("b"),
    )


@pytest.mark.parametrize(
    "link",
    [
        "http://example.com",
        "javascript:alert(1)",
        "https://",
        "https://[",
        "https://a b",
        "https://a\nb",
        "https://a\0",
        "",
        None,
    ],
)
def test_links_that_are_not_safe_to_show(link: str | None) -> None:
    assert https_links("https://example.com/a", link, "https://example.com/a") == (
        "https://example.com/a",
    )
