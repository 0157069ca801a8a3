"""The first administrator."""

from aggregator.access import administration
from aggregator.access.authentication import accept
from aggregator.access.bootstrap import ensure_admin
from aggregator.access.principal import Principal, Role
from aggregator.access.token import digest, generate
from aggregator.store import credentials
from aggregator.store.pool import Pool


async def test_a_valid_token_is_kept(pool: Pool) -> None:
    token = await ensure_admin(pool, token=None, actor="up")

    assert token is not None
    assert accept(await credentials.find(pool, token_hash=digest(token))).role is Role.ADMIN
    assert await ensure_admin(pool, token=token, actor="up") is None
    assert await pool.fetchval("SELECT count(*) FROM credential") == 1
    assert await pool.fetchval("SELECT count(*) FROM audit") == 1


async def test_a_token_that_opens_nothing_is_replaced(pool: Pool, admin: Principal) -> None:
    added = await administration.add_cluster(pool, admin, name="prod", labels={})

    assert await ensure_admin(pool, token=generate(), actor="up") is not None
    assert await ensure_admin(pool, token=added.token, actor="up") is not None
