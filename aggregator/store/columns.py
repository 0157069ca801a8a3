"""Rows as Postgres takes them in one statement: an array a column, for `unnest`."""

from collections.abc import Iterable
from typing import Any

Columns = list[list[Any]]


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> Columns:
    """Turn rows of `width` values into `width` lists."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned or [[] for _ in range(width)]


def signed(number: int) -> int:
    """An unsigned 64-bit number as Postgres's bigint holds it."""
    return number - 2**64 if number >= 2**63 else number


def unsigned(number: int) -> int:
    """Undo `signed`."""
    return number + 2**64 if number < 0 else number
