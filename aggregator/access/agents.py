"""Who may open an agent's session, and for which cluster.

An AGENT token is its cluster's. An ADMIN token may push to any cluster of its scope: it names one in
the header `X-Fleetwatch-Cluster`, and a cluster that does not exist is added.
"""

from collections.abc import Mapping

from msgspec import structs

from aggregator.access.administration import RefusedError, ensure_cluster
from aggregator.access.authentication import DeniedError, accept, bearer
from aggregator.access.principal import Principal, Role
from aggregator.access.token import digest
from aggregator.store import credentials
from aggregator.store.pool import Pool

CLUSTER_HEADER = "x-fleetwatch-cluster"


async def authenticate_agent(pool: Pool, headers: Mapping[str, str]) -> Principal:
    """Return a principal with its cluster, or raise DeniedError."""
    credential = await credentials.find(pool, token_hash=digest(bearer(headers)))
    principal = accept(credential)
    named = headers.get(CLUSTER_HEADER)
    if principal.role is Role.AGENT:
        if credential is not None and named not in (None, credential.cluster_name):
            raise DeniedError(
                403, f"This token is that of cluster {credential.cluster_name!r}, not of {named!r}."
            )
        return principal
    if principal.role is not Role.ADMIN:
        raise DeniedError(
            403, f"The token {principal.name!r} has role {principal.role}: it may only ask."
        )
    if named is None:
        raise DeniedError(403, f"With an ADMIN token, name the cluster in {CLUSTER_HEADER}.")
    try:
        cluster_id = await ensure_cluster(pool, principal, name=named)
    except RefusedError as error:
        raise DeniedError(403, error.message) from error
    return structs.replace(principal, cluster_id=cluster_id)
