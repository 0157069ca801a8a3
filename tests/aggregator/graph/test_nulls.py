"""The compiler skips graphql-core's check that a non-null field has a value: it must hold by design."""

import re

import asyncpg
from graphql import GraphQLNonNull, GraphQLObjectType

from aggregator.graph import schema
from aggregator.graph.mapping import Column, Inline, One

TABLES = {
    "c": "cluster",
    "ses": "agent_session",
    "s": "subject",
    "r": "rule",
    "i": "image",
    "pk": "package",
    "rp": "report",
    "p": "placement",
    "pc": "placement_content",
    "f": "finding",
    "fr": "failed_report",
    "k": "sync_root",
    "e": "runtime_event",
}
GUARDED = {"FindingPackage.name"}  # the object is null where its column is
COUNTED = {"n", "g"}  # sums and counts made by the compiler, coalesced where they are made


def expressions(sql: str) -> list[tuple[str, str]]:
    """Return the columns whose null would make the expression null."""
    if (
        re.match(r"(CASE|EXISTS|coalesce|\(SELECT count|split_part)", sql)
        and "ELSE" in sql + " ELSE"
    ):
        return []
    return re.findall(r"\{(\w+)\.(\w+)\}", sql.split("CASE WHEN", maxsplit=1)[0])


async def test_every_non_null_field_is_of_columns_that_are_never_null(fleet_dsn: str) -> None:
    connection = await asyncpg.connect(fleet_dsn)
    nullable = {
        (row["table_name"], row["column_name"])
        for row in await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND is_nullable = 'YES'"
        )
    }
    await connection.close()
    seen = 0
    for name, type_ in schema.core(schema.build()).type_map.items():
        if not isinstance(type_, GraphQLObjectType) or name.startswith("__"):
            continue
        for field_name, field in type_.fields.items():
            mapping = field.extensions["strawberry-definition"].metadata.get("sql")
            place = f"{name}.{field_name}"
            if not isinstance(field.type, GraphQLNonNull) or mapping is None:
                continue
            if isinstance(mapping, Inline):
                assert mapping.when is None, place
            elif isinstance(mapping, Column):
                assert not mapping.sql.startswith("nullif"), place
                found = expressions(mapping.sql)
            elif isinstance(mapping, One):
                found = re.findall(r"\{up\[(\w+)\]\.(\w+)\}", mapping.link)
                assert found, place
            else:
                continue
            for stem, column in found if not isinstance(mapping, Inline) else []:
                seen += 1
                assert (
                    stem in COUNTED or place in GUARDED or (TABLES[stem], column) not in nullable
                ), place
    assert seen > 50
