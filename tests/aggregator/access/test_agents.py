"""Who may open an agent's session."""

import pytest

from aggregator.access import administration
from aggregator.access.agents import authenticate_agent
from aggregator.access.authentication import DeniedError
from aggregator.access.principal import Principal, Role
from aggregator.store.pool import Pool


def headers(token: str, cluster: str | None = None) -> dict[str, str]:
    named = {} if cluster is None else {"x-fleetwatch-cluster": cluster}
    return {"authorization": f"Bearer {token}"} | named


async def test_an_agents_token_is_its_clusters(pool: Pool, admin: Principal) -> None:
    added = await administration.add_cluster(pool, admin, name="prod", labels={})

    for named in (None, "prod"):
        agent = await authenticate_agent(pool, headers(added.token, named))
        assert (agent.role, agent.cluster_id) == (Role.AGENT, added.cluster_id)

    with pytest.raises(DeniedError, match="'prod', not of 'dev'") as denial:
        await authenticate_agent(pool, headers(added.token, "dev"))
    assert denial.value.status == 403


async def test_an_administrator_pushes_to_any_cluster_and_adds_it(
    pool: Pool, admin: Principal, admin_token: str
) -> None:
    pusher = await authenticate_agent(pool, headers(admin_token, "new"))
    again = await authenticate_agent(pool, headers(admin_token, "new"))

    assert pusher.cluster_id == again.cluster_id is not None
    assert pusher.credential_id == admin.credential_id
    assert await pool.fetchval("SELECT name FROM cluster") == "new"
    assert await pool.fetchval("SELECT count(*) FROM credential WHERE role = 'AGENT'") == 0


@pytest.mark.parametrize(("cluster", "said"), [(None, "name the cluster"), ("a b", "not allowed")])
async def test_an_administrator_must_name_a_cluster(
    pool: Pool, admin_token: str, cluster: str | None, said: str
) -> None:
    with pytest.raises(DeniedError, match=said) as denial:
        await authenticate_agent(pool, headers(admin_token, cluster))

    assert denial.value.status == 403


async def test_a_viewer_may_not(pool: Pool, admin: Principal) -> None:
    created = await administration.create_token(
        pool, admin, name="v", role="VIEWER", clusters=None, namespaces=None, expires_at=None
    )

    with pytest.raises(DeniedError, match="may only ask") as denial:
        await authenticate_agent(pool, headers(created.token, "prod"))

    assert denial.value.status == 403


async def test_a_scoped_administrator_pushes_inside_its_scope(pool: Pool, admin: Principal) -> None:
    await administration.add_cluster(pool, admin, name="theirs", labels={})
    created = await administration.create_token(
        pool,
        admin,
        name="a",
        role="ADMIN",
        clusters={"name": {"startsWith": "ours-"}},
        namespaces=None,
        expires_at=None,
    )

    pusher = await authenticate_agent(pool, headers(created.token, "ours-1"))
    assert pusher.cluster_id is not None
    for outside in ("theirs", "other"):
        with pytest.raises(DeniedError, match="scope"):
            await authenticate_agent(pool, headers(created.token, outside))
