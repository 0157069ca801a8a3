"""Rows of an export as bytes: lines of JSON, or CSV with a column a field."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from aggregator.graph.errors import GraphError
from aggregator.graph.selection import Selected, Selection

NDJSON, CSV = "application/x-ndjson", "text/csv"
FORMATS = (NDJSON, "application/ndjson", "application/jsonl", CSV)
# A spreadsheet takes a cell that begins so for a formula, and all text comes from clusters.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Writer(Protocol):
    """Writes rows in a format."""

    media_type: str

    def begin(self) -> bytes:
        """Return what comes before the rows."""

    def write(self, rows: Sequence[msgspec.Raw]) -> bytes:
        """Return rows."""

    def fail(self, error: GraphError) -> bytes:
        """Return what tells that rows are missing, or raise what ends the response in the middle."""


class JsonLines:
    """A row's JSON a line."""

    media_type = NDJSON

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def write(self, rows: Sequence[msgspec.Raw]) -> bytes:
        """Return a line a row."""
        # Postgres breaks lines between objects; within texts they are written as \\n.
        return b"".join(bytes(row).replace(b"\n", b"") + b"\n" for row in rows)

    def fail(self, error: GraphError) -> bytes:
        """Return the error as the last line."""
        return msgspec.json.encode({"errors": [error.entry()]}) + b"\n"


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a row, by the response names that lead to it."""

    name: str
    path: tuple[str, ...]

    def cell(self, row: Any) -> str:
        """Return the field's text: empty for null, JSON for what is neither text, number nor such a list."""
        for key in self.path:
            row = row.get(key) if row is not None else None
        return _cell(row)


class Csv:
    """CSV as RFC 4180 has it, in UTF-8."""

    media_type = f"{CSV}; charset=utf-8; header=present"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def begin(self) -> bytes:
        """Return the header."""
        return _lines([[column.name for column in self._columns]])

    def write(self, rows: Sequence[msgspec.Raw]) -> bytes:
        """Return a line a row."""
        read = (msgspec.json.decode(row) for row in rows)
        return _lines([[column.cell(row) for column in self._columns] for row in read])

    def fail(self, error: GraphError) -> bytes:
        """Raise it: a table has no place for errors."""
        raise error


def wanted(accept: str) -> str | None:
    """Return the format of rows that a client asks for before any other; None for an answer."""
    names = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    found = next((name for name in names if name not in {"*/*", ""}), "")
    return found if found in FORMATS else None


async def written(
    writer: Writer, first: list[msgspec.Raw], pages: AsyncIterator[list[msgspec.Raw]]
) -> AsyncIterator[bytes]:
    """Yield the rows as bytes, a page at a time."""
    yield writer.begin() + await asyncio.to_thread(writer.write, first)
    try:
        async for page in pages:
            yield await asyncio.to_thread(writer.write, page)
    except GraphError as error:
        yield writer.fail(error)


def writer(name: str, selection: Selection, rows: Selected) -> Writer:
    """Return what writes the rows of a field in a format of `wanted`."""
    if name == CSV:
        return Csv([*columns(selection, rows)])
    return JsonLines()


def columns(selection: Selection, field: Selected, path: tuple[str, ...] = ()) -> Iterator[Column]:
    """Yield the columns below a field, in the order of the selection."""
    for each in selection.fields(field.type_name, field.sets, field.path):
        below = (*path, each.key)
        if each.sets and not each.is_list and not each.type_name.endswith("Connection"):
            yield from columns(selection, each, below)
        else:
            yield Column(".".join(below), below)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _cell(", ".join(value))
    return msgspec.json.encode(value).decode()


def _lines(rows: list[list[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()
