"""The use cases of administration on a real database: effects, audit, refusals."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from aggregator.access import administration as a
from aggregator.access.authentication import accept
from aggregator.access.principal import Principal, Role, Scope
from aggregator.access.token import digest
from aggregator.store import credentials
from aggregator.store.pool import Pool


async def who(pool: Pool, token: str) -> Principal:
    return accept(await credentials.find(pool, token_hash=digest(token)))


async def scoped_admin(pool: Pool, admin: Principal, clusters: dict[str, Any]) -> Principal:
    created = await a.create_token(
        pool,
        admin,
        name="scoped",
        role="ADMIN",
        clusters=clusters,
        namespaces=None,
        expires_at=None,
    )
    return await who(pool, created.token)


async def test_an_added_cluster_comes_with_its_agents_token(pool: Pool, admin: Principal) -> None:
    added = await a.add_cluster(pool, admin, name="prod", labels={"env": "prod"})

    agent = await who(pool, added.token)
    assert (agent.role, agent.cluster_id) == (Role.AGENT, added.cluster_id)
    row = await pool.fetchrow("SELECT name, labels::text, ordinal FROM cluster")
    assert row is not None
    assert (row["name"], json.loads(row["labels"]), row["ordinal"]) == ("prod", {"env": "prod"}, 0)
    assert await pool.fetchval("SELECT number FROM agent_session") == 0


async def test_every_mutation_leaves_an_audit_row_without_a_token(
    pool: Pool, admin: Principal
) -> None:
    added = await a.add_cluster(pool, admin, name="one", labels={})
    await a.update_cluster(pool, admin, name="one", labels={"x": "y"}, rename="two")
    await a.rebind_cluster(pool, admin, name="two")
    extra = await a.create_agent_token(pool, admin, name="two")
    viewer = await a.create_token(
        pool, admin, name="v", role="VIEWER", clusters=None, namespaces=["a"], expires_at=None
    )
    await a.revoke_token(pool, admin, id=viewer.id)
    await a.remove_cluster(pool, admin, name="two")

    rows = await pool.fetch("SELECT * FROM audit WHERE actor = $1 ORDER BY id OFFSET 1", admin.name)
    assert [(row["action"], row["target"]) for row in rows] == [
        ("addCluster", "one"),
        ("updateCluster", "one"),
        ("rebindCluster", "two"),
        ("createAgentToken", "two"),
        ("createToken", "v"),
        ("revokeToken", "v"),
        ("removeCluster", "two"),
    ]
    assert {str(row["credential_id"]) for row in rows} == {admin.credential_id}
    everything = str([dict(row) for row in rows])
    assert not any(made.token in everything for made in (added, extra, viewer))
    assert "fw_" not in everything


async def test_a_name_is_taken_once(pool: Pool, admin: Principal) -> None:
    await a.add_cluster(pool, admin, name="prod", labels={})
    await a.add_cluster(pool, admin, name="dev", labels={})

    with pytest.raises(a.RefusedError) as added:
        await a.add_cluster(pool, admin, name="prod", labels={})
    with pytest.raises(a.RefusedError) as renamed:
        await a.update_cluster(pool, admin, name="dev", labels=None, rename="prod")

    assert (added.value.code, renamed.value.code) == (a.CONFLICT, a.CONFLICT)
    assert "'prod'" in added.value.message or "prod" in added.value.message
    assert await pool.fetchval("SELECT count(*) FROM credential WHERE role = 'AGENT'") == 2


@pytest.mark.parametrize(("name", "labels"), [("no spaces", {}), ("ok", {"a": 1}), ("ok", [])])
async def test_bad_input_is_refused(pool: Pool, admin: Principal, name: str, labels: Any) -> None:
    with pytest.raises(a.RefusedError) as refusal:
        await a.add_cluster(pool, admin, name=name, labels=labels)

    assert refusal.value.code == a.BAD_INPUT


async def test_what_is_not_there_is_not_found(pool: Pool, admin: Principal) -> None:
    for attempt in (
        a.update_cluster(pool, admin, name="none", labels={}, rename=None),
        a.remove_cluster(pool, admin, name="none"),
        a.rebind_cluster(pool, admin, name="none"),
        a.create_agent_token(pool, admin, name="none"),
        a.revoke_token(pool, admin, id=str(uuid4())),
        a.revoke_token(pool, admin, id="no uuid"),
    ):
        with pytest.raises(a.RefusedError) as refusal:
            await attempt
        assert refusal.value.code == a.NOT_FOUND
    assert await pool.fetchval("SELECT count(*) FROM audit") == 1  # that of the administrator


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_only_admins_administer(pool: Pool, admin: Principal, role: Role) -> None:
    principal = structs.replace(admin, role=role)

    with pytest.raises(a.RefusedError) as refusal:
        await a.add_cluster(pool, principal, name="prod", labels={})

    assert refusal.value.code == a.FORBIDDEN


async def test_an_admin_of_namespaces_administers_nothing(pool: Pool, admin: Principal) -> None:
    principal = structs.replace(admin, scope=Scope(namespaces=("a",)))

    with pytest.raises(a.RefusedError) as refusal:
        await a.remove_cluster(pool, principal, name="prod")

    assert refusal.value.code == a.FORBIDDEN


async def test_a_scoped_admin_stays_inside_its_clusters(pool: Pool, admin: Principal) -> None:
    await a.add_cluster(pool, admin, name="theirs", labels={"team": "b"})
    principal = await scoped_admin(pool, admin, {"labels": [{"key": "team", "in": ["a"]}]})

    added = await a.add_cluster(pool, principal, name="ours", labels={"team": "a"})
    with pytest.raises(a.RefusedError) as outside:
        await a.add_cluster(pool, principal, name="another", labels={"team": "b"})
    with pytest.raises(a.RefusedError) as invisible:
        await a.remove_cluster(pool, principal, name="theirs")
    principal = structs.replace(principal, scope=Scope(clusters=(added.cluster_id,)))
    with pytest.raises(a.RefusedError) as leaving:
        await a.update_cluster(pool, principal, name="ours", labels={}, rename=None)
    with pytest.raises(a.RefusedError) as tokens:
        await a.revoke_token(pool, principal, id=admin.credential_id)

    assert outside.value.code == a.FORBIDDEN
    assert invisible.value.code == a.NOT_FOUND
    assert leaving.value.code == a.FORBIDDEN
    assert tokens.value.code == a.FORBIDDEN
    assert await pool.fetchval("SELECT count(*) FROM cluster") == 2


async def test_a_token_carries_role_scope_and_expiry(pool: Pool, admin: Principal) -> None:
    added = await a.add_cluster(pool, admin, name="prod-eu", labels={})
    await a.add_cluster(pool, admin, name="dev", labels={})
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    created = await a.create_token(
        pool,
        admin,
        name="team a",
        role="VIEWER",
        clusters={"name": {"startsWith": "prod-"}},
        namespaces=["b", "a"],
        expires_at=tomorrow,
    )

    principal = await who(pool, created.token)
    assert principal.credential_id == created.id
    assert principal.scope == Scope(clusters=(added.cluster_id,), namespaces=("a", "b"))
    assert (
        await pool.fetchval("SELECT expires_at FROM credential WHERE name = 'team a'") == tomorrow
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "AGENT"},
        {"role": "OWNER"},
        {"name": ""},
        {"clusters": {"state": ["ONLINE"]}},
        {"namespaces": ["A B"]},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(2020, 1, 1)},  # noqa: DTZ001 - what a client may leave out
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(
    pool: Pool, admin: Principal, wrong: dict[str, Any]
) -> None:
    given: dict[str, Any] = {
        "name": "x",
        "role": "VIEWER",
        "clusters": None,
        "namespaces": None,
        "expires_at": None,
    }
    with pytest.raises(a.RefusedError) as refusal:
        await a.create_token(pool, admin, **(given | wrong))

    assert refusal.value.code == a.BAD_INPUT


async def test_rebinding_forgets_uid_and_mode_and_fences_the_session_off(
    pool: Pool, admin: Principal
) -> None:
    await a.add_cluster(pool, admin, name="prod", labels={})
    await pool.execute("UPDATE cluster SET uid = 'u', mode = 'AGENT'")
    await pool.execute("UPDATE agent_session SET number = 7, instance = 'i', last_seen_at = now()")

    await a.rebind_cluster(pool, admin, name="prod")

    row = await pool.fetchrow(
        "SELECT uid, mode, number, instance, last_seen_at FROM cluster JOIN agent_session ON id = cluster_id"
    )
    assert row is not None
    assert tuple(row) == (None, None, 8, "", None)


async def test_a_push_adds_its_cluster_once(pool: Pool, admin: Principal) -> None:
    import asyncio

    ids = await asyncio.gather(*(a.ensure_cluster(pool, admin, name="pushed") for _ in range(4)))

    assert len(set(ids)) == 1
    assert await pool.fetchval("SELECT count(*) FROM cluster") == 1
    assert await pool.fetchval("SELECT count(*) FROM audit WHERE action = 'addCluster'") == 1
