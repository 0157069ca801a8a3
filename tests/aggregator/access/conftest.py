"""An administrator, as every database that is in use has one."""

import pytest

from aggregator.access.authentication import accept
from aggregator.access.bootstrap import ensure_admin
from aggregator.access.principal import Principal
from aggregator.access.token import digest
from aggregator.store import credentials
from aggregator.store.pool import Pool


@pytest.fixture
async def admin_token(pool: Pool) -> str:
    token = await ensure_admin(pool, token=None, actor="test")
    assert token is not None
    return token


@pytest.fixture
async def admin(pool: Pool, admin_token: str) -> Principal:
    return accept(await credentials.find(pool, token_hash=digest(admin_token)))
