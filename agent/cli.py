"""`fleetwatch-agent`: in a cluster, beside a kubeconfig, or once from files.

Only click is imported before a command runs: an agent's memory is counted.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import uvloop

from agent.errors import FatalError
from agent.event_options import event_options, receiver_settings, redaction_options
from agent.settings import Settings, check_url, data_folder, find_local

LEVELS = ("debug", "info", "warning", "error")
WHERE = ("url", "token", "token_file", "ca_file", "home", "agent_home")  # connection options
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


def connection_options(command: Command) -> Command:
    """Add the options that say where the aggregator is."""
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    folder = click.Path(file_okay=False, path_type=Path)
    for decorate in (
        click.option(
            "--log-level",
            type=click.Choice(LEVELS),
            envvar="FLEETWATCH_LOG_LEVEL",
            show_envvar=True,
            default="info",
            show_default=True,
        ),
        click.option(
            "--agent-home",
            type=folder,
            envvar="FLEETWATCH_AGENT_HOME",
            show_envvar=True,
            default=lambda: data_folder("fleetwatch-agent"),
            help="Where the agent keeps what must survive a restart.  [default: the user's data "
            "folder]",
        ),
        click.option(
            "--home",
            type=folder,
            envvar="FLEETWATCH_HOME",
            show_envvar=True,
            default=lambda: data_folder("fleetwatch"),
            help="The folder of a local `fleetwatch up`.  [default: the user's data folder]",
        ),
        click.option(
            "--ca-file",
            type=file,
            envvar="FLEETWATCH_CA_FILE",
            show_envvar=True,
            help="Certificates to trust instead of the system's.",
        ),
        click.option(
            "--token-file",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="FLEETWATCH_TOKEN_FILE",
            show_envvar=True,
            help="A file that holds the token, read anew for every connection.",
        ),
        click.option(
            "--token",
            envvar="FLEETWATCH_TOKEN",
            show_envvar=True,
            help="The cluster's token, from `fleetwatch cluster add`. A command line is no secret: "
            "better set the variable.",
        ),
        click.option(
            "--url",
            envvar="FLEETWATCH_URL",
            show_envvar=True,
            help="The aggregator's address.  [default: the `fleetwatch up` of this machine]",
        ),
    ):
        command = decorate(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fleetwatch", prog_name="fleetwatch-agent")
def main() -> None:
    """Send a cluster's security reports to fleetwatch."""


@main.command()
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="FLEETWATCH_KUBECONFIG",
    show_envvar=True,
    help="Watch the cluster of this file.  [default: the cluster that the agent runs in]",
)
@click.option(
    "--context",
    envvar="FLEETWATCH_CONTEXT",
    show_envvar=True,
    help="The context of the kubeconfig.  [default: its current one]",
)
@connection_options
@event_options
def run(*, kubeconfig: Path | None, context: str | None, log_level: str, **given: Any) -> None:
    """Watch a cluster and keep the aggregator up to date, until stopped.

    \b
    Examples:
      fleetwatch-agent run
      FLEETWATCH_EVENTS_SECRET=… fleetwatch-agent run --events-listen :2801
      FLEETWATCH_TOKEN=fw_… fleetwatch-agent run --kubeconfig ~/.kube/config
    """  # noqa: D301 - click reads the backspace
    _log_to_stderr(log_level)
    where = {name: given.pop(name) for name in WHERE}
    try:
        receiver = receiver_settings(**given)
    except FatalError as error:
        raise click.ClickException(str(error)) from error
    settings = _settings(**where, kubeconfig=kubeconfig, context=context, receiver=receiver)
    from agent.run import run as run_agent

    _complete(run_agent(settings))


@main.command()
@click.option(
    "--cluster", required=True, metavar="NAME", help="The cluster that the reports are of."
)
@click.option("--add", is_flag=True, help="Delete nothing: what is sent comes on top.")
@click.option(
    "--events",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Falco's events, one a line; - is standard input. May be repeated.",
)
@click.argument(
    "paths",
    nargs=-1,
    metavar="PATH…",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@connection_options
@redaction_options
def push(
    *,
    cluster: str,
    add: bool,
    events: tuple[Path, ...],
    paths: tuple[Path, ...],
    log_level: str,
    redact: bool,
    redact_pattern: tuple[str, ...],
    **where: Any,
) -> None:
    """Send manifests: YAML or JSON, Lists, directories; - is standard input.

    What the aggregator holds of the kinds in the input is replaced by it. Exits with 0 once all of
    it is committed. The token is the cluster's, or an administrator's, which adds a cluster that
    does not exist yet.

    \b
    Examples:
      kubectl get vulnerabilityreports -A -o json | fleetwatch-agent push --cluster dev -
      fleetwatch-agent push --cluster dev reports/
      fleetwatch-agent push --cluster dev --events falco.jsonl
    """  # noqa: D301 - click reads the backspace
    _log_to_stderr(log_level)
    if not paths and not events:
        raise click.UsageError("Nothing to push: name a PATH or --events FILE.")
    settings = _settings(**where, cluster=cluster)
    if paths:
        _push_reports(settings, paths, add=add)
    if events:
        _push_events(settings, events, redact=redact, patterns=redact_pattern)


def _push_reports(settings: Settings, paths: tuple[Path, ...], *, add: bool) -> None:
    from agent.push import push as push_files

    outcome = _complete(push_files(settings, paths, add=add))
    for repeated in outcome.repeated:
        click.echo(f"replaced: {repeated}", err=True)
    for failure in outcome.failures:
        click.echo(f"failed: {failure}", err=True)
    click.echo(outcome.summary)


def _push_events(
    settings: Settings, files: tuple[Path, ...], *, redact: bool, patterns: tuple[str, ...]
) -> None:
    from agent.push_events import push_events
    from agent.redaction import PatternError, Redactor

    try:
        redactor = Redactor(enabled=redact, extra=patterns)
    except PatternError as error:
        raise click.ClickException(str(error)) from error
    outcome = _complete(push_events(settings, files, redactor))
    for failure in outcome.failures:
        click.echo(f"failed: {failure}", err=True)
    click.echo(outcome.summary)


@main.command()
@click.option(
    "--name", default="fleetwatch-agent", show_default=True, help="What the ClusterRole is called."
)
def rbac(*, name: str) -> None:
    """Print the ClusterRole that the agent needs: get, list and watch on what it reads.

    \b
    Example:
      fleetwatch-agent rbac | kubectl apply -f -
    """  # noqa: D301 - click reads the backspace
    import yaml

    from agent.rbac import cluster_role

    click.echo(yaml.safe_dump(cluster_role(name), sort_keys=False), nl=False)


def _settings(
    *, url: str | None, token: str | None, home: Path, agent_home: Path, **rest: Any
) -> Settings:
    """Fill in what the local `fleetwatch up` tells; its token goes to nobody else."""
    try:
        url = check_url(url) if url is not None else None
        local = find_local(home)
        if local is not None and url in (None, local.url):
            url = local.url
            is_push = rest.get("cluster") is not None
            if is_push and token is None and rest.get("token_file") is None:
                token = local.token
        settings = Settings(url=url or _no_aggregator(home), token=token, home=agent_home, **rest)
        settings.read_token()  # better said now than after the first list
    except FatalError as error:
        raise click.ClickException(str(error)) from error
    return settings


def _no_aggregator(home: Path) -> NoReturn:
    raise FatalError(
        "There is no aggregator to send to: set FLEETWATCH_URL and FLEETWATCH_TOKEN as "
        f"`fleetwatch cluster add` prints them; no `fleetwatch up` runs on {home}."
    )


def _complete(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work; SIGINT and SIGTERM cancel it."""

    async def cancellable() -> Result:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(cancellable())
    except FatalError as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:
        sys.exit(0)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format=LOG_FORMAT, stream=sys.stderr, force=True)
