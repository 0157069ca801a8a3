"""The peer: a receiver that inserts a row a request, and answers 200 after its commit.

python -m bench.event_peer DSN PORT
"""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

INSERT = """
INSERT INTO runtime_event (cluster_id, at, time, received_at, priority, rule, source, hostname,
    namespace, pod, container, output, tags, fields)
VALUES (1, $1, $1, $1, upper($2)::event_priority, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


async def take(request: Request) -> Response:
    """Insert one event."""
    event = json.loads(await request.body())
    fields = event["output_fields"]
    await request.app.state.pool.execute(
        INSERT,
        datetime.now(UTC),
        event["priority"],
        event["rule"],
        event["source"],
        event["hostname"],
        fields["k8s.ns.name"],
        fields["k8s.pod.name"],
        fields["container.name"],
        event["output"],
        event["tags"],
        json.dumps(fields),
    )
    return Response()


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the pool."""
    async with asyncpg.create_pool(sys.argv[1], min_size=4, max_size=16) as pool:
        app.state.pool = pool
        yield


if __name__ == "__main__":
    app = Starlette(routes=[Route("/", take, methods=["POST"])], lifespan=lifespan)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False, loop="uvloop")
