"""A standby answers every query as its primary does."""

import msgspec

from aggregator.graph.endpoint import GraphQL, GraphQLRequest
from aggregator.store.embedded import EmbeddedPostgres
from aggregator.store.pool import open_pool
from aggregator.store.replica import Replica
from tests.aggregator.graph.conftest import KEY, Graph
from tests.aggregator.graph.test_golden import NAMES, QUERIES, header, principal_of
from tests.standby import caught_up


async def test_every_query_is_answered_alike(
    graph: Graph, postgres: EmbeddedPostgres, standby: EmbeddedPostgres, fleet_dsn: str
) -> None:
    await caught_up(postgres, standby)
    primary = await open_pool(fleet_dsn, size=2, statement_timeout=30.0)
    replica = Replica(primary, standby.dsn("fleet"), size=1, statement_timeout=30.0, most=60.0)
    async with replica:
        await replica.ready.wait()
        endpoint = GraphQL(primary, replica=replica, cursor_key=KEY)
        for name in [*NAMES, *NAMES]:  # the second time with plans that were kept
            text = (QUERIES / f"{name}.graphql").read_text()
            variables, principal = header(text, "variables"), principal_of(text)
            request = GraphQLRequest(text, variables)
            answer = await endpoint.execute(request, principal, older=True)

            assert answer.stand is not None, name  # else the primary has answered
            data = msgspec.json.decode(answer.body)["data"]
            assert data == await graph.ask(text, variables, principal=principal), name
    await primary.close()
