"""`fleetwatch token`: who may ask and administer."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from aggregator.cli.client import Client, find_server, server_options
from aggregator.cli.labels import read_labels
from aggregator.cli.table import as_text

CREATE = """mutation ($input: CreateTokenInput!) { createToken(input: $input) { id token } }"""
REVOKE = """mutation ($id: ID!) { revokeToken(id: $id) }"""

DURATION = re.compile(r"(\d{1,5})([hdw])")
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group()
def token() -> None:
    """Create, list and revoke API tokens.

    A token is shown once and kept only as a hash. Its role is VIEWER, which asks, or ADMIN, which
    also changes clusters and tokens; its scope may be limited to clusters and namespaces.
    """


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "admin"], case_sensitive=False),
    default="viewer",
    show_default=True,
)
@click.option("--cluster", "clusters", multiple=True, help="A cluster of the scope; repeatable.")
@click.option(
    "--cluster-label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="A label that the clusters of the scope carry; repeatable, all must hold.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="A namespace of the scope; repeatable. What is outside of any namespace is then out of scope.",
)
@click.option("--expires", metavar="WHEN", help="90d, 12h, 2w or a time as 2027-01-31T12:00:00Z.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@server_options
def create(
    *,
    name: str,
    role: str,
    clusters: tuple[str, ...],
    labels: tuple[str, ...],
    namespaces: tuple[str, ...],
    expires: str | None,
    style: str,
    **where: Any,
) -> None:
    """Create a token for NAME, a person or program, and print it once.

    \b
    Examples:
      fleetwatch token create grafana --expires 90d
      fleetwatch token create team-a --cluster-label env=prod --namespace team-a
    """  # noqa: D301 - click reads the backspace
    given: dict[str, Any] = {"name": name, "role": role.upper()}
    scope: dict[str, Any] = {}
    if clusters:
        scope["name"] = {"in": list(clusters)}
    if labels:
        scope["labels"] = [
            {"key": key, "in": [value]} for key, value in read_labels(labels).items()
        ]
    if scope:
        given["clusters"] = scope
    if namespaces:
        given["namespaces"] = list(namespaces)
    if expires is not None:
        given["expiresAt"] = expiry(expires, datetime.now(UTC)).isoformat()
    created = Client(find_server(**where)).graphql(CREATE, {"input": given})["createToken"]
    if style == "json":
        click.echo(json.dumps({"id": created["id"], "name": name, "token": created["token"]}))
    else:
        click.echo(f"Token of {name}; it is not shown again:\n\n  {created['token']}\n")
        click.echo(f"Revoke it with: fleetwatch token revoke {created['id']}")


@token.command("list")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@server_options
def list_(style: str, **where: Any) -> None:
    """List all tokens, those of agents included; never the secret itself."""
    tokens = Client(find_server(**where)).get("/admin/tokens")["tokens"]
    if style == "json":
        click.echo(json.dumps(tokens, indent=2))
    else:
        now = datetime.now(UTC)
        click.echo(as_text([_row(item, now) for item in tokens]))


@token.command()
@click.argument("token_id", metavar="ID")
@server_options
def revoke(token_id: str, **where: Any) -> None:
    """Revoke the token with this ID (from `token list`). Whoever uses it is shut out at once."""
    Client(find_server(**where)).graphql(REVOKE, {"id": token_id})
    click.echo(f"The token {token_id} is revoked.", err=True)


@token.command()
@click.option("--name", default="administrator", show_default=True, help="Whom the token is for.")
@click.option(
    "--database-url",
    envvar="DATABASE_URL",
    show_envvar=True,
    required=True,
    help="The database of the deployment.",
)
def bootstrap(name: str, database_url: str) -> None:
    """Make an ADMIN token straight in the database: the first one of a deployment.

    `fleetwatch up` does this by itself.
    """
    from aggregator.access.bootstrap import ensure_admin
    from aggregator.cli.server import run
    from aggregator.store.pool import UnavailableError, answering, open_pool

    async def make() -> str | None:
        with answering():
            pool = await open_pool(database_url, size=1, statement_timeout=10.0)
        try:
            return await ensure_admin(pool, token=None, actor=name)
        finally:
            await pool.close()

    try:
        click.echo(run(make()))
    except UnavailableError as error:
        raise click.ClickException(f"{error}. Check DATABASE_URL.") from error


def expiry(text: str, now: datetime) -> datetime:
    """Read a time, or a span from now."""
    if match := DURATION.fullmatch(text):
        return now + int(match[1]) * UNITS[match[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(
            f"{text!r} is no time: write 90d, 12h, 2w or 2027-01-31T12:00:00Z."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _row(item: dict[str, Any], now: datetime) -> dict[str, str]:
    if item["revokedAt"]:
        state = "revoked"
    elif item["expiresAt"] and datetime.fromisoformat(item["expiresAt"]) <= now:
        state = "expired"
    else:
        state = "active"
    scope = [f"cluster {item['cluster']}"] if item["cluster"] else []
    if item["clusters"]:
        scope.append(f"clusters {json.dumps(item['clusters'])}")
    if item["namespaces"] is not None:
        scope.append(f"namespaces {', '.join(item['namespaces'])}")
    return {
        "id": item["id"],
        "name": item["name"],
        "role": item["role"],
        "state": state,
        "scope": "; ".join(scope) or "everything",
        "expires": item["expiresAt"] or "never",
    }
