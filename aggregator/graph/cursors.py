"""Cursors: where a page ended, signed so that only what this server gave out comes back.

A cursor is base64(MAC[:16] + JSON array of the row's order terms as text). The MAC's key is derived
from the server's secret and the question (order, filter, scope), so a cursor fits no other
question. Postgres signs, with the derived key as a parameter: the page needs no second pass in
Python. Cut to half its length, SHA-256 of key and message cannot be extended; it is nested as well.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aggregator.access.principal import Scope
from aggregator.graph.arguments import Given, Tree
from aggregator.graph.errors import BAD_INPUT, GraphError
from aggregator.graph.statement import Bindings, Read

MAC_BYTES = 16


def key_for(question: str, trees: Sequence[Tree], *, lasting: bool = False) -> Read:
    """Return how to derive the key for a question: its fixed part and its given values.

    A lasting key knows of the clusters in scope only whether they are limited: those of a scope by
    labels come and go, and who follows events for weeks must not lose its place by that.
    """
    reads: list[Read] = []
    fixed = question + "|" + "|".join(_structure(tree, reads) for tree in trees)

    def read(bindings: Bindings) -> bytes:
        memo = bindings.memo.get(fixed)
        if memo is None:
            scope = bindings.scope
            if lasting and scope.clusters is not None:
                scope = Scope(clusters=(), namespaces=scope.namespaces)
            values = [repr(each(bindings)) for each in reads]
            message = repr((fixed, values, scope.clusters, scope.namespaces))
            memo = hmac.digest(bindings.cursor_key, message.encode(), "sha256")
            bindings.memo[fixed] = memo
        return memo

    return read


def _structure(tree: Tree, reads: list[Read]) -> str:
    if isinstance(tree, Given):
        reads.append(tree.read)
        return "?"
    if isinstance(tree, dict):
        return "{" + ",".join(f"{k}:{_structure(v, reads)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(_structure(item, reads) for item in tree) + "]"
    return "null"


def _mac(key: bytes, payload: bytes) -> bytes:
    inner = hashlib.sha256(key + payload).digest()
    return hashlib.sha256(key + inner).digest()[:MAC_BYTES]


@dataclass(frozen=True, slots=True)
class After:
    """The cursor of a request."""

    cursor: Given
    key: Read
    path: tuple[str, ...]

    def term(self, index: int) -> Read:
        """Return how to read one order term of the row that the cursor stands for."""
        return lambda bindings: self.terms(bindings)[index]

    def terms(self, bindings: Bindings) -> list[Any]:
        """Return all terms of the row that the cursor stands for."""
        cursor = self.cursor.read(bindings)
        memo: list[Any] | None = bindings.memo.get((self, cursor))
        if memo is None:
            memo = bindings.memo[self, cursor] = self._decode(cursor, self.key(bindings))
        return memo

    def _decode(self, cursor: str, key: bytes) -> list[Any]:
        try:
            data = base64.b64decode(cursor.encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            data = b""
        mac, payload = data[:MAC_BYTES], data[MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(key, payload)):
            raise GraphError(
                BAD_INPUT,
                "`after` is not a cursor of this question: it must come from an answer with the"
                " same filter, order and token.",
                path=self.path,
            )
        terms: list[Any] = msgspec.json.decode(payload)
        return terms


def sql(key: str, terms: Sequence[str]) -> str:
    """Return the SQL for a row's cursor; `key` is the parameter with the derived key."""
    payload = (
        f"convert_to(json_build_array({', '.join(f'({t})::text' for t in terms)})::text, 'UTF8')"
    )
    return (
        f"(SELECT translate(encode(substring(sha256({key} || sha256({key} || b)) FOR {MAC_BYTES})"
        f" || b, 'base64'), E'\\n', '') FROM (SELECT {payload} AS b OFFSET 0) cursor)"
    )
