"""The floor of ingest: the rows that a fleet left behind, written again by bare `unnest` statements.

The rows of all tables are read first, then written to an empty database of the same schema, one
statement for so many rows of a table, tables in the order of their foreign keys. There is no
protocol, nothing is looked up and nothing counted: this is what the rows alone cost.
"""

import time
from collections.abc import Sequence
from graphlib import TopologicalSorter

from msgspec import Struct

from aggregator.store.pool import Connection

BATCH = 5_000  # rows of one statement, as many as entries in an ingest transaction
# What Alembic and a trigger of another table write.
PASSED_OVER = frozenset({"alembic_version", "cluster_severity_count"})

TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
REFERENCES = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid
"""
# Arrays, JSON and enums travel as text: unnest would flatten the first, asyncpg encodes none faster.
COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
    t.typcategory IN ('A', 'E') OR t.typname IN ('jsonb', 'xid8') AS as_text
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""


class Table(Struct):
    """A table with its rows as columns, cut in batches."""

    name: str
    insert: str
    batches: list[tuple[list[object], ...]]
    rows: int


async def read(connection: Connection) -> list[Table]:
    """Read all rows of all tables, in an order in which they can be written."""
    names = {row[0] for row in await connection.fetch(TABLES)} - PASSED_OVER
    references: dict[str, set[str]] = {name: set() for name in names}
    for table, referred in await connection.fetch(REFERENCES):
        if table in names:
            references[table].add(referred)
    tables = [await _read(connection, n) for n in TopologicalSorter(references).static_order()]
    return [table for table in tables if table.rows]


async def write(connection: Connection, tables: Sequence[Table]) -> float:
    """Write them; returns the seconds it took."""
    began = time.perf_counter()
    for table in tables:
        for batch in table.batches:
            await connection.execute(table.insert, *batch)
    return time.perf_counter() - began


async def _read(connection: Connection, name: str) -> Table:
    columns = await connection.fetch(COLUMNS, name)
    shown = [f'"{c["name"]}"' + ("::text" if c["as_text"] else "") for c in columns]
    rows = await connection.fetch(f"SELECT {', '.join(shown)} FROM {name}")
    batches = [
        tuple(list(column) for column in zip(*rows[n : n + BATCH], strict=True))
        for n in range(0, len(rows), BATCH)
    ]
    listed = ", ".join(f'"{c["name"]}"' for c in columns)
    taken = ", ".join(
        f'n."{c["name"]}"' + (f"::{c['type']}" if c["as_text"] else "") for c in columns
    )
    arrays = ", ".join(
        f"${n}::{'text' if c['as_text'] else c['type']}[]" for n, c in enumerate(columns, 1)
    )
    insert = (
        f"INSERT INTO {name} ({listed}) OVERRIDING SYSTEM VALUE"
        f" SELECT {taken} FROM unnest({arrays}) AS n ({listed})"
    )
    return Table(name, insert, batches, len(rows))
