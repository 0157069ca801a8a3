"""What a running aggregator can be told; the command line fills it in (docs/operations.md)."""

import hashlib
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


class BadSettingError(ValueError):
    """A setting that cannot be used; the message names it and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of `fleetwatch serve` and `fleetwatch up`."""

    database_url: str
    query_database_url: str = ""  # of a standby that answers queries; "" is none
    query_max_lag: float = 10.0  # seconds that it may be behind
    query_connections: int = 10
    query_timeout: float = 10.0  # seconds, of one statement
    ingest_connections: int = 4
    ingest_timeout: float = 30.0  # seconds, of one statement
    events_retention: float = 30.0  # days
    contents_retention: float = 1.0  # days without a report that shows them
    events_rate: float = 5_000.0  # runtime events a second that one cluster may bring; 0 is any
    events_budget: int = 20_000_000  # runtime events a day that one cluster may bring
    body_bytes: int = MIB  # of a request
    frame_bytes: int = 16 * MIB  # of a message from an agent
    shutdown_grace: float = 10.0  # seconds for answers under way when the program ends
    access_log: bool = False
    cursor_secret: str = ""  # signs cursors; the same in all replicas

    @property
    def cursor_key(self) -> bytes:
        """What cursors are signed with: without a secret, of what all replicas know and others do not."""
        secret = self.cursor_secret or self.database_url
        return hashlib.sha256(b"fleetwatch cursors\0" + secret.encode()).digest()


@dataclass(frozen=True)
class Address:
    """Where to listen. Port 0 lets the system choose one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How a program on this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST:PORT, [IPV6]:PORT or :PORT, which is every interface."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise BadSettingError(f"{text!r} is not HOST:PORT; try 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadSettingError(f"{text!r} is not HOST:PORT; write an IPv6 address as [::1]:8080")
    return Address(host or "0.0.0.0", int(port))  # noqa: S104 - asked for by leaving out the host
