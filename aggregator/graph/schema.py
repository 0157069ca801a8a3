"""The schema: Strawberry's, with every field checked to be mapped to SQL."""

from pathlib import Path

import strawberry
from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from aggregator.graph.cluster import Cluster
from aggregator.graph.event import RuntimeEvent
from aggregator.graph.finding import Finding
from aggregator.graph.image import Image
from aggregator.graph.mapping import Later
from aggregator.graph.mutation import Mutation
from aggregator.graph.query import Query
from aggregator.graph.report import Report
from aggregator.graph.rule import Rule
from aggregator.graph.scalars import SCALARS
from aggregator.graph.subject import Subject
from aggregator.graph.subscription import Subscription

SDL = Path(__file__).with_name("schema.graphql")


class UnmappedFieldError(Exception):
    """A field of an object type does not say how it is read from SQL."""


def build() -> strawberry.Schema:
    """Return the schema."""
    schema = strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        types=[Cluster, Finding, Rule, Subject, Image, Report, RuntimeEvent],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    _check_mapped(core(schema))
    return schema


def core(schema: strawberry.Schema) -> GraphQLSchema:
    """Return graphql-core's view of the schema."""
    return schema._schema  # noqa: SLF001 - Strawberry offers no other way to it


def _check_mapped(schema: GraphQLSchema) -> None:
    for name, type_ in schema.type_map.items():
        if not isinstance(type_, GraphQLObjectType) or name.startswith("__"):
            continue
        if type_ is schema.mutation_type or name.endswith("Payload"):
            continue
        for field_name, field in type_.fields.items():
            definition = field.extensions.get("strawberry-definition")
            mapping = definition.metadata.get("sql") if definition else None
            if mapping is None:
                raise UnmappedFieldError(f"{name}.{field_name} is not mapped to SQL.")
            if isinstance(mapping, Later):
                mapping.resolve()


if __name__ == "__main__":
    SDL.write_text(build().as_str() + "\n")
