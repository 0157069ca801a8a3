"""`fleetwatch cluster`: which clusters belong to the fleet."""

import json
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from aggregator.cli.client import Client, find_server, server_options
from aggregator.cli.labels import read_labels
from aggregator.cli.table import as_text

PAGE = 100  # clusters of one request of `list`

ADD = """mutation ($input: AddClusterInput!) { addCluster(input: $input) { token cluster { name } } }"""
LIST = """query ($first: Int!, $after: String) {
  clusters(first: $first, after: $after) {
    nodes { name state lastSeenAt kubernetesVersion agentVersion labels severities { critical high } }
    pageInfo { hasNextPage endCursor }
  }
}"""
LABELS = """query ($name: String!) { cluster(name: $name) { labels } }"""
UPDATE = """mutation ($name: String!, $labels: JSON, $rename: String) {
  updateCluster(name: $name, labels: $labels, rename: $rename) { name labels }
}"""
REMOVE = """mutation ($name: String!) { removeCluster(name: $name) }"""
REBIND = """mutation ($name: String!) { rebindCluster(name: $name) { name } }"""

FORMAT = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)


@click.group()
def cluster() -> None:
    """Add, list, change and remove clusters.

    A cluster is added here first; that makes the token which its agent shows.
    """


@cluster.command()
@click.argument("name")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; repeatable.")
@FORMAT
@server_options
def add(name: str, labels: tuple[str, ...], style: str, **where: Any) -> None:
    """Add the cluster NAME and print its agent's token, once.

    \b
    Examples:
      fleetwatch cluster add prod-eu --label env=prod --label region=eu
      fleetwatch cluster add dev --format json | jq -r .token
    """  # noqa: D301 - click reads the backspace
    server = find_server(**where)
    variables = {"input": {"name": name, "labels": read_labels(labels)}}
    token = Client(server).graphql(ADD, variables)["addCluster"]["token"]
    _show_token(name, token, server.url, style)


@cluster.command()
@click.argument("name")
@FORMAT
@server_options
def token(name: str, style: str, **where: Any) -> None:
    """Make one more token for the agent of cluster NAME.

    To rotate: make a new one, give it to the agent, then revoke the old one (`token list`,
    `token revoke`). Both work until then.
    """
    server = find_server(**where)
    created = Client(server).post(f"/admin/clusters/{quote(name, safe='')}/tokens")["token"]
    _show_token(name, created, server.url, style)


@cluster.command("list")
@FORMAT
@server_options
def list_(style: str, **where: Any) -> None:
    """List the clusters with their state and gravest findings."""
    client = Client(find_server(**where))
    nodes: list[dict[str, Any]] = []
    after = None
    while True:
        page = client.graphql(LIST, {"first": PAGE, "after": after})["clusters"]
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    if style == "json":
        click.echo(json.dumps(nodes, indent=2))
    elif nodes:
        click.echo(as_text([_row(node) for node in nodes]))
    else:
        click.echo("There is no cluster yet. Add one with `fleetwatch cluster add NAME`.", err=True)


@cluster.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@server_options
def remove(name: str, *, yes: bool, **where: Any) -> None:
    """Remove the cluster NAME with all its reports, its history and its tokens."""
    client = Client(find_server(**where))
    if not yes:
        click.confirm(
            f"Remove the cluster {name} from {client.server.url}, with its reports and history?",
            abort=True,
        )
    client.graphql(REMOVE, {"name": name})
    click.echo(f"The cluster {name} is removed.", err=True)


@cluster.command()
@click.argument("name")
@server_options
def rebind(name: str, **where: Any) -> None:
    """Let another Kubernetes cluster take the place of NAME.

    A token is bound to the cluster of its first session. After a cluster was rebuilt, this lets the
    next session bind anew; what was reported before is then compared with what is there now.
    """
    Client(find_server(**where)).graphql(REBIND, {"name": name})
    click.echo(f"The next session of {name} binds it anew.", err=True)


@cluster.command()
@click.argument("name")
@click.argument("new_name")
@server_options
def rename(name: str, new_name: str, **where: Any) -> None:
    """Call the cluster NAME by NEW_NAME. Its agent goes on with the same token."""
    Client(find_server(**where)).graphql(UPDATE, {"name": name, "rename": new_name})
    click.echo(f"The cluster {name} is now {new_name}.", err=True)


@cluster.command()
@click.argument("name")
@click.argument("labels", nargs=-1, required=True, metavar="KEY=VALUE|KEY-…")
@server_options
def label(name: str, labels: tuple[str, ...], **where: Any) -> None:
    """Set labels of the cluster NAME; `KEY-` takes one away.

    \b
    Example:
      fleetwatch cluster label prod-eu tier=1 region-
    """  # noqa: D301 - click reads the backspace
    client = Client(find_server(**where))
    found = client.graphql(LABELS, {"name": name})["cluster"]
    if found is None:
        raise click.ClickException(f"There is no cluster named {name!r}.")
    taken = {item.removesuffix("-") for item in labels if "=" not in item and item.endswith("-")}
    given = read_labels([item for item in labels if "=" in item or not item.endswith("-")])
    kept = {key: value for key, value in found["labels"].items() if key not in taken}
    updated = client.graphql(UPDATE, {"name": name, "labels": kept | given})["updateCluster"]
    click.echo(_labels(updated["labels"]))


def _show_token(name: str, token: str, url: str, style: str) -> None:
    if style == "json":
        click.echo(json.dumps({"name": name, "token": token, "url": url}))
        return
    click.echo(f"Token of the agent of {name}; it is not shown again:\n\n  {token}\n")
    click.echo(
        f"Run the agent in the cluster, or beside a kubeconfig:\n\n  {_run_line(url, token)}\n"
    )


def _run_line(url: str, token: str) -> str:
    return (
        f"FLEETWATCH_URL={shlex.quote(url)} FLEETWATCH_TOKEN={token} "
        f"fleetwatch-agent run --kubeconfig {shlex.quote(str(Path('~/.kube/config')))}"
    ).replace("'~/.kube/config'", "~/.kube/config")


def _row(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": node["name"],
        "state": node["state"],
        "last seen": node["lastSeenAt"] or "never",
        "kubernetes": node["kubernetesVersion"] or "",
        "critical": node["severities"]["critical"],
        "high": node["severities"]["high"],
        "labels": _labels(node["labels"]),
    }


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
