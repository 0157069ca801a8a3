"""Speaking to a running aggregator over HTTP, and finding it.

`FLEETWATCH_URL` and `FLEETWATCH_TOKEN` say where and as whom; without them it is the `fleetwatch up`
that runs on this machine. The local administrator's token is never sent to any other address.
"""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aggregator.cli.home import Home, default_home

if TYPE_CHECKING:  # a tenth of a second that `--help` need not take
    import httpx

TIMEOUT = 120.0  # seconds
CONNECT_TIMEOUT = 10.0  # seconds

Command = TypeVar("Command", bound=Callable[..., Any])


class RequestError(click.ClickException):
    """A request that failed; the message says what was attempted and what to do."""


class AnswerError(RequestError):
    """The server answered with GraphQL errors. `answer` is the whole of it."""

    def __init__(self, answer: dict[str, Any], advice: str = "") -> None:
        super().__init__("\n".join(_describe(error) for error in answer["errors"]) + advice)
        self.answer = answer


@dataclass(frozen=True)
class Server:
    """Where a server is and what opens it."""

    url: str
    token: str
    is_local: bool
    ca_file: Path | None = None  # None trusts what the system trusts


def home_option(command: Command) -> Command:
    """Add --home."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="FLEETWATCH_HOME",
        show_envvar=True,
        default=default_home,
        help="The folder of the local `fleetwatch up`.  [default: the user's data folder]",
    )(command)


def server_options(command: Command) -> Command:
    """Add the options that say which server a command speaks to."""
    command = click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="FLEETWATCH_CA_FILE",
        show_envvar=True,
        help="Certificates to trust instead of the system's.",
    )(command)
    command = click.option(
        "--token",
        envvar="FLEETWATCH_TOKEN",
        show_envvar=True,
        help="An API token; other users of this machine see what stands on a command line, so "
        "better set the variable.",
    )(command)
    command = click.option(
        "--url",
        envvar="FLEETWATCH_URL",
        show_envvar=True,
        help="The server's address.  [default: the running `fleetwatch up`]",
    )(command)
    return home_option(command)


def find_server(
    *, url: str | None, token: str | None, home: Path, ca_file: Path | None = None
) -> Server:
    """Decide where to ask and as whom."""
    folder = Home(home)
    local = folder.running_url()
    if url is not None:
        url = url.rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise click.UsageError(f"{url!r} is no address; it begins with http:// or https://.")
    is_local = url is None or url == local
    if url is None:
        url = local
    if url is None:
        raise RequestError(
            f"There is no server to ask: FLEETWATCH_URL is not set, and no `fleetwatch up` runs on "
            f"{folder.folder}. Start one with `fleetwatch up`, or set FLEETWATCH_URL and "
            "FLEETWATCH_TOKEN."
        )
    if token is None and is_local:
        token = folder.read_token()
    if token is None:
        raise RequestError(
            f"There is no token for {url}: set FLEETWATCH_TOKEN. "
            "An administrator makes one with `fleetwatch token create`."
        )
    return Server(url=url, token=token.strip(), is_local=is_local, ca_file=ca_file)


class Client:
    """Requests to one server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and return `data`. GraphQL errors are raised as AnswerError."""
        data: dict[str, Any] = self.answer(query, variables)["data"]
        return data

    def answer(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and return the whole answer."""
        body = {"query": query, "variables": variables or {}}
        return self._request("POST", "/graphql", body)

    def rows(self, query: str, variables: dict[str, Any], accept: str) -> Iterator[bytes]:
        """Ask for the rows of a connection in another format, and yield them as they come."""
        url = f"{self.server.url}/graphql"
        body = {"query": query, "variables": variables}
        with self._failing(url), self._open() as client:
            headers = {"Accept": accept}
            with client.stream("POST", url, json=body, headers=headers) as response:
                if not response.headers.get("content-type", "").startswith(accept):
                    response.read()
                    self._read(response)
                    raise RequestError(f"{url} does not answer with {accept}: is it an older one?")
                yield from response.iter_bytes()

    def get(self, path: str) -> dict[str, Any]:
        """Read a resource that GraphQL has no field for."""
        return self._request("GET", path, None)

    def post(self, path: str) -> dict[str, Any]:
        """Create a resource that GraphQL has no field for."""
        return self._request("POST", path, None)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        url = self.server.url + path
        with self._failing(url), self._open() as client:
            response = client.request(method, url, json=body)
        return self._read(response)

    @contextmanager
    def _failing(self, url: str) -> Iterator[None]:
        """Say what was attempted where a request fails."""
        import httpx

        try:
            yield
        except httpx.ConnectError as error:
            raise RequestError(
                f"{self.server.url} cannot be reached: {error}. Is it running?"
            ) from error
        except httpx.TimeoutException as error:
            raise RequestError(f"{url} did not answer within {TIMEOUT:.0f} s.") from error
        except httpx.HTTPError as error:
            raise RequestError(f"Asking {url} failed: {error}") from error

    def _open(self) -> "httpx.Client":
        import httpx

        context = None
        if self.server.ca_file is not None:
            context = ssl.create_default_context(cafile=self.server.ca_file)
        return httpx.Client(
            headers={"Authorization": f"Bearer {self.server.token}"},
            timeout=httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT),
            verify=True if context is None else context,
            trust_env=not self.server.is_local,  # no proxy stands before this machine
        )

    def _read(self, response: "httpx.Response") -> dict[str, Any]:
        try:
            answer = json.loads(response.content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RequestError(
                f"{response.url} answered {response.status_code} and not with JSON: is it the "
                "address of fleetwatch?"
            )
        if answer.get("errors"):
            unknown = response.status_code == 401  # noqa: PLR2004 - HTTP's
            advice = "\nSet FLEETWATCH_TOKEN to a valid token." if unknown else ""
            raise AnswerError(answer, advice)
        return answer


def _describe(error: dict[str, Any]) -> str:
    message = str(error.get("message", "unknown error"))
    path = error.get("path")
    where = ".".join(str(step) for step in path) + ": " if path else ""
    locations = error.get("locations")
    at = ""
    if locations:
        at = f" (line {locations[0].get('line')}, column {locations[0].get('column')})"
    return f"{where}{message}{at}"
