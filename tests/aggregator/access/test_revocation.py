"""Connections that stay open end with their credential."""

import asyncio

import pytest

from aggregator.access import administration, revocation
from aggregator.access.authentication import Authenticator, accept
from aggregator.access.principal import Principal
from aggregator.access.revocation import Revocations
from aggregator.access.token import digest
from aggregator.store import credentials
from aggregator.store.pool import Pool


async def test_removing_a_cluster_ends_its_agents_connection_and_no_other(
    pool: Pool, admin: Principal
) -> None:
    added = await administration.add_cluster(pool, admin, name="gone", labels={})
    agent = accept(await credentials.find(pool, token_hash=digest(added.token)))
    async with Authenticator(pool) as authenticator, Revocations(pool, authenticator) as open_ones:
        with open_ones.watching(agent) as ended, open_ones.watching(admin) as untouched:
            await listening(authenticator)
            await administration.remove_cluster(pool, admin, name="gone")

            await asyncio.wait_for(ended.wait(), 10)
            assert not untouched.is_set()


async def test_a_credential_that_ended_just_before_is_found(pool: Pool, admin: Principal) -> None:
    added = await administration.add_cluster(pool, admin, name="gone", labels={})
    agent = accept(await credentials.find(pool, token_hash=digest(added.token)))
    await administration.remove_cluster(pool, admin, name="gone")

    async with Authenticator(pool) as authenticator, Revocations(pool, authenticator) as open_ones:
        with open_ones.watching(agent) as ended:
            await asyncio.wait_for(ended.wait(), 10)


async def test_what_lapses_by_the_clock_is_found_in_time(
    pool: Pool, admin: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "CHECK_INTERVAL", 0.01)
    async with Authenticator(pool) as authenticator, Revocations(pool, authenticator) as open_ones:
        with open_ones.watching(admin) as ended:
            await pool.execute("UPDATE credential SET expires_at = now()")  # no one is told

            await asyncio.wait_for(ended.wait(), 10)


async def listening(authenticator: Authenticator) -> None:
    if not authenticator.listening:
        change = asyncio.Event()
        authenticator.changed.append(change.set)
        await asyncio.wait_for(change.wait(), 10)
        authenticator.changed.remove(change.set)
