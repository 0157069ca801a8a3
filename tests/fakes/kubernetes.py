"""A Kubernetes API server for the tests: small, and true where the agent can tell the difference.

Resource versions of one counter; lists in pages from a snapshot, with continue tokens that expire;
watches from a version with history, an in-stream 410 once it is compacted, bookmarks and
timeoutSeconds; streamed lists; 429 while a storage starts; 403, 401 and 404 with Status bodies;
discovery, aggregated and plain; PartialObjectMetadata. `tests/realapi` runs the same agent against
the real thing. Faults come on demand: see the methods under "Faults".

    async with FakeKubernetes() as fake:
        fake.serve(VULNERABILITY_REPORTS)
        fake.put({"apiVersion": "v1", "kind": "Pod", "metadata": {...}, ...})
        api = Api(fake.login())             # or a kubeconfig: fake.write_kubeconfig(path)
        fake.delete("Pod", "default", "nginx-1")
"""

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.fakes import discovery
from tests.fakes.resources import BUILT_IN, ResourceType
from tests.fakes.storage import Body, Changed, GoneError, Place, Revision, Store, Stored, encode

BOOKMARK_SECONDS = 60.0  # as the real one
BOOKMARK_BEFORE_END_SECONDS = 2.0
GIT_VERSION = "v1.36.0"


@dataclass(frozen=True)
class Request:
    """One request as it was answered; `status` 0 where the connection was cut.

    `size` is that of the body in bytes; 0 of a watch.
    """

    path: str
    query: dict[str, str]
    status: int
    accept: str = ""
    size: int = 0

    @property
    def watches(self) -> bool:
        return self.query.get("watch") in ("1", "true", "True")


@dataclass
class Fault:
    """What happens to requests whose path and query match, `times` times."""

    pattern: re.Pattern[str]
    status: int = 0  # 0 cuts the connection instead of answering
    retry_after: int | None = None
    message: str = "a fault on demand"
    times: int = 1


@dataclass
class _AnswerError(Exception):
    """An error as HTTP and Status."""

    status: int
    reason: str
    message: str
    retry_after: int | None = None
    proceed: str = ""

    def body(self) -> dict[str, Any]:
        metadata = {"continue": self.proceed} if self.proceed else {}
        details = {} if self.retry_after is None else {"retryAfterSeconds": self.retry_after}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.status,
        }


@dataclass(eq=False)
class _Stream:
    """A watch under way."""

    store: Store
    transport: asyncio.BaseTransport | None
    injected: list[bytes] = field(default_factory=list)
    queue: list[Changed] = field(default_factory=list)


class FakeKubernetes:
    """The server. Change the world through its methods; read `requests` for what was asked."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, core: bool = True) -> None:
        self.requests: list[Request] = []
        self.streams_lists = "yes"  # or "refuse" (422), "ignore" (as 1.20 does), "fail" (500)
        self.aggregated_discovery = True
        self.lists_metadata = True  # False is a server that does not know PartialObjectMetadata
        self.bookmark_seconds = BOOKMARK_SECONDS
        self.tokens: set[str] | None = None  # None lets everybody in
        self.answers_after = 0.0  # seconds of delay before each answer
        self.silent = False  # watches are accepted and never say anything
        self._host, self._port = host, port
        self._revision = Revision()
        self._types: dict[tuple[str, str], ResourceType] = {}
        self._stores: dict[tuple[str, str], Store] = {}
        self._forbidden: set[tuple[str, str]] = set()
        self._starting: dict[tuple[str, str], float] = {}  # until when, by the loop's clock
        self._faults: list[Fault] = []
        self._streams: set[_Stream] = set()
        self._runner: web.AppRunner | None = None
        for resource in BUILT_IN if core else ():
            self.serve(resource)
        if core:
            self.put(_namespace("kube-system"))
            self.put(_namespace("default"))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; a stopped server comes back on the same port."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection and the port."""
        self.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def restart(self, *, down: float = 0.0, starting: float = 0.0) -> None:
        """Go away for `down` seconds and come back without history, starting for `starting`."""
        await self.stop()
        for store in self._stores.values():
            store.compact()
        await asyncio.sleep(down)
        until = asyncio.get_running_loop().time() + starting
        self._starting = dict.fromkeys(self._stores, until) if starting else {}
        await self.start()

    # How to reach it

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def kubeconfig(self, *, token: str = "") -> dict[str, Any]:
        """A kubeconfig's content for this server."""
        user = {"token": token} if token else {}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "current-context": "fake",
        }

    def write_kubeconfig(self, path: Path, *, token: str = "") -> Path:
        """Write a kubeconfig for this server; JSON is YAML."""
        path.write_bytes(encode(self.kubeconfig(token=token)))
        return path

    def login(self, *, token: str = "") -> Callable[[], Awaitable[Any]]:
        """What `agent.kubernetes.Api` takes, without a file."""
        from agent import kubeconfig

        async def login() -> Any:
            configuration = kubeconfig.load("client.configuration").Configuration()
            configuration.host = self.url
            if token:
                configuration.api_key["BearerToken"] = f"Bearer {token}"
            return configuration

        return login

    # What it serves

    def serve(self, resource: ResourceType, *, starting: float = 0.0) -> None:
        """Serve a resource, as creating its CRD does; answer 429 for `starting` seconds."""
        key = (resource.group, resource.plural)
        self._types[key] = resource
        self._stores.setdefault(key, Store(self._revision))
        if starting:
            self._starting[key] = asyncio.get_running_loop().time() + starting

    def install(self, crd: dict[str, Any]) -> ResourceType:
        """Serve what a CustomResourceDefinition says."""
        spec = crd["spec"]
        resource = ResourceType(
            group=spec["group"],
            versions=tuple(one["name"] for one in spec["versions"] if one.get("served", True)),
            plural=spec["names"]["plural"],
            kind=spec["names"]["kind"],
            namespaced=spec["scope"] == "Namespaced",
        )
        self.serve(resource)
        return resource

    def withdraw(self, resource: ResourceType) -> None:
        """Serve a resource no more, as deleting its CRD does: its objects go first."""
        key = (resource.group, resource.plural)
        store = self._stores[key]
        for place in list(store.objects):
            store.delete(place)
        del self._types[key]
        del self._stores[key]
        store.wake()

    def forbid(self, resource: ResourceType) -> None:
        """Answer 403 from now on; watches under way go on, as they do in truth."""
        self._forbidden.add((resource.group, resource.plural))

    def allow(self, resource: ResourceType) -> None:
        self._forbidden.discard((resource.group, resource.plural))

    # Objects

    def put(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Create or replace an object. Returns it as it stands, with uid and resourceVersion."""
        store, place = self._locate(obj["apiVersion"], obj["kind"], obj["metadata"])
        before = store.objects.get(place)
        metadata = {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "uid": _uid(before) if before else str(uuid.uuid4()),
            **obj["metadata"],
        }
        obj = {**obj, "metadata": metadata}

        def make(revision: int) -> bytes:
            metadata["resourceVersion"] = str(revision)
            return encode(obj)

        store.put(place, make)
        return obj

    def put_raw(
        self, api_version: str, kind: str, place: Place, make: Callable[[int], Body]
    ) -> None:
        """Put bytes in an object's place, valid or not; `make` gets the revision."""
        metadata = {"namespace": place[0], "name": place[1]}
        store, place = self._locate(api_version, kind, metadata)
        store.put(place, make)

    def delete(self, kind: str, namespace: str, name: str, *, group: str | None = None) -> bool:
        """Delete an object; `group` only where two groups have the kind."""
        return self._store(kind, group).delete((namespace, name))

    def objects(self, kind: str, *, group: str | None = None) -> dict[Place, dict[str, Any]]:
        """All objects of a kind, decoded."""
        stored = self._store(kind, group).objects.values()
        return {one.place: msgspec.json.decode(one.encoded()) for one in stored}

    # Faults

    def fail(
        self,
        pattern: str,
        *,
        status: int = 500,
        times: int = 1,
        retry_after: int | None = None,
    ) -> None:
        """Answer so where the regular expression is found in path?query; status 0 cuts."""
        self._faults.append(Fault(re.compile(pattern), status, retry_after, times=times))

    def cut(self, resource: ResourceType | None = None) -> None:
        """Reset watches under way, of one resource or of all."""
        for stream in self._streams_of(resource):
            if isinstance(stream.transport, asyncio.WriteTransport):
                stream.transport.abort()

    def inject(self, resource: ResourceType, data: bytes) -> None:
        """Send bytes into the watches of a resource: broken lines, unknown events."""
        for stream in self._streams_of(resource):
            stream.injected.append(data)
            stream.store.wake()

    def compact(self) -> None:
        """Forget history: versions handed out so far are too old, watches under way go on."""
        for store in self._stores.values():
            store.compact()

    def expire_tokens(self) -> None:
        """Let the continue tokens handed out so far expire."""
        for store in self._stores.values():
            store.expire_tokens()

    def watches(self, resource: ResourceType) -> int:
        """How many watches of a resource are under way."""
        return len(self._streams_of(resource))

    # Requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        at = len(self.requests)
        self.requests.append(Request(request.path, query, 0, request.headers.get("Accept", "")))
        try:
            if self.answers_after:
                await asyncio.sleep(self.answers_after)
            self._check_faults(request)
            self._check_token(request)
            response = await self._route(request, query)
        except _AnswerError as exc:
            headers = {} if exc.retry_after is None else {"Retry-After": str(exc.retry_after)}
            response = _json(exc.body(), status=exc.status, headers=headers)
        body = response.body if isinstance(response, web.Response) else None
        self.requests[at] = Request(
            request.path,
            query,
            response.status,
            request.headers.get("Accept", ""),
            len(body) if isinstance(body, bytes) else 0,
        )
        return response

    def _check_faults(self, request: web.Request) -> None:
        for fault in self._faults:
            if fault.pattern.search(request.path_qs):
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                if not fault.status:
                    if request.transport is not None:
                        request.transport.abort()
                    raise web.HTTPBadRequest  # nobody is there to read it
                raise _AnswerError(fault.status, "Fault", fault.message, fault.retry_after)

    def _check_token(self, request: web.Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens is not None and token not in self.tokens:
            raise _AnswerError(401, "Unauthorized", "Unauthorized")

    async def _route(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if request.path == "/version":
            return _json({"major": "1", "minor": "36", "gitVersion": GIT_VERSION})
        document = discovery.document(
            parts,
            self._types.values(),
            accept=request.headers.get("Accept", "") if self.aggregated_discovery else "",
        )
        if document is not None:
            etag = discovery.etag(document)
            if request.headers.get("If-None-Match") == etag:
                return web.Response(status=304, headers={"ETag": etag})
            return _json(document, headers={"ETag": etag})
        resource, version, namespace, name = self._parse(parts)
        key = (resource.group, resource.plural)
        if key in self._forbidden:
            verb = "watch" if "watch" in query else "get" if name else "list"
            message = f'{resource.plural} is forbidden: cannot {verb} resource "{resource.plural}"'
            raise _AnswerError(403, "Forbidden", message)
        if asyncio.get_running_loop().time() < self._starting.get(key, 0.0):
            raise _AnswerError(429, "TooManyRequests", "storage is (re)initializing", 1)
        accept = self._negotiate(request.headers.get("Accept", ""), alone=bool(name), query=query)
        shape = _Shape(resource, version, accept)
        if name:
            return self._get(shape, (namespace or "", name))
        if query.get("watch") in ("1", "true", "True"):
            return await self._watch(request, shape, query, namespace)
        return self._list(shape, query, namespace)

    def _negotiate(self, accept: str, *, alone: bool, query: dict[str, str]) -> str:
        """Choose of what is accepted, the first that can be had; 406 where nothing can."""
        single = alone or "watch" in query
        wanted = "PartialObjectMetadata" if single else "PartialObjectMetadataList"
        for clause in accept.split(","):
            kind = dict(one.strip().partition("=")[::2] for one in clause.split(";")).get("as")
            if kind is None or (self.lists_metadata and kind == wanted):
                return clause
            if self.lists_metadata:
                break  # known, and not what this request is for
        message = f"only the following media types are accepted: application/json, not {accept}"
        raise _AnswerError(406, "NotAcceptable", message)

    def _parse(self, parts: list[str]) -> tuple[ResourceType, str, str | None, str]:
        group, rest = ("", parts[1:]) if parts[0] == "api" else ("".join(parts[1:2]), parts[2:])
        if len(rest) < 2:
            raise _AnswerError(404, "NotFound", "the server could not find the requested resource")
        version, rest = rest[0], rest[1:]
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource = self._types.get((group, rest[0]))
        if resource is None or version not in resource.versions:
            raise _AnswerError(404, "NotFound", "the server could not find the requested resource")
        return resource, version, namespace, rest[1] if len(rest) > 1 else ""

    def _get(self, shape: "_Shape", place: Place) -> web.Response:
        stored = self._stores[shape.key].objects.get(place)
        if stored is None:
            raise _AnswerError(404, "NotFound", f'{shape.resource.plural} "{place[1]}" not found')
        return web.Response(body=shape.encode(stored), content_type="application/json")

    def _list(self, shape: "_Shape", query: dict[str, str], namespace: str | None) -> web.Response:
        version = query.get("resourceVersion", "")
        if version and not version.isdecimal():
            raise _AnswerError(500, "InternalError", f"Invalid value: {version}")
        if version and int(version) > self._revision.now:
            raise _AnswerError(504, "Timeout", "Too large resource version", 1)
        try:
            page = self._stores[shape.key].page(
                limit=int(query.get("limit") or 0),
                proceed=query.get("continue", ""),
                namespace=namespace,
            )
        except GoneError as exc:
            message = "The provided continue parameter is too old"
            raise _AnswerError(410, "Expired", message, proceed=exc.proceed) from exc
        metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
        if page.proceed:
            metadata |= {"continue": page.proceed, "remainingItemCount": page.remaining}
        items = b",".join(shape.encode(stored) for stored in page.items)
        body = b"".join(
            (
                b'{"apiVersion":',
                encode(shape.list_version),
                b',"items":[',
                items,
                b'],"kind":',
                encode(shape.list_kind),
                b',"metadata":',
                encode(metadata),
                b"}",
            )
        )
        return web.Response(body=body, content_type="application/json")

    # Watches

    async def _watch(
        self,
        request: web.Request,
        shape: "_Shape",
        query: dict[str, str],
        namespace: str | None,
    ) -> web.StreamResponse:
        streamed = query.get("sendInitialEvents") == "true"
        if streamed and self.streams_lists == "refuse":
            message = "sendInitialEvents is forbidden for watch unless WatchList is enabled"
            raise _AnswerError(422, "Invalid", message)
        if streamed and query.get("resourceVersionMatch") != "NotOlderThan":
            raise _AnswerError(422, "Invalid", "resourceVersionMatch: Forbidden")
        version = query.get("resourceVersion", "")
        if version and not version.isdecimal():
            raise _AnswerError(500, "InternalError", f"Invalid value: {version}")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        stream = _Stream(self._stores[shape.key], request.transport)
        self._streams.add(stream)
        try:
            async with asyncio.timeout(float(query.get("timeoutSeconds") or 1800)):
                await response.write(b"")
                if self.silent:
                    await asyncio.Event().wait()
                async for line in self._events(stream, shape, query, namespace):
                    await response.write(line)
        except TimeoutError:
            pass
        except ConnectionError:
            return response
        finally:
            self._streams.discard(stream)
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
        return response

    async def _events(
        self,
        stream: _Stream,
        shape: "_Shape",
        query: dict[str, str],
        namespace: str | None,
    ) -> AsyncIterator[bytes]:
        """Lines of a watch, for ever; the caller ends them at timeoutSeconds."""
        store, version = stream.store, int(query.get("resourceVersion") or 0)
        streamed = query.get("sendInitialEvents") == "true"
        if streamed and self.streams_lists == "fail":
            yield _line("ERROR", encode(_AnswerError(500, "InternalError", "no list").body()))
            return
        if version:
            try:
                stream.queue.extend(store.since(version))
            except GoneError:
                message = f"too old resource version: {version} ({store.compacted})"
                yield _line("ERROR", encode(_AnswerError(410, "Expired", message).body()))
                return
            initial: list[Stored] = []
        else:
            initial = [store.objects[place] for place in sorted(store.objects)]
            version = self._revision.now
        store.subscribers.append(stream.queue)
        try:
            for stored in initial:
                if namespace in (None, stored.place[0]):
                    yield _line("ADDED", shape.encode(stored))
            if streamed and self.streams_lists == "yes":
                yield shape.bookmark(version, end=True)
            async for line in self._changes(stream, shape, query, namespace):
                yield line
        finally:
            store.subscribers = [one for one in store.subscribers if one is not stream.queue]

    async def _changes(
        self, stream: _Stream, shape: "_Shape", query: dict[str, str], namespace: str | None
    ) -> AsyncIterator[bytes]:
        store = stream.store
        clock = asyncio.get_running_loop().time
        ends = clock() + float(query.get("timeoutSeconds") or 1800)
        last_bookmark_at = max(ends - BOOKMARK_BEFORE_END_SECONDS, clock())
        bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        bookmark_at = min(clock() + self.bookmark_seconds, last_bookmark_at)
        while True:
            changed = store.changed
            while stream.queue:
                event = stream.queue.pop(0)
                if namespace in (None, event.object.place[0]):
                    yield _line(event.type, shape.encode(event.object))
            while stream.injected:
                yield stream.injected.pop(0)
            if self._stores.get(shape.key) is not store:
                return  # the CRD is gone
            if store.changed is not changed:
                continue
            if clock() >= bookmark_at:
                if bookmarks:
                    yield shape.bookmark(self._revision.now)
                bookmark_at = clock() + self.bookmark_seconds
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(bookmark_at - clock(), 0.01)):
                    await changed.wait()

    # Looking up

    def _streams_of(self, resource: ResourceType | None) -> list[_Stream]:
        if resource is None:
            return list(self._streams)
        store = self._stores.get((resource.group, resource.plural))
        return [stream for stream in self._streams if stream.store is store]

    def _store(self, kind: str, group: str | None) -> Store:
        for key, resource in self._types.items():
            if resource.kind == kind and group in (None, resource.group):
                return self._stores[key]
        raise LookupError(f"{kind} is not served")

    def _locate(self, api_version: str, kind: str, metadata: dict[str, Any]) -> tuple[Store, Place]:
        group = api_version.rpartition("/")[0]
        return self._store(kind, group), (metadata.get("namespace") or "", metadata["name"])


class _Partial(msgspec.Struct):
    """An object of which the rest is not looked at."""

    metadata: msgspec.Raw


@dataclass(frozen=True)
class _Shape:
    """How objects of a resource are encoded for one request."""

    resource: ResourceType
    version: str
    accept: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.resource.group, self.resource.plural)

    @property
    def api_version(self) -> str:
        group = self.resource.group
        return f"{group}/{self.version}" if group else self.version

    @property
    def partial(self) -> bool:
        return "as=PartialObjectMetadata" in self.accept

    @property
    def list_version(self) -> str:
        return "meta.k8s.io/v1" if self.partial else self.api_version

    @property
    def list_kind(self) -> str:
        return "PartialObjectMetadataList" if self.partial else f"{self.resource.kind}List"

    def encode(self, stored: Stored) -> bytes:
        body = stored.encoded()
        if not self.partial:
            return body
        partial = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
        return encode(partial | {"metadata": msgspec.json.decode(body, type=_Partial).metadata})

    def bookmark(self, version: int, *, end: bool = False) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
        if end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"apiVersion": self.api_version, "kind": self.resource.kind, "metadata": metadata}
        return _line("BOOKMARK", encode(obj))


def _uid(stored: Stored) -> str:
    with contextlib.suppress(msgspec.DecodeError, KeyError):
        uid: str = msgspec.json.decode(stored.encoded())["metadata"]["uid"]
        return uid
    return str(uuid.uuid4())


def _line(event: str, obj: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (event.encode(), obj)


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=encode(value), status=status, headers=headers, content_type="application/json"
    )


def _namespace(name: str) -> dict[str, Any]:
    labels = {"kubernetes.io/metadata.name": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
