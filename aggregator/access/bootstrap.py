"""The administrator's first token, for a database that has none, or whose file is lost.

Whoever can call this reaches the database itself, so it asks for no credential.
"""

from aggregator.access.authentication import DeniedError, accept
from aggregator.access.principal import Role
from aggregator.access.token import digest, generate
from aggregator.store import audit, credentials
from aggregator.store.pool import Pool


async def ensure_admin(pool: Pool, *, token: str | None, actor: str) -> str | None:
    """Return a new ADMIN token, or None where `token` is a valid one."""
    if token is not None and await _is_admin(pool, token):
        return None
    created = generate()
    async with pool.acquire() as connection, connection.transaction():
        credential_id = await credentials.create(
            connection, name=actor, role=Role.ADMIN, token_hash=digest(created)
        )
        await audit.record(
            connection,
            actor=actor,
            credential_id=None,
            action="createToken",
            target=actor,
            detail={"id": str(credential_id), "role": str(Role.ADMIN)},
        )
    return created


async def _is_admin(pool: Pool, token: str) -> bool:
    try:
        principal = accept(await credentials.find(pool, token_hash=digest(token)))
    except DeniedError:
        return False
    return principal.role is Role.ADMIN
