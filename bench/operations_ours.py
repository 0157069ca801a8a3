"""Our endpoint behind Starlette; `/scoped` is what the token of the scoped user sees."""

import contextlib
import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator.graph.endpoint import GraphQL
from aggregator.store.pool import open_pool
from bench.finding_queries import KEY
from bench.operations_questions import CONNECTIONS, operations, path


def app() -> Starlette:
    """Return the app; uvicorn's factory."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.pool = await open_pool(
            os.environ["DATABASE_URL"],
            size=CONNECTIONS,
            statement_timeout=10,
            application="ours",
            stateless=True,  # as the aggregator's own
        )
        app.state.graphql = GraphQL(app.state.pool, cursor_key=KEY)
        asked = await operations(app.state.pool)
        app.state.principals = {f"/{path(one)}": one.principal for one in asked.values()}
        yield
        await app.state.pool.close()

    async def answer(request: Request) -> Response:
        state = request.app.state
        request.state.principal = state.principals[request.scope["path"]]
        response: Response = await state.graphql.handle(request)
        return response

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/graphql", answer, methods=["POST"]),
            Route("/scoped", answer, methods=["POST"]),
        ],
    )
