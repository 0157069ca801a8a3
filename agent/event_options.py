"""The options of `fleetwatch-agent run` about events, and what they come to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from agent.errors import FatalError
from agent.receiver_settings import BODY_BYTES, SPOOL_BYTES, ReceiverSettings, parse_listen

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(dir_okay=False, path_type=Path)


def _option(name: str, variable: str, help_: str, **more: Any) -> Callable[[Command], Command]:
    return click.option(name, envvar=variable, show_envvar=True, help=help_, **more)


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _option(
        "--events-listen",
        "FLEETWATCH_EVENTS_LISTEN",
        "Take Falco's events here: :2801 is every interface.  [default: take none]",
        metavar="HOST:PORT",
    ),
    _option(
        "--events-secret",
        "FLEETWATCH_EVENTS_SECRET",
        "The last part of the path that events are sent to: /falco/SECRET.",
    ),
    _option(
        "--events-secret-file", "FLEETWATCH_EVENTS_SECRET_FILE", "A file that holds it.", type=_FILE
    ),
    _option("--events-cert", "FLEETWATCH_EVENTS_CERT", "Serve events by TLS with it.", type=_FILE),
    _option("--events-key", "FLEETWATCH_EVENTS_KEY", "The certificate's key.", type=_FILE),
    _option(
        "--events-client-ca",
        "FLEETWATCH_EVENTS_CLIENT_CA",
        "Only take events from clients with a certificate of this authority.",
        type=_FILE,
    ),
    _option(
        "--events-body-bytes",
        "FLEETWATCH_EVENTS_BODY_BYTES",
        "Limit of one request's body, unpacked.",
        type=click.IntRange(1024, 64 * 2**20),
        default=BODY_BYTES,
        show_default=True,
    ),
    _option(
        "--spool-bytes",
        "FLEETWATCH_SPOOL_BYTES",
        "Limit of events that wait on disk for the aggregator.",
        type=click.IntRange(2**16),
        default=SPOOL_BYTES,
        show_default=True,
    ),
    *(
        _option(
            "--redact/--no-redact",
            "FLEETWATCH_REDACT",
            "Take secrets out of events before they are kept.",
            default=True,
            show_default=True,
        ),
        _option(
            "--redact-pattern",
            "FLEETWATCH_REDACT_PATTERNS",
            "A regular expression of what else is secret; may be repeated. In the variable,"
            " patterns are apart by white space.",
            multiple=True,
        ),
    ),
)
REDACTION = OPTIONS[-2:]


def event_options(command: Command) -> Command:
    """Add all options about events."""
    for decorate in reversed(OPTIONS):
        command = decorate(command)
    return command


def redaction_options(command: Command) -> Command:
    """Add the options about redaction alone."""
    for decorate in reversed(REDACTION):
        command = decorate(command)
    return command


def receiver_settings(
    *,
    events_listen: str | None,
    events_secret: str | None,
    events_secret_file: Path | None,
    events_cert: Path | None,
    events_key: Path | None,
    events_client_ca: Path | None,
    events_body_bytes: int,
    spool_bytes: int,
    redact: bool,
    redact_pattern: tuple[str, ...],
) -> ReceiverSettings | None:
    """Return what the options come to; None where no events are taken. Raises `FatalError`."""
    if not events_listen:
        return None
    secret = events_secret or ""
    if events_secret_file is not None:
        try:
            secret = events_secret_file.read_text()
        except OSError as error:
            raise FatalError(f"The file with the events' secret cannot be read: {error}") from error
    return ReceiverSettings(
        address=parse_listen(events_listen),
        secret=secret.strip(),
        certificate=events_cert,
        key=events_key,
        client_ca=events_client_ca,
        body_bytes=events_body_bytes,
        spool_bytes=spool_bytes,
        redact=redact,
        redact_patterns=redact_pattern,
    ).check()
