"""Reading contents that anyone may have sent."""

import zlib

import pytest
import zstandard

from aggregator.ingest import reading
from aggregator.ingest.reading import RefusedContentError, read
from protocol.content import name as name_of
from protocol.messages import Content
from sources import canonical

KIND = "vulnerabilities"
BODY = canonical.encode(
    {
        "vulnerabilities": [
            {"vulnerabilityID": "CVE-1", "severity": "HIGH", "resource": "openssl"},
            {"vulnerabilityID": "CVE-1", "severity": "HIGH", "resource": "openssl"},
            {"vulnerabilityID": "CVE-2", "severity": "LOW", "resource": "zlib"},
        ]
    }
)


def packed(body: bytes, kind: str = KIND, *, name: bytes | None = None) -> Content:
    compressed = zstandard.ZstdCompressor().compress(body)
    return Content(name or name_of(kind, 1, body), kind, 1, len(body), compressed)


def test_a_content_becomes_rows() -> None:
    found = read(packed(BODY))

    assert [finding[0] for finding in found.findings] == ["CVE-1", "CVE-1", "CVE-2"]
    assert [finding[2] for finding in found.findings] == [0, 1, 0]  # ordinals among equals
    assert found.counts == {("HIGH", "FAIL"): 2, ("LOW", "FAIL"): 1}
    assert len(found.open_keys) == 2
    assert list(found.open_keys) == sorted(found.open_keys)


def test_a_false_name_is_refused() -> None:
    with pytest.raises(RefusedContentError, match="do not hash to its name"):
        read(packed(BODY, name=b"x" * 32))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(200 * 2**20))
    claimed_small = Content(b"x" * 32, KIND, 1, 100, bomb)
    claimed_large = Content(b"x" * 32, KIND, 1, 200 * 2**20, bomb)

    with pytest.raises(RefusedContentError, match="does not unpack to its 100 bytes"):
        read(claimed_small)
    with pytest.raises(RefusedContentError, match="the limit is"):
        read(claimed_large)


@pytest.mark.parametrize("body", [b"", b"no zstd", zlib.compress(BODY)])
def test_what_is_not_zstd_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedContentError, match=r"zstd|unpack"):
        read(Content(b"x" * 32, KIND, 1, len(BODY), body))


def test_unknown_kinds_and_newer_formats_are_refused_with_what_to_do() -> None:
    with pytest.raises(RefusedContentError, match="no reader"):
        read(packed(BODY, "nonsense"))
    newer = Content(b"x" * 32, KIND, 99, 1, b"")
    with pytest.raises(RefusedContentError, match="upgrade"):
        read(newer)


def test_a_flood_of_rules_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RULES", 1)

    with pytest.raises(RefusedContentError, match="2 rules in one content, the limit is 1"):
        read(packed(BODY))


def test_too_long_keys_are_refused() -> None:
    body = canonical.encode(
        {"vulnerabilities": [{"vulnerabilityID": "C" * 5_000, "severity": "LOW", "resource": "r"}]}
    )

    with pytest.raises(RefusedContentError, match="5,000 characters"):
        read(packed(body))
