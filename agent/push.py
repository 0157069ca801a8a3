"""Sends reports from files through the same protocol as an agent: a session that ends.

The kinds in the input replace what the aggregator holds of them; with `add` they only come on
top. Nothing is sent before every file has been read, so half an input never deletes anything.
"""

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import zstandard
from msgspec import Struct

from agent import manifests
from agent.backoff import Backoff
from agent.entries import Writer
from agent.errors import FatalError
from agent.inventory import Inventory
from agent.reports import Reports, Watched
from agent.resource import Resource
from agent.session import ProtocolError
from agent.settings import Settings
from agent.state import Change, Place, State
from agent.uplink import RefusedError, Uplink
from protocol import messages as m
from sources import registry
from sources.report import Kind

OUT_OF_REACH = 60.0  # seconds that the aggregator may be out of reach
POLL = 0.02  # seconds between looks at whether all is committed
COMPRESSION = 1  # zstd's level for objects that wait

_compress = zstandard.ZstdCompressor(level=COMPRESSION).compress
_decompress = zstandard.ZstdDecompressor().decompress


class Outcome(Struct, frozen=True):
    """What a push did, in reports."""

    sent: int
    unchanged: int
    ignored: int  # objects of kinds that no source reads
    repeated: tuple[str, ...]  # objects that came more than once; the last one counts
    failed: tuple[tuple[str, m.Key, str], ...]  # kind, key and reason

    @property
    def summary(self) -> str:
        """The counts, in a line."""
        counts = f"{self.sent} sent, {self.unchanged} unchanged, {len(self.failed)} failed"
        if self.repeated:
            counts += f", {len(self.repeated)} replaced by a later object of the same name"
        if self.ignored:
            counts += f", {self.ignored} objects of other kinds ignored"
        return counts

    @property
    def failures(self) -> list[str]:
        """Each report that failed, with the reason."""
        return [
            f"{kind.rpartition('/')[2]} {'/'.join(filter(None, (key.namespace, key.name)))}: {why}"
            for kind, key, why in self.failed
        ]


class Input:
    """What was read from files: the state of a cluster without a cluster.

    It is the outlet of its own reading, to learn what failed, and hands all on to `uplink`.
    """

    def __init__(self) -> None:
        self.state = State()
        self.uplink: Uplink | None = None
        self.failures_sent = 0
        self.ignored = 0
        self.repeated: list[str] = []  # objects of which a later one took the place
        self._objects: dict[str, dict[Place, tuple[bytes, str]]] = {}  # with what is wrong
        self._watched: dict[str, Watched] = {}
        self.failed: dict[tuple[str, m.Key], str] = {}
        self._inventory = Inventory()  # of nothing: owners come from labels, all is live
        self._reports = Reports(self._inventory, Writer(self.state, self))

    async def changed(self, change: Change) -> None:
        """Take a new or changed entry."""
        entry = (change.kind, change.item.key)
        if isinstance(change.item.body, m.Failure):
            self.failed[entry] = change.item.body.reason
            if self.uplink is not None and self.uplink.connected:
                self.failures_sent += 1
        else:
            self.failed.pop(entry, None)
        if self.uplink is not None:
            await self.uplink.changed(change)

    async def deleted(self, kind: str, keys: tuple[m.Key, ...], observed_at: int) -> None:
        """Take entries that a later document of the same object no longer has."""
        for key in keys:
            self.failed.pop((kind, key), None)
        if self.uplink is not None:
            await self.uplink.deleted(kind, keys, observed_at)

    async def state_changed(self, kind: str) -> None:
        """Take note of a kind's state; it is complete before anything is sent."""

    async def load(self, paths: Iterable[str]) -> None:
        """Read every file. Raises `manifests.ManifestError`."""
        listed: set[tuple[str, str]] = set()
        for where, found in manifests.read(paths, listed=listed):
            await self._put(where, found)
        for api_version, kind in listed:
            if (api_version.rpartition("/")[0], kind) in registry.kinds():
                self.state.kind(f"{api_version.rpartition('/')[0]}/{kind}")
        while self._inventory.touched:  # a later report may supersede an earlier one
            touched, self._inventory.touched = self._inventory.touched, set()
            for kind, place in list(self._reports.subjects.changed(touched)):
                await self._read(kind, place)
        for kind in self.state.kinds:
            await self._reports.writer.settle(kind, m.KindState.SYNCED, "")

    async def resend(self, kind: str, keys: Iterable[m.Key]) -> None:
        """Put entries in again."""
        wanted: dict[Place, set[str]] = {}
        for key in keys:
            wanted.setdefault((key.namespace, key.name), set()).add(key.sub)
        for place, subs in wanted.items():
            if place in self._objects.get(kind, {}):
                await self._read(kind, place, again=frozenset(subs))

    async def _read(self, kind: str, place: Place, *, again: frozenset[str] = frozenset()) -> None:
        compressed, fault = self._objects[kind][place]
        raw = _decompress(compressed)
        if fault:
            await self._reports.fail(kind, place, fault, len(raw), again=again)
        else:
            await self._reports.put(self._watched[kind], place, raw, again=again)

    async def _put(self, where: str, found: dict[str, Any]) -> None:
        group, _, served = str(found.get("apiVersion", "")).rpartition("/")
        known = registry.kinds().get((group, found["kind"]))
        if known is None:
            self.ignored += 1
            return
        kind, source = known
        name = f"{group}/{kind.kind}"
        raw = json.dumps(found).encode()
        place, fault = _place(kind, found, raw), ""
        watched = Watched(name, kind, source, Resource(group, served, kind.plural))
        self._watched[name] = watched
        if served not in kind.versions:
            fault = f"apiVersion {group}/{served} is not read, only {', '.join(kind.versions)}"
        if place in self._objects.get(name, {}):
            self.repeated.append(f"{kind.kind} {'/'.join(filter(None, place))}: again in {where}")
        self._objects.setdefault(name, {})[place] = (
            _compress(raw),
            f"{where}: {fault}" if fault else "",
        )
        await self._read(name, place)


def _place(kind: Kind, found: dict[str, Any], raw: bytes) -> Place:
    """Namespace and name of an object; a fragment without a name is called after its content."""
    metadata = found.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    namespace, name = fields.get("namespace"), fields.get("name")
    if not kind.namespaced or not isinstance(namespace, str):
        namespace = ""
    if not isinstance(name, str) or not name:
        name = f"unnamed-{hashlib.sha256(raw).hexdigest()[:12]}"
    return _clean(namespace), _clean(name)


def _clean(text: str) -> str:
    """No Kubernetes name has a NUL, and Postgres takes none."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


async def push(settings: Settings, paths: Iterable[Path], *, add: bool = False) -> Outcome:
    """Send what the files hold and wait until it is committed. Raises `FatalError`."""
    given = Input()
    instance = uuid.uuid4().hex

    def hello() -> m.Hello:
        return m.Hello(
            versions=(m.VERSION,),
            formats={content.name: content.format for content in registry.contents().values()},
            agent_version=version("fleetwatch"),
            instance=instance,
            mode=m.Mode.PUSH,
            clock=time.time_ns() // 1_000_000,
        )

    uplink = Uplink(given.state, settings, hello, given.resend, partial=add)
    given.uplink = uplink
    try:
        await given.load(map(str, paths))
    except manifests.ManifestError as error:
        raise FatalError(f"Nothing was sent. {error}") from error
    if not given.state.kinds:
        raise FatalError(
            f"Nothing to push: of {given.ignored} objects none is of a kind that fleetwatch reads."
        )
    async with aiohttp.ClientSession() as client:
        await until_committed(uplink, client)
    return _outcome(given, uplink)


async def until_committed(uplink: Uplink, client: aiohttp.ClientSession) -> None:
    """Hold sessions until one has brought everything over."""
    backoff = Backoff()
    deadline = time.monotonic() + OUT_OF_REACH
    while True:
        session = asyncio.create_task(uplink.converse(client))
        try:
            while not session.done():
                if uplink.idle:
                    await uplink.close(m.Reason.DONE, "the push is complete")
                    await asyncio.wait([session], timeout=OUT_OF_REACH)
                    return
                if uplink.connected:
                    deadline = time.monotonic() + OUT_OF_REACH
                await asyncio.sleep(POLL)
            wait = session.result()
        except RefusedError as error:
            raise FatalError(str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ProtocolError) as error:
            uplink.failure = uplink.failure or str(error) or "no answer in time"
            wait = None
        finally:
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)
        wait = backoff.next() if wait is None else wait
        if time.monotonic() + wait > deadline:
            raise FatalError(uplink.failure or "the aggregator ended the session")
        await asyncio.sleep(wait)


def _outcome(given: Input, uplink: Uplink) -> Outcome:
    failed = given.failed | uplink.rejected
    total = sum(kind.count for kind in given.state.kinds.values())
    sent = max(0, uplink.sent - given.failures_sent - len(uplink.rejected))
    return Outcome(
        sent=sent,
        unchanged=max(0, total - sent - len(failed)),
        ignored=given.ignored,
        repeated=tuple(given.repeated),
        failed=tuple((kind, key, reason) for (kind, key), reason in failed.items()),
    )
