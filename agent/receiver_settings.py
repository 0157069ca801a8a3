"""What the receiver of events and its spool can be told (docs/operations.md)."""

from dataclasses import dataclass
from pathlib import Path

from agent.errors import FatalError

BODY_BYTES = 2**20  # of one request, unpacked
SPOOL_BYTES = 256 * 2**20  # of events that wait
SECRET_CHARACTERS = 16  # at least: it is all that keeps others from making up events


@dataclass(frozen=True, kw_only=True)
class ReceiverSettings:
    """The settings of the receiver. Without an address there is none."""

    address: tuple[str, int]
    secret: str = ""  # the last part of the path; "" where client certificates are asked for
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    body_bytes: int = BODY_BYTES
    spool_bytes: int = SPOOL_BYTES
    redact: bool = True
    redact_patterns: tuple[str, ...] = ()

    def check(self) -> "ReceiverSettings":
        """Refuse what would leave the receiver open."""
        if not self.secret and self.client_ca is None:
            raise FatalError(
                "The receiver of events must not be open: set FLEETWATCH_EVENTS_SECRET, which Falco"
                " sends in the path, or FLEETWATCH_EVENTS_CLIENT_CA for client certificates."
            )
        if self.secret and (len(self.secret) < SECRET_CHARACTERS or not _plain(self.secret)):
            raise FatalError(
                f"FLEETWATCH_EVENTS_SECRET needs at least {SECRET_CHARACTERS} letters, digits, - or _:"
                " it stands in a URL."
            )
        if (self.certificate is None) != (self.key is None):
            raise FatalError("FLEETWATCH_EVENTS_CERT and FLEETWATCH_EVENTS_KEY go together.")
        if self.client_ca is not None and self.certificate is None:
            raise FatalError("FLEETWATCH_EVENTS_CLIENT_CA needs FLEETWATCH_EVENTS_CERT and _KEY.")
        return self


def parse_listen(text: str) -> tuple[str, int]:
    """Read HOST:PORT or :PORT, which is every interface."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise FatalError(
            f"{text!r} is not HOST:PORT; try 127.0.0.1:2801, or :2801 for every interface."
        )
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - asked for by leaving out the host


def _plain(secret: str) -> bool:
    return secret.isascii() and secret.replace("-", "").replace("_", "").isalnum()
