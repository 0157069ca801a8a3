"""Mutations change what is stored and answer with what is stored then."""

from typing import Any

import msgspec
import pytest

from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.store.pool import Pool
from tests.aggregator.graph.conftest import ADMIN, KEY


class Admin:
    """Asks as an admin of a database of the test's own."""

    def __init__(self, pool: Pool) -> None:
        self.endpoint = GraphQL(pool, cursor_key=KEY)

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        response = await self.endpoint.execute(GraphQLRequest(query, variables), ADMIN)
        return msgspec.json.decode(response.body)


@pytest.fixture
def admin(pool: Pool) -> Admin:
    """Return an admin."""
    return Admin(pool)


async def test_a_cluster_is_added_changed_and_removed(admin: Admin, pool: Pool) -> None:
    answer = await admin.ask(
        "mutation ($input: AddClusterInput!) { added: addCluster(input: $input)"
        " { __typename token cluster { name labels state findings { totalCount } } } }",
        {"input": {"name": "prod", "labels": {"env": "prod"}}},
    )
    added = answer["data"]["added"]
    assert added["__typename"] == "AddClusterPayload"
    assert added["token"]
    assert added["cluster"] == {
        "name": "prod",
        "labels": {"env": "prod"},
        "state": "NEVER_SEEN",
        "findings": {"totalCount": 0},
    }
    answer = await admin.ask(
        'mutation { updateCluster(name: "prod", labels: {env: "test"}, rename: "test")'
        ' { name labels } rebindCluster(name: "test") { name uid } }'
    )
    assert answer["data"] == {
        "updateCluster": {"name": "test", "labels": {"env": "test"}},
        "rebindCluster": {"name": "test", "uid": None},
    }
    answer = await admin.ask('mutation { removeCluster(name: "test") }')
    assert answer["data"] == {"removeCluster": True}
    answer = await admin.ask('{ cluster(name: "test") { id } }')
    assert answer["data"] == {"cluster": None}
    assert await pool.fetchval("SELECT removed_at IS NOT NULL FROM cluster")
    assert await pool.fetchval("SELECT count(*) FROM audit") == 4


async def test_a_token_is_made_and_revoked(admin: Admin, pool: Pool) -> None:
    answer = await admin.ask(
        "mutation ($input: CreateTokenInput!) { createToken(input: $input) { id token } }",
        {
            "input": {
                "name": "ci",
                "role": "VIEWER",
                "clusters": {"name": {"startsWith": "prod"}},
                "namespaces": ["web"],
                "expiresAt": "2999-01-01T00:00:00Z",
            }
        },
    )
    created = answer["data"]["createToken"]
    stored = await pool.fetchrow("SELECT * FROM credential")
    assert stored is not None
    assert (str(stored["id"]), stored["scope_namespaces"]) == (created["id"], ["web"])
    answer = await admin.ask("mutation ($id: ID!) { revokeToken(id: $id) }", {"id": created["id"]})
    assert answer["data"] == {"revokeToken": True}


async def test_a_refusal_has_its_code_and_path(admin: Admin) -> None:
    await admin.ask('mutation { addCluster(input: {name: "a"}) { token } }')
    for query, code in (
        ('mutation { x: addCluster(input: {name: "a"}) { token } }', "CONFLICT"),
        ('mutation { x: addCluster(input: {name: ""}) { token } }', "BAD_INPUT"),
        ('mutation { x: addCluster(input: {name: "b", labels: [1]}) { token } }', "BAD_INPUT"),
        ('mutation { x: removeCluster(name: "nowhere") }', "NOT_FOUND"),
        ('mutation { x: revokeToken(id: "nothing") }', "NOT_FOUND"),
    ):
        answer = await admin.ask(query)
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == code, query
        assert answer["errors"][0]["path"] == ["x"]
