"""The audit trail: one row a mutation, in the mutation's transaction, never a token."""

import json
from typing import Any
from uuid import UUID

from aggregator.store.pool import Connection

RECORD = """
    INSERT INTO audit (actor, credential_id, action, target, detail)
    VALUES ($1, $2, $3, $4, $5::jsonb)
"""


async def record(
    connection: Connection,
    *,
    actor: str,
    credential_id: UUID | None,  # None where no credential acts: the first start
    action: str,
    target: str,
    detail: dict[str, Any],
) -> None:
    """Write down who did what to what."""
    await connection.execute(RECORD, actor, credential_id, action, target, json.dumps(detail))
