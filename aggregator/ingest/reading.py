"""Reading a content: from compressed bytes that anyone may have sent to rows that are counted.

The hash is verified before anything is believed; sizes are bounded before anything is unpacked.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence

import zstandard

from aggregator.store.contents import Key, NewContent
from protocol.content import name as name_of
from protocol.messages import Content
from sources.registry import contents as content_kinds
from sources.report import OPEN, Category, Finding, Package, Reading, UnreadableError

logger = logging.getLogger(__name__)

CONTENT_BYTES = 32 * 2**20  # of a content's canonical form
FINDINGS = 100_000  # of one content
RULES = 20_000  # of one content
EQUAL_FINDINGS = 32_767  # of one key in one content, what Postgres's smallint counts
PACKAGES = 100_000  # of one content
KEY_CHARACTERS = 1_000  # of a rule's key, a package's name; Postgres indexes up to 2,700 bytes
COMPRESSION = 3  # zstd's level


class RefusedContentError(Exception):
    """A content that cannot be stored; the message says why."""


def read_all(contents: Sequence[Content]) -> list[NewContent | str]:
    """Read contents, each by itself: what it says, or the reason why it cannot be stored."""
    return [_read_or_reason(content) for content in contents]


def _read_or_reason(content: Content) -> NewContent | str:
    try:
        return read(content)
    except RefusedContentError as error:
        return str(error)
    except Exception:
        logger.exception("a content of kind %.100r could not be read", content.kind)
        return "the aggregator could not read the content; its log says why"


def read(content: Content) -> NewContent:
    """Verify, unpack and read a content. Raises `RefusedContentError`."""
    kind = content_kinds().get(content.kind)
    if kind is None:
        raise RefusedContentError(f"no reader for contents of kind {content.kind[:100]!r}")
    if content.format > kind.format:
        raise RefusedContentError(
            f"{content.kind} format {content.format} is newer than {kind.format}, "
            "the newest this aggregator reads; upgrade it"
        )
    body = unpack(content)
    if name_of(content.kind, content.format, body) != content.name:
        raise RefusedContentError("the content's bytes do not hash to its name")
    return rows(content, body)


def rows(content: Content, body: bytes) -> NewContent:
    """Read canonical bytes into rows. Raises `RefusedContentError`."""
    kind = content_kinds()[content.kind]
    try:
        reading = kind.read(body)
    except UnreadableError as error:
        raise RefusedContentError(str(error)) from error
    _check_limits(reading)
    findings, keys, ordinals = reading.findings, [], Counter[int]()
    records = []
    for finding in findings:
        key = finding_key(kind.category, finding)
        keys.append(Key(key, str(kind.category), finding.rule, finding.package, finding.target))
        records.append(_record(kind.category, finding, key, ordinals[key]))
        ordinals[key] += 1
        if ordinals[key] > EQUAL_FINDINGS:
            raise RefusedContentError(
                f"more than {EQUAL_FINDINGS:,} equal findings of {finding.rule[:100]!r}"
            )
    open_keys = tuple(
        sorted({k.key for k, f in zip(keys, findings, strict=True) if f.status in OPEN})
    )
    return NewContent(
        name=content.name,
        kind=content.kind,
        format=content.format,
        reader=kind.reader,
        body=content.body,
        size=len(body),
        os=reading.os,
        category=None if kind.category is None else str(kind.category),
        keyset=keyset_name(open_keys),
        open_keys=open_keys,
        keys=tuple(keys),
        rules=reading.rules,
        packages=tuple((package_name(package), package) for package in reading.packages),
        counts=dict(Counter((str(f.severity), str(f.status)) for f in findings)),
        findings=tuple(records),
    )


def finding_key(category: Category | None, finding: Finding) -> int:
    """64 bits, signed: category, rule, package without its version, target."""
    text = f"{category}\0{finding.rule}\0{finding.package or ''}\0{finding.target or ''}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def keyset_name(keys: tuple[int, ...]) -> bytes:
    """SHA-256 over sorted keys, 8 bytes each."""
    return hashlib.sha256(b"".join(key.to_bytes(8, signed=True) for key in keys)).digest()


def package_name(package: Package) -> bytes:
    """128 bits over everything that is known of a package."""
    parts = (
        package.name,
        package.version,
        package.type or "",
        package.purl or "",
        package.group or "",
        *package.licenses,
    )
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()


def unpack(content: Content) -> bytes:
    """Decompress at most CONTENT_BYTES, whatever the frame claims of itself."""
    if content.size > CONTENT_BYTES:
        raise RefusedContentError(
            f"the content has {content.size:,} bytes, the limit is {CONTENT_BYTES:,}"
        )
    reader = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(content.body)
    try:
        body = reader.read(content.size + 1)
    except zstandard.ZstdError as error:
        raise RefusedContentError(f"the content is not zstd: {error}") from error
    if len(body) != content.size:
        raise RefusedContentError(f"the content does not unpack to its {content.size:,} bytes")
    return body


def _check_limits(reading: Reading) -> None:
    for what, found, limit in (
        ("findings", len(reading.findings), FINDINGS),
        ("rules", len(reading.rules), RULES),
        ("packages", len(reading.packages), PACKAGES),
    ):
        if found > limit:
            raise RefusedContentError(f"{found:,} {what} in one content, the limit is {limit:,}")
    longest = max(
        (
            *(len(rule.key) for rule in reading.rules),
            *(len(finding.package or "") for finding in reading.findings),
            *(len(package.name) + len(package.version) for package in reading.packages),
        ),
        default=0,
    )
    if longest > KEY_CHARACTERS:
        raise RefusedContentError(
            f"a rule's key or a package's name has {longest:,} characters, "
            f"the limit is {KEY_CHARACTERS:,}"
        )


def _record(
    category: Category | None, finding: Finding, key: int, ordinal: int
) -> tuple[object, ...]:
    return (
        finding.rule,
        key,
        ordinal,
        str(category),
        str(finding.status),
        str(finding.severity),
        finding.score,
        finding.package,
        finding.installed_version,
        finding.fixed_version,
        finding.package_type,
        finding.purl,
        finding.package_path,
        finding.target,
        finding.message,
    )
