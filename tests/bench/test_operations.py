"""The floor and the peer of the ten operations answer what our endpoint answers."""

import json
from typing import Any

from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.store.pool import Pool
from bench import (
    fleet,
    operations_by_hand,
    operations_node,
    operations_postgraphile,
    operations_strawberry,
)
from bench.finding_queries import KEY
from bench.operations import comparable
from bench.operations_questions import operations, silence

SIZE = 0.0005
EMPTY = {"filter without a match"}
VARIABLES = 12  # of an operation's; the names of all ten clusters, and images that are not there


def rows(value: Any) -> int:
    """Count the objects in an answer's lists."""
    if isinstance(value, list):
        return len(value) + sum(map(rows, value))
    return sum(map(rows, value.values())) if isinstance(value, dict) else 0


async def test_all_answer_the_same(pool: Pool, dsn: str) -> None:
    await fleet.load(dsn, size=SIZE)
    await silence(dsn)
    graph = GraphQL(pool, cursor_key=KEY)
    asked = await operations(pool)

    assert set(asked) == set(operations_by_hand.ANSWERS) == set(operations_postgraphile.QUERIES)
    for name, question in asked.items():
        scope = question.principal.scope
        by_hand = operations_by_hand.variables(name, question)[:VARIABLES]
        for variables, given in zip(question.variables, by_hand, strict=False):
            request = GraphQLRequest(question.query, variables)
            response = await graph.execute(request, question.principal)
            ours = comparable(json.loads(response.body))
            hand = await operations_by_hand.answer(
                pool, name, json.dumps(given).encode(), scope.clusters or ()
            )
            body = json.dumps({"query": question.query, "variables": variables}).encode()
            peer = await operations_strawberry.answer(pool, body, scope)

            assert comparable(json.loads(hand)) == ours, name
            assert comparable(json.loads(peer)) == ours, name
            first = variables == question.variables[0]
            assert not first or name in EMPTY or name == "small single object" or rows(ours), name


async def test_the_scoped_user_sees_one_of_few_clusters(pool: Pool, dsn: str) -> None:
    await fleet.load(dsn, size=SIZE)
    question = (await operations(pool))["scoped user"]

    response = await GraphQL(pool, cursor_key=KEY).execute(
        GraphQLRequest(question.query), question.principal
    )

    nodes = json.loads(response.body)["data"]["findings"]["nodes"]
    assert {node["cluster"]["name"] for node in nodes} == {"cluster-8"}


async def test_the_views_for_postgraphile_can_be_made(pool: Pool) -> None:
    await pool.execute((operations_node.SOURCES / "views.sql").read_text())

    assert await pool.fetchval("SELECT count(*) FROM peer.finding") == 0


def test_answers_of_postgraphile_are_brought_into_our_shape() -> None:
    finding = {"key": "a", "package": "p", "installedVersion": "1", "fixedVersion": None}
    severities = {"critical": "3", "high": "0"}
    subject = {"severities": severities, "findings": {"nodes": [finding]}}
    body = json.dumps({"data": {"cluster": {"subjects": {"nodes": [subject]}}}}).encode()

    shaped = operations_postgraphile.answered("subject with findings", body)

    package = {"name": "p", "installedVersion": "1", "fixedVersion": None}
    nodes = [{"key": "a", "package": package}]
    assert shaped == {
        "data": {
            "subjects": {
                "nodes": [{"severities": {"critical": 3, "high": 0}, "findings": {"nodes": nodes}}]
            }
        }
    }


def test_the_lock_of_postgraphile_names_no_registry() -> None:
    assert "resolved" not in (operations_node.SOURCES / "package-lock.json").read_text()
