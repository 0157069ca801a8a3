"""What an agent can be told, and what it finds by itself (docs/operations.md)."""

import json
import logging
import os
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from agent.errors import FatalError
from agent.receiver_settings import ReceiverSettings

log = logging.getLogger(__name__)

SOCKET_PATH = "/agent/v1"
CLUSTER_HEADER = "X-Fleetwatch-Cluster"
INSTANCE_FILE = "instance"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of `fleetwatch-agent run` and `push`."""

    url: str
    token: str | None = None
    token_file: Path | None = None  # read anew for every connection, so that a token can be rotated
    ca_file: Path | None = None  # None trusts what the system trusts
    cluster: str | None = None  # of a push; None is the cluster of the token
    kubeconfig: Path | None = None  # None is the pod's own service account
    context: str | None = None  # None is the kubeconfig's current one
    home: Path  # what must survive a restart: the instance's name, the spool
    receiver: ReceiverSettings | None = None  # None takes no events

    @property
    def socket_url(self) -> str:
        """The address of the aggregator's WebSocket."""
        parts = urlsplit(self.url)
        scheme = {"http": "ws", "https": "wss"}[parts.scheme]
        return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + SOCKET_PATH, "", ""))

    def headers(self) -> dict[str, str]:
        """What a connection shows of itself: the token as it stands now, and the cluster."""
        headers = {"Authorization": f"Bearer {self.read_token()}"}
        if self.cluster is not None:
            headers[CLUSTER_HEADER] = self.cluster
        return headers

    def read_token(self) -> str:
        """Return the token as it stands now."""
        if self.token_file is not None:
            try:
                return self.token_file.read_text().strip()
            except OSError as error:
                raise FatalError(f"The token file cannot be read: {error}") from error
        if self.token is None:
            raise FatalError("There is no token: set FLEETWATCH_TOKEN or --token-file.")
        return self.token.strip()

    def instance(self) -> str:
        """Return the name of this installation of the agent, made at its first start.

        By it the aggregator knows a restarted agent from a second one.
        """
        path = self.home / INSTANCE_FILE
        try:
            if path.exists() and (name := path.read_text().strip()):
                return name
            self.home.mkdir(parents=True, exist_ok=True)
            name = str(uuid.uuid4())
            partial = path.with_name(f"{INSTANCE_FILE}.{os.getpid()}")
            partial.write_text(name)
            partial.replace(path)
        except OSError as error:
            log.warning(
                "%s cannot be used (%s): after a restart, the aggregator refuses this agent until "
                "it has missed it for three heartbeats",
                self.home,
                error,
            )
            return str(uuid.uuid4())
        return name


def check_url(url: str) -> str:
    """Return the aggregator's address without a slash at its end."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise FatalError(f"{url!r} is no address of an aggregator: it begins with https://.")
    return url.rstrip("/")


@dataclass(frozen=True)
class Local:
    """The `fleetwatch up` that runs on this machine."""

    url: str
    token: str | None  # an administrator's


def find_local(home: Path) -> Local | None:
    """Read what `fleetwatch up` leaves in its home folder while it runs."""
    try:
        state = json.loads((home / "up.json").read_text())
        os.kill(int(state["pid"]), 0)
        url = str(state["url"])
    except PermissionError:
        return None  # another user's
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        token = (home / "admin-token").read_text().strip() or None
    except OSError:
        token = None
    return Local(url, token)


def data_folder(application: str) -> Path:
    """Where the data of a user's programs belongs; for fleetwatch as platformdirs has it."""
    if sys.platform == "darwin":
        return Path("~/Library/Application Support").expanduser() / application
    base = os.environ.get("XDG_DATA_HOME", "").strip()
    return (Path(base) if base else Path("~/.local/share").expanduser()) / application
