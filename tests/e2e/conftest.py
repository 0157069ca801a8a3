"""A whole aggregator on a loopback port, over a database of the test's own."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from agent.push import Outcome, push
from agent.settings import Settings as AgentSettings
from aggregator.access import administration
from aggregator.access.principal import Principal, Role
from aggregator.app import Application, create_app
from aggregator.cli.server import bind, bound_address, serving
from aggregator.settings import Address, Settings
from aggregator.store.pool import Pool

OWNER = Principal("00000000-0000-0000-0000-000000000000", "test", Role.ADMIN)


class Aggregator(Struct):
    """A running aggregator and an administrator's token for it."""

    url: str
    token: str
    app: Application
    home: Path

    @property
    def pool(self) -> Pool:
        """Its connections."""
        return self.app.pool

    async def query(self, query: str, **variables: Any) -> Any:
        """Ask, and expect an answer."""
        async with httpx.AsyncClient() as client:
            response = await client.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                headers={"Authorization": f"Bearer {self.token}"},
            )
        body = response.json()
        assert "errors" not in body, body
        return body["data"]

    async def push(self, cluster: str, *paths: Path, add: bool = False) -> Outcome:
        """Push files as the command does."""
        return await push(self.agent(cluster=cluster), paths, add=add)

    async def add_cluster(self, name: str) -> str:
        """Add a cluster. Returns its agent's token."""
        added = await administration.add_cluster(self.pool, OWNER, name=name, labels={})
        return added.token

    def agent(self, **settings: Any) -> AgentSettings:
        """Settings of an agent that finds this aggregator."""
        defaults: dict[str, Any] = {"url": self.url, "token": self.token, "home": self.home}
        return AgentSettings(**(defaults | settings))


@contextlib.asynccontextmanager
async def serve(
    dsn: str, home: Path, *, port: int = 0, **settings_: Any
) -> AsyncIterator[Aggregator]:
    """Run an aggregator on a database."""
    settings = Settings(database_url=dsn, **settings_)
    app = create_app(settings)
    listener = bind(Address("127.0.0.1", port))
    address = bound_address(listener)
    async with serving(app, settings, listener):
        created = await administration.create_token(
            app.pool,
            OWNER,
            name="test",
            role=Role.ADMIN,
            clusters=None,
            namespaces=None,
            expires_at=None,
        )
        yield Aggregator(address.url, created.token, app, home)


@pytest.fixture
async def aggregator(dsn: str, tmp_path: Path) -> AsyncIterator[Aggregator]:
    """Yield an aggregator that runs."""
    async with serve(dsn, tmp_path) as running:
        yield running
