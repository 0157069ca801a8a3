"""etcd and apiextensions-apiserver on free loopback ports, with rights that tests can take away.

The server asks a stub of a few lines who a bearer token is and what it may do, so that 401 and 403
are its own. It has no core API: no pods, no namespaces.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.storage import encode

START_SECONDS = 60.0
TOKEN = "agent"

_SAN = "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class RealApi:
    """A real API server. `forbidden` are the plurals that the agent may not read."""

    def __init__(self, folder: Path, assets: Path) -> None:
        self.forbidden: set[str] = set()
        self.port = _free_port()
        self._folder = folder
        self._assets = assets
        self._etcd_port = _free_port()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stub: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start everything and wait until CRDs can be listed."""
        _make_certificates(self._folder)
        stub_port = await self._start_stub()
        config = _kubeconfig(f"http://127.0.0.1:{stub_port}", {})
        (self._folder / "none.kubeconfig").write_bytes(encode(config))
        tls = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
        tls.load_cert_chain(self._folder / "admin.crt", self._folder / "admin.key")
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{_free_port()}"
        await self._spawn(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        )
        await self.start_server()

    async def start_server(self) -> None:
        """Start the API server alone, as after `stop_server`."""
        none = self._folder / "none.kubeconfig"
        await self._spawn(
            "apiextensions-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={self._folder / 'server.crt'}",
            f"--tls-private-key-file={self._folder / 'server.key'}",
            f"--client-ca-file={self._folder / 'ca.crt'}",
            f"--kubeconfig={none}",
            f"--authentication-kubeconfig={none}",
            f"--authorization-kubeconfig={none}",
            "--authentication-skip-lookup",
            "--authentication-token-webhook-cache-ttl=1s",
            "--authorization-webhook-cache-authorized-ttl=1s",
            "--authorization-webhook-cache-unauthorized-ttl=1s",
            "--enable-priority-and-fairness=false",
            "--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionWebhook,"
            "ValidatingAdmissionWebhook,MutatingAdmissionPolicy,ValidatingAdmissionPolicy",
        )
        async with asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    status, _ = await self.request("GET", _CRDS)
                    if status == 200:
                        return
                await asyncio.sleep(0.1)

    async def stop_server(self) -> None:
        """Stop the API server; what etcd holds stays."""
        await self._end("apiextensions-apiserver")

    async def stop(self) -> None:
        """Stop everything, the API server before etcd."""
        for name in ("apiextensions-apiserver", "etcd"):
            await self._end(name)
        if self._session is not None:
            await self._session.close()
        if self._stub is not None:
            await self._stub.cleanup()

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask as the administrator."""
        assert self._session is not None
        data = None if body is None else encode(body)
        headers = {"Content-Type": "application/json"}
        async with self._session.request(
            method, self.url + path, data=data, headers=headers
        ) as response:
            body = await response.read()
            return response.status, json.loads(body) if body.startswith(b"{") else body

    async def install(self, crd: dict[str, Any]) -> None:
        """Create a CRD and wait until it is served."""
        status, answer = await self.request("POST", _CRDS, crd)
        assert status == 201, answer
        spec = crd["spec"]
        version = next(one["name"] for one in spec["versions"] if one["served"])
        await self.served(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")

    async def served(self, path: str, *, status: int = 200) -> None:
        """Wait until a path answers so."""
        async with asyncio.timeout(START_SECONDS):
            while (await self.request("GET", path))[0] != status:
                await asyncio.sleep(0.1)

    async def remove(self, crd: dict[str, Any]) -> None:
        """Delete a CRD and wait until it is gone."""
        path = f"{_CRDS}/{crd['metadata']['name']}"
        await self.request("DELETE", path)
        await self.served(path, status=404)

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the agent's kubeconfig."""
        path.write_bytes(
            encode(_kubeconfig(self.url, {"token": TOKEN}, ca=str(self._folder / "ca.crt")))
        )
        return path

    async def _spawn(self, name: str, *arguments: str) -> None:
        log = (self._folder / f"{name}.log").open("ab")
        with log:
            self._processes[name] = await asyncio.create_subprocess_exec(
                self._assets / name, *arguments, stdout=log, stderr=log
            )

    async def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _start_stub(self) -> int:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._review)
        self._stub = web.AppRunner(app, access_log=None)
        await self._stub.setup()
        await web.TCPSite(self._stub, "127.0.0.1", 0).start()
        port: int = self._stub.addresses[0][1]
        return port

    async def _review(self, request: web.Request) -> web.Response:
        """Say who a token is, and what it may do."""
        review = await request.json()
        if review["kind"] == "TokenReview":
            known = review["spec"]["token"] == TOKEN
            review["status"] = {"authenticated": known, "user": {"username": TOKEN}}
        else:
            asked = review["spec"].get("resourceAttributes") or {}
            reads = not asked or asked["verb"] in ("get", "list", "watch")
            review["status"] = {"allowed": reads and asked.get("resource") not in self.forbidden}
        return web.json_response(review, status=201)


def assets() -> Path | None:
    """Where the binaries are, if they are."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
    names = ("etcd", "apiextensions-apiserver")
    return folder if all((folder / name).exists() for name in names) else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kubeconfig(server: str, user: dict[str, Any], *, ca: str = "") -> dict[str, Any]:
    cluster = {"server": server} | ({"certificate-authority": ca} if ca else {})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "real", "cluster": cluster}],
        "users": [{"name": "real", "user": user}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real"}}],
        "current-context": "real",
    }


def _make_certificates(folder: Path) -> None:
    """Make a CA, the server's certificate, and the administrator's."""
    openssl = shutil.which("openssl")
    assert openssl is not None

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "san").write_text(_SAN)
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    run(*new, "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=fleetwatch tests")
    for name, subject in (("server", "/CN=127.0.0.1"), ("admin", "/O=system:masters/CN=admin")):
        run(*new[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        run(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile", "san",
        )  # fmt: skip
