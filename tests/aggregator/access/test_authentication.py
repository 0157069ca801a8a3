"""Who a token is; what the cache may keep and for how long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from aggregator.access import administration, authentication
from aggregator.access.authentication import Authenticator, DeniedError
from aggregator.access.principal import Principal, Role
from aggregator.access.token import generate
from aggregator.store import credentials
from aggregator.store.pool import Pool

Lookups = Callable[[], int]


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Lookups:
    """Count the statements that look up a token."""
    count = 0
    find = credentials.find

    async def counted(pool: Pool, *, token_hash: bytes) -> credentials.Credential | None:
        nonlocal count
        count += 1
        return await find(pool, token_hash=token_hash)

    monkeypatch.setattr(credentials, "find", counted)
    return lambda: count


@pytest.fixture
async def authenticator(pool: Pool) -> AsyncIterator[Authenticator]:
    async with Authenticator(pool) as authenticator:
        await heard(authenticator)
        yield authenticator


async def heard(authenticator: Authenticator, what: Awaitable[object] | None = None) -> None:
    """Wait until the authenticator hears of a change, or began to listen."""
    change = asyncio.Event()
    authenticator.changed.append(change.set)
    try:
        if what is not None:
            await what
        elif authenticator.listening:
            return
        await asyncio.wait_for(change.wait(), 10)
    finally:
        authenticator.changed.remove(change.set)


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_token_is_its_principal(
    authenticator: Authenticator, admin: Principal, admin_token: str
) -> None:
    assert await authenticator.authenticate(bearing(admin_token)) == admin
    assert await authenticator.authenticate({"authorization": f"bearer  {admin_token} "}) == admin


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": "Bearer nonsense"},
        {"authorization": f"Bearer {generate()}"},
    ],
)
async def test_anything_else_is_denied(
    authenticator: Authenticator, headers: dict[str, str]
) -> None:
    with pytest.raises(DeniedError) as denial:
        await authenticator.authenticate(headers)

    assert (denial.value.status, denial.value.code) == (401, "UNAUTHENTICATED")
    assert "fw_" not in denial.value.message.replace("fw_…", "")


async def test_asking_again_costs_no_statement(
    authenticator: Authenticator, admin_token: str, lookups: Lookups
) -> None:
    for _ in range(5):
        await authenticator.authenticate(bearing(admin_token))

    assert lookups() == 1


async def test_a_revoked_token_is_shut_out_of_every_replica_at_once(
    pool: Pool, authenticator: Authenticator, admin: Principal
) -> None:
    created = await administration.create_token(
        pool, admin, name="v", role="VIEWER", clusters=None, namespaces=None, expires_at=None
    )
    async with Authenticator(pool) as replica:
        await heard(replica)
        for one in (authenticator, replica):
            await one.authenticate(bearing(created.token))

        revoked = administration.revoke_token(pool, admin, id=created.id)
        await heard(authenticator, heard(replica, revoked))

        for one in (authenticator, replica):
            with pytest.raises(DeniedError, match="revoked"):
                await one.authenticate(bearing(created.token))


async def test_a_scope_follows_the_clusters(
    pool: Pool, authenticator: Authenticator, admin: Principal
) -> None:
    created = await administration.create_token(
        pool,
        admin,
        name="v",
        role="VIEWER",
        clusters={"labels": [{"key": "env", "in": ["prod"]}]},
        namespaces=None,
        expires_at=None,
    )
    assert (await authenticator.authenticate(bearing(created.token))).scope.clusters == ()

    add = administration.add_cluster(pool, admin, name="a", labels={"env": "prod"})
    await heard(authenticator, add)
    scope = (await authenticator.authenticate(bearing(created.token))).scope.clusters
    assert scope is not None
    assert len(scope) == 1

    relabel = administration.update_cluster(pool, admin, name="a", labels={}, rename=None)
    await heard(authenticator, relabel)
    assert (await authenticator.authenticate(bearing(created.token))).scope.clusters == ()


async def test_an_expired_token_is_denied_though_it_was_cached(
    pool: Pool, admin: Principal
) -> None:
    created = await administration.create_token(
        pool,
        admin,
        name="v",
        role="VIEWER",
        clusters=None,
        namespaces=None,
        expires_at=datetime.now(UTC) + timedelta(seconds=5),
    )
    now = 0.0
    async with Authenticator(pool, clock=lambda: now) as authenticator:
        await heard(authenticator)
        assert (await authenticator.authenticate(bearing(created.token))).role is Role.VIEWER
        await pool.execute("UPDATE credential SET expires_at = now() WHERE name = 'v'")
        assert (await authenticator.authenticate(bearing(created.token))).role is Role.VIEWER

        now = 5.1
        with pytest.raises(DeniedError, match="expired"):
            await authenticator.authenticate(bearing(created.token))


async def test_nothing_is_cached_while_changes_cannot_be_heard(
    pool: Pool, authenticator: Authenticator, admin_token: str, lookups: Lookups
) -> None:
    await authenticator.authenticate(bearing(admin_token))
    await heard(authenticator, cut_listeners(pool))
    assert not authenticator.listening

    await authenticator.authenticate(bearing(admin_token))
    await authenticator.authenticate(bearing(admin_token))
    assert lookups() == 3

    await heard(authenticator)  # it listens again
    await authenticator.authenticate(bearing(admin_token))
    await authenticator.authenticate(bearing(admin_token))
    assert lookups() == 4


async def cut_listeners(pool: Pool) -> None:
    """Cut the connections that wait for changes, as a network may."""
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND query ILIKE 'LISTEN %'"
    )


async def test_an_answer_that_a_change_overtook_is_not_kept(
    pool: Pool,
    authenticator: Authenticator,
    admin: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    created = await administration.create_token(
        pool, admin, name="v", role="VIEWER", clusters=None, namespaces=None, expires_at=None
    )
    find = credentials.find

    async def overtaken(pool: Pool, *, token_hash: bytes) -> credentials.Credential | None:
        found = await find(pool, token_hash=token_hash)
        monkeypatch.setattr(credentials, "find", find)
        await heard(authenticator, administration.revoke_token(pool, admin, id=created.id))
        return found

    monkeypatch.setattr(credentials, "find", overtaken)
    await authenticator.authenticate(bearing(created.token))  # it was valid when it was asked

    with pytest.raises(DeniedError, match="revoked"):
        await authenticator.authenticate(bearing(created.token))


async def test_the_cache_is_bounded(
    pool: Pool,
    authenticator: Authenticator,
    admin: Principal,
    monkeypatch: pytest.MonkeyPatch,
    lookups: Lookups,
) -> None:
    monkeypatch.setattr(authentication, "CACHE_SIZE", 2)
    tokens = [
        (
            await administration.create_token(
                pool,
                admin,
                name="v",
                role="VIEWER",
                clusters=None,
                namespaces=None,
                expires_at=None,
            )
        ).token
        for _ in range(3)
    ]
    for token in tokens:
        await authenticator.authenticate(bearing(token))

    await authenticator.authenticate(bearing(tokens[2]))
    assert lookups() == 3
    await authenticator.authenticate(bearing(tokens[0]))
    assert lookups() == 4
