import pytest

from sources import registry
from sources.report import Source
from tests.sources import samples


def test_every_kind_finds_its_source() -> None:
    kind, source = registry.kinds()["wgpolicyk8s.io", "PolicyReport"]
    assert (kind.plural, source.name) == ("policyreports", "policy-report")


def test_every_content_that_is_written_can_be_read() -> None:
    for obj in samples.every_sample().values():
        for part in samples.split(obj):
            content = registry.contents()[part.content_kind]
            assert part.format == content.format
            content.read(part.content)


@pytest.mark.parametrize("claimed", ["kinds", "contents"])
def test_two_sources_may_not_claim_the_same(claimed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = registry.all_sources()[0]
    twin = Source(name="twin", kinds=source.kinds, contents=source.contents, split=lambda _obj: [])
    monkeypatch.setattr(registry, "all_sources", lambda: (source, twin))
    uncached = getattr(registry, claimed).__wrapped__
    with pytest.raises(ValueError, match="two sources"):
        uncached()
