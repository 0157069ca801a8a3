"""The ten operations as this bench asks them, and how the servers of both schemas are asked.

The questions are those that `finding_queries` asks about 100 million findings, but for the first:
it is the page of a hundred with fourteen fields that the goals of the GraphQL endpoint speak of.
"""

import asyncpg

from aggregator.store.pool import Pool
from bench.finding_queries import EVERYTHING, Question, questions
from bench.graphql_floor import QUERY

PAGE = 100  # findings of the first operation
CONNECTIONS = 8  # to Postgres, of each server; as many as clients ask

# The agents of the fleet fell silent an hour ago, so that no state changes while answers are compared.
SILENCE = "UPDATE agent_session SET last_seen_at = now() - interval '1 hour'"


async def operations(pool: Pool) -> dict[str, Question]:
    """Return the ten operations, about what is in the database."""
    asked = await questions(pool)
    return {**asked, "page by severity": Question(QUERY, ({"first": PAGE},))}


def slug(name: str) -> str:
    """Return what an operation's path ends with."""
    return name.replace(" ", "-")


def path(question: Question) -> str:
    """Return where a GraphQL server answers a question: a path stands for a token."""
    return "graphql" if question.principal is EVERYTHING else "scoped"


async def silence(dsn: str) -> None:
    """Prepare a filled database."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SILENCE)
    finally:
        await connection.close()
