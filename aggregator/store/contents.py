"""Contents: written once, in batches, each with its findings, packages, rules and keyset.

Every table shared between clusters is written in the order of its key, and the tables always in
the order of `add`, so two replicas that bring the same new contents never wait for each other in
a circle.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from aggregator.store.columns import Columns, columns
from aggregator.store.pool import Connection
from sources.report import Package, Rule

FINDING_COLUMNS = (
    "content_id",
    "rule_id",
    "key",
    "ordinal",
    "category",
    "status",
    "severity",
    "score",
    "package",
    "installed_version",
    "fixed_version",
    "package_type",
    "purl",
    "package_path",
    "target",
    "message",
)


class Key(Struct, frozen=True):
    """What makes two findings the same over time; `key` is 64 bits, signed, over the others."""

    key: int
    category: str
    rule: str
    package: str | None
    target: str | None


class NewContent(Struct, frozen=True):
    """A content as it was read. Each of `findings` is (rule's key, then FINDING_COLUMNS[2:])."""

    name: bytes
    kind: str
    format: int
    reader: int
    body: bytes  # zstd
    size: int  # bytes of the canonical form
    os: str | None
    category: str | None
    keyset: bytes  # SHA-256 of open_keys
    open_keys: tuple[int, ...]  # sorted, distinct
    keys: tuple[Key, ...]
    rules: tuple[Rule, ...]
    packages: tuple[tuple[bytes, Package], ...]  # by digest
    counts: dict[tuple[str, str], int]  # (severity, status) → findings
    findings: tuple[tuple[Any, ...], ...]


KNOWN = "SELECT digest FROM content WHERE digest = ANY($1::bytea[])"

# Before anything points at them: what goes (unused_contents.py) or is read again leaves them be until
# the transaction ends.
HOLD = "SELECT digest FROM content WHERE digest = ANY($1::bytea[]) ORDER BY digest FOR SHARE"

# Whoever offers a content is about to use it. A mark that somebody holds is left to them, so that
# Offers never wait.
OFFERED = """
WITH known AS (SELECT id, digest FROM content WHERE digest = ANY($1::bytea[])),
wanted AS (
    DELETE FROM unused_content WHERE content_id IN (
        SELECT u.content_id FROM unused_content u JOIN known k ON k.id = u.content_id
        FOR UPDATE OF u SKIP LOCKED)
)
SELECT digest FROM known
"""

ADD_KEYSETS = """
INSERT INTO keyset (digest, keys)
SELECT n.digest, n.keys::bigint[]
FROM unnest($1::bytea[], $2::text[]) AS n (digest, keys)
WHERE NOT EXISTS (SELECT FROM keyset k WHERE k.digest = n.digest)
ORDER BY n.digest
ON CONFLICT (digest) DO NOTHING
"""

# Rules that are new, or that say something where the catalogue is silent.
ADD_RULES = """
INSERT INTO rule (category, key, severity, score, title, description, remediation, links,
                  published_at, modified_at)
SELECT n.category::finding_category, n.key, n.severity::severity, n.score, n.title, n.description,
       n.remediation, ARRAY(SELECT json_array_elements_text(n.links::json)),
       to_timestamp(n.published_at / 1000.0), to_timestamp(n.modified_at / 1000.0)
FROM unnest($1::text[], $2::text[], $3::text[], $4::real[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::bigint[], $10::bigint[])
     AS n (category, key, severity, score, title, description, remediation, links, published_at,
           modified_at)
LEFT JOIN rule r ON r.key = n.key AND r.category = n.category::finding_category
WHERE r.id IS NULL
   OR (r.title IS NULL AND n.title IS NOT NULL)
   OR (r.description IS NULL AND n.description IS NOT NULL)
   OR (r.remediation IS NULL AND n.remediation IS NOT NULL)
   OR (r.score IS NULL AND n.score IS NOT NULL)
   OR (r.severity = 'UNKNOWN' AND n.severity <> 'UNKNOWN')
   OR (r.links = '{}' AND n.links <> '[]')
   OR (r.published_at IS NULL AND n.published_at IS NOT NULL)
   OR (r.modified_at IS NULL AND n.modified_at IS NOT NULL)
ORDER BY n.key, n.category
ON CONFLICT (key, category) DO UPDATE SET
    severity = CASE WHEN rule.severity = 'UNKNOWN' THEN excluded.severity ELSE rule.severity END,
    score = coalesce(rule.score, excluded.score),
    title = coalesce(rule.title, excluded.title),
    description = coalesce(rule.description, excluded.description),
    remediation = coalesce(rule.remediation, excluded.remediation),
    links = CASE WHEN rule.links = '{}' THEN excluded.links ELSE rule.links END,
    published_at = coalesce(rule.published_at, excluded.published_at),
    modified_at = coalesce(rule.modified_at, excluded.modified_at)
"""

RULE_IDS = """
SELECT r.key, r.category::text, r.id
FROM unnest($1::text[], $2::text[]) AS n (category, key)
JOIN rule r ON r.key = n.key AND r.category = n.category::finding_category
"""

ADD_KEYS = """
INSERT INTO finding_key (key, category, rule, package, target)
SELECT n.key, n.category::finding_category, n.rule, n.package, n.target
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
     AS n (key, category, rule, package, target)
WHERE NOT EXISTS (SELECT FROM finding_key k WHERE k.key = n.key)
ORDER BY n.key
ON CONFLICT (key) DO NOTHING
"""

ADD_PACKAGES = """
INSERT INTO package (digest, name, version, type, purl, "group", licenses)
SELECT n.digest, n.name, n.version, n.type, n.purl, n."group",
       ARRAY(SELECT json_array_elements_text(n.licenses::json))
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
     AS n (digest, name, version, type, purl, "group", licenses)
WHERE NOT EXISTS (SELECT FROM package p WHERE p.digest = n.digest)
ORDER BY n.digest
ON CONFLICT (digest) DO NOTHING
"""

ADD_CONTENTS = """
INSERT INTO content (digest, kind, format, reader, body, bytes, keyset_id, os)
SELECT n.digest, n.kind, n.format, n.reader, n.body, n.bytes, k.id, n.os
FROM unnest($1::bytea[], $2::text[], $3::int[], $4::int[], $5::bytea[], $6::int[], $7::bytea[],
            $8::text[])
     AS n (digest, kind, format, reader, body, bytes, keyset, os)
JOIN keyset k ON k.digest = n.keyset
ORDER BY n.digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest, id
"""

ADD_COUNTS = """
INSERT INTO content_count (content_id, category, severity, status, findings)
SELECT n.content_id, n.category::finding_category, n.severity::severity,
       n.status::finding_status, n.findings
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::int[])
     AS n (content_id, category, severity, status, findings)
"""

ADD_CONTENT_PACKAGES = """
INSERT INTO content_package (content_id, package_id)
SELECT DISTINCT n.content_id, p.id
FROM unnest($1::bigint[], $2::bytea[]) AS n (content_id, digest)
JOIN package p ON p.digest = n.digest
"""


async def known(connection: Connection, names: Sequence[bytes]) -> set[bytes]:
    """Which of these contents are stored."""
    return {row[0] for row in await connection.fetch(KNOWN, names)}


async def hold(connection: Connection, names: Sequence[bytes]) -> set[bytes]:
    """Which of these contents are stored, and will be until the caller's transaction ends."""
    return {row[0] for row in await connection.fetch(HOLD, names)}


async def offered(connection: Connection, names: Sequence[bytes]) -> set[bytes]:
    """Which of these contents are stored; they count as wanted from now on."""
    return {row[0] for row in await connection.fetch(OFFERED, names)}


async def add(connection: Connection, contents: Iterable[NewContent]) -> dict[bytes, int]:
    """Store the contents that are not stored yet, inside the caller's transaction.

    Returns those, with how many rules each brought that the catalogue did not have.
    """
    by_name = {content.name: content for content in contents}
    if not by_name:
        return {}
    for name in await known(connection, list(by_name)):
        del by_name[name]
    if not by_name:
        return {}
    new = list(by_name.values())
    await write_keysets(connection, new)
    catalogue = await _rule_ids(connection, _rules_of(new))
    rule_ids = await write_rules(connection, new)
    await write_keys(connection, new)
    await write_packages(connection, new)
    ids = {row["digest"]: row["id"] for row in await connection.fetch(ADD_CONTENTS, *_rows(new))}
    new = [content for content in new if content.name in ids]
    await write_readings(connection, new, ids, rule_ids)
    return {content.name: _count_new_rules(content, catalogue) for content in new}


async def write_keysets(connection: Connection, contents: Sequence[NewContent]) -> None:
    """Store the sets of open keys."""
    keysets = {content.keyset: content.open_keys for content in contents}
    texts = [(digest, "{" + ",".join(map(str, keys)) + "}") for digest, keys in keysets.items()]
    await connection.execute(ADD_KEYSETS, *columns(texts, 2))


async def write_readings(
    connection: Connection,
    contents: Sequence[NewContent],
    ids: dict[bytes, int],
    rule_ids: dict[tuple[str, str], int],
) -> None:
    """Write counts, findings and packages of contents that have none stored."""
    await connection.execute(ADD_COUNTS, *_counts(contents, ids))
    await write_findings(connection, contents, ids, rule_ids)
    digests = [(ids[c.name], digest) for c in contents for digest, _ in c.packages]
    await connection.execute(ADD_CONTENT_PACKAGES, *columns(digests, 2))


async def write_rules(
    connection: Connection, contents: Sequence[NewContent]
) -> dict[tuple[str, str], int]:
    """Add to the catalogue. Returns (key, category) → id for the rules of these contents."""
    rules = _rules_of(contents)
    if not rules:
        return {}
    rows = [
        (
            category,
            key,
            str(rule.severity),
            rule.score,
            rule.title,
            rule.description,
            rule.remediation,
            msgspec.json.encode(rule.links).decode(),
            rule.published_at,
            rule.modified_at,
        )
        for (key, category), rule in rules.items()
    ]
    await connection.execute(ADD_RULES, *columns(rows, 10))
    return await _rule_ids(connection, rules)


async def write_keys(connection: Connection, contents: Sequence[NewContent]) -> None:
    """Remember what each key stands for."""
    keys = {key.key: key for content in contents for key in content.keys}
    rows = [(k.key, k.category, k.rule, k.package, k.target) for k in keys.values()]
    if rows:
        await connection.execute(ADD_KEYS, *columns(rows, 5))


async def write_findings(
    connection: Connection,
    contents: Sequence[NewContent],
    ids: dict[bytes, int],
    rule_ids: dict[tuple[str, str], int],
) -> None:
    """Copy the findings of contents that have none stored."""
    records = [
        (ids[content.name], rule_ids[finding[0], content.category or ""], *finding[1:])
        for content in contents
        for finding in content.findings
    ]
    if records:
        await connection.copy_records_to_table("finding", records=records, columns=FINDING_COLUMNS)


def _rules_of(contents: Iterable[NewContent]) -> dict[tuple[str, str], Rule]:
    """(key, category) → rule, the first that says something of it."""
    rules: dict[tuple[str, str], Rule] = {}
    for content in contents:
        for rule in content.rules:
            rules.setdefault((rule.key, content.category or ""), rule)
    return rules


async def _rule_ids(
    connection: Connection, rules: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    pairs = columns(((category, key) for key, category in rules), 2)
    found = await connection.fetch(RULE_IDS, *pairs)
    return {(key, category): rule_id for key, category, rule_id in found}


def _count_new_rules(content: NewContent, catalogue: dict[tuple[str, str], int]) -> int:
    """Count rules that were unknown; of contents that come together, each counts its own."""
    return sum((rule.key, content.category or "") not in catalogue for rule in content.rules)


def _rows(contents: Sequence[NewContent]) -> Columns:
    return columns(
        [(c.name, c.kind, c.format, c.reader, c.body, c.size, c.keyset, c.os) for c in contents],
        8,
    )


def _counts(contents: Sequence[NewContent], ids: dict[bytes, int]) -> Columns:
    rows = [
        (ids[content.name], content.category, severity, status, findings)
        for content in contents
        for (severity, status), findings in content.counts.items()
    ]
    return columns(rows, 5)


async def write_packages(connection: Connection, contents: Sequence[NewContent]) -> None:
    """Store the packages of bills of materials."""
    packages = {digest: package for c in contents for digest, package in c.packages}
    rows = [
        (
            digest,
            p.name,
            p.version,
            p.type,
            p.purl,
            p.group,
            msgspec.json.encode(p.licenses).decode(),
        )
        for digest, p in packages.items()
    ]
    if rows:
        await connection.execute(ADD_PACKAGES, *columns(rows, 7))
