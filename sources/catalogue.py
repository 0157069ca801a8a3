"""What a content adds to the catalogue of rules: each rule once, however often it was found.

One CVE stands in a report for every package that has it, with a title here and none there: the
first text that is not empty wins, and the worst severity and score.
"""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from sources.report import Rule
from sources.severity import worst

UNNAMED = "unknown"  # the key of a rule that its producer gave no name
LINK_CHARACTERS = 2_000  # of a link
LINKS = 8_192  # links that are known to be safe or not: those of a CVE stand in many contents


def catalogue(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Merge the rules of one content by key, in the order they are first met."""
    known: dict[str, Rule] = {}
    for rule in rules:
        first = known.setdefault(rule.key, rule)
        if first is not rule and first != rule:
            known[rule.key] = _merged(first, rule)
    return tuple(known.values())


def https_links(*links: str | None) -> tuple[str, ...]:
    """Keep the links that are safe to show: https, not too long, each once, in the order given."""
    short = (link for link in links if link and len(link) <= LINK_CHARACTERS)
    return tuple(dict.fromkeys(link for link in short if _is_https(link)))


@lru_cache(LINKS)
def _is_https(link: str) -> bool:
    if not link.startswith("https://") or not link.isprintable() or " " in link:
        return False
    try:
        return bool(urlsplit(link).hostname)
    except ValueError:  # such as an IPv6 address that does not end
        return False


def _merged(first: Rule, second: Rule) -> Rule:
    scores = [score for score in (first.score, second.score) if score is not None]
    return Rule(
        key=first.key,
        severity=worst(first.severity, second.severity),
        title=first.title or second.title,
        description=first.description or second.description,
        remediation=first.remediation or second.remediation,
        score=max(scores, default=None),
        links=first.links or second.links,
        published_at=first.published_at or second.published_at,
        modified_at=first.modified_at or second.modified_at,
    )
