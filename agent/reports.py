"""From an object of a report kind to the entries that are sent.

A source splits the object; the inventory says who owns the subject, which image runs and what is
superseded; the content gets its name. What cannot be read, for whatever reason, becomes one failed
entry in place of the object's others, and no object stops another one.

The object itself is let go at once. When something else has to be said about it, `agent.rereads`
reads it again; `alone` keeps that and the watch of its kind from overlapping.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Iterable

import msgspec
from msgspec import Raw, Struct

from agent import redact
from agent.entries import Writer, Written
from agent.inventory import Inventory, canonical
from agent.resource import Resource
from agent.state import Payload, Place
from agent.subjects import Held, Subjects
from protocol import content
from protocol.messages import Body, Failure, Image, KindState, Object, Report
from sources.report import ImageRef, Kind, Part, Source, UnreadableError

REASON_CHARACTERS = 500  # of a failed report; a reason may quote a value of any length

log = logging.getLogger(__name__)


class _Metadata(Struct, frozen=True):
    uid: str | None = None


class _Object(Struct, frozen=True):
    metadata: _Metadata


class Watched(Struct, frozen=True):
    """A report kind in the version that is watched; `name` is "group/Kind"."""

    name: str
    kind: Kind
    source: Source
    resource: Resource


class Reports:
    """All reports of the cluster, as context pointing at content."""

    def __init__(self, inventory: Inventory, writer: Writer) -> None:
        self.writer = writer
        self.subjects = Subjects(inventory)
        self._inventory = inventory
        self._locks: dict[tuple[str, Place], tuple[asyncio.Lock, int]] = {}  # with its users

    @contextlib.asynccontextmanager
    async def alone(self, name: str, place: Place) -> AsyncIterator[None]:
        """Let nobody else write the entries of an object meanwhile."""
        lock, users = self._locks.get((name, place)) or (asyncio.Lock(), 0)
        self._locks[name, place] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop((name, place))
            if users > 1:
                self._locks[name, place] = (lock, users - 1)

    async def put(
        self,
        watched: Watched,
        place: Place,
        raw: bytes | Raw,
        *,
        again: frozenset[str] = frozenset(),
    ) -> None:
        """Send what has changed of an object, and the sub-keys of `again` in any case."""
        try:
            parts, uid = split(watched, raw)
            held = tuple(_hold(watched.name, place, part) for part in parts)
            concerned = self.subjects.put(watched.name, place, held)
            for one in held:
                one.context = self.subjects.contextualise(one)
            written = self.compose(parts, held, uid)
        except Exception as exc:
            if not isinstance(exc, UnreadableError):
                log.exception("%s %s/%s: a fault of the agent", watched.name, *place)
            await self.fail(watched.name, place, reason(exc), len(memoryview(raw)), again=again)
            return
        self._freshen(watched.name, parts)
        await self.writer.put(watched.name, place, written, again=again)
        self._inventory.touch(*concerned)

    async def fail(
        self,
        name: str,
        place: Place,
        why: str,
        size: int,
        *,
        again: frozenset[str] = frozenset(),
    ) -> None:
        """Put a failed entry in place of all that an object had."""
        log.info("%s %s/%s (%d bytes) is not readable: %s", name, *place, size, why)
        concerned = self.subjects.put(name, place, ())
        failure = Failure(_clean(why)[:REASON_CHARACTERS], size or None)
        await self.writer.put(name, place, {"": (failure, None)}, again=again)
        self._inventory.touch(*concerned)

    async def gone(self, name: str, place: Place) -> None:
        """Delete the entries of an object."""
        concerned = self.subjects.put(name, place, ())
        await self.writer.put(name, place, {})
        self._inventory.touch(*concerned)

    async def let_go(self, name: str, message: str) -> None:
        """Forget a kind that the cluster does not serve, with all its entries."""
        concerned = self.subjects.forget(name)
        kind = self.writer.state.kind(name)
        kind.newest_report_at, kind.scanner = None, ""
        await self.writer.clear(name)
        await self.writer.settle(name, KindState.ABSENT, message)
        self._inventory.touch(*concerned)

    def unchanged(self, watched: Watched, place: Place, raw: bytes | Raw) -> Written:
        """Describe an object, if that gives what the state has of it; else nothing."""
        try:
            parts, uid = split(watched, raw)
            written = self.compose(
                parts, tuple(_hold(watched.name, place, part) for part in parts), uid
            )
        except Exception as exc:  # noqa: BLE001 - whatever it is, `put` will show it
            log.debug("%s %s/%s: %s", watched.name, *place, exc)
            return {}
        return written if self.writer.knows(watched.name, place, written) else {}

    def compose(self, parts: list[Part], held: tuple[Held, ...], uid: str) -> Written:
        """Describe an object's parts as they are sent."""
        written: Written = {}
        for part, one in zip(parts, held, strict=True):
            name = content.name(part.content_kind, part.format, part.content)
            body = self._body(part, one, name, uid)
            msgspec.msgpack.encode((part.sub_key, body))  # a lone surrogate fails here, not later
            payload = Payload(name, part.content_kind, part.format, part.content)
            written[part.sub_key] = (body, payload)
        return written

    def _body(self, part: Part, held: Held, name: bytes, uid: str) -> Body:
        owner, resolved = self._inventory.resolve(held.subject)
        return Report(
            content=name,
            source=part.source,
            subject=owner,
            resolved=resolved,
            superseded=self.subjects.superseded(held),
            container=part.container,
            image=self._image(part.image, held) if part.image else None,
            scanner=part.scanner,
            scanner_version=part.scanner_version,
            reported_at=part.reported_at,
            uid=uid,
            labels=part.labels,
        )

    def _image(self, reported: ImageRef, held: Held) -> Image:
        """Give a reported image the digest that runs: a reported one may be an image ID.

        Of several that run the reported one is kept, else the one of most pods is taken. A report
        on an image that no longer runs keeps its own digest, untrusted.
        """
        named = Image(reported.registry, reported.repository, reported.tag, reported.digest)
        running = {
            image: pods
            for image, pods in self._inventory.running(held.subject, held.container).items()
            if image.trusted
            and image.repository == named.repository
            and (image.tag == named.tag or not named.tag or not image.tag)
        }
        if not running:
            return named
        best = min(
            running, key=lambda image: (image.digest != named.digest, -running[image], image.digest)
        )
        return Image(named.registry, named.repository, named.tag, best.digest, trusted=True)

    def _freshen(self, name: str, parts: Iterable[Part]) -> None:
        """Keep when the newest report of the kind was made, and by what."""
        kind = self.writer.state.kind(name)
        for part in parts:
            newer = (part.reported_at or 0) >= (kind.newest_report_at or 0)
            if part.reported_at is not None and newer:
                kind.newest_report_at = part.reported_at
            if part.scanner and (newer or not kind.scanner):
                kind.scanner = f"{part.scanner} {part.scanner_version}".strip()


class ReportSink:
    """What the reflector of one report kind feeds. `missing` asks for a look at discovery."""

    def __init__(self, watched: Watched, reports: Reports, missing: asyncio.Event) -> None:
        self._watched = watched
        self._reports = reports
        self._missing = missing

    def known(self) -> Iterable[Place]:
        """All objects that have entries."""
        return self._reports.writer.state.kind(self._watched.name).objects

    async def put(self, place: Place, raw: bytes | Raw) -> None:
        """Take an object as it is now."""
        async with self._reports.alone(self._watched.name, place):
            await self._reports.put(self._watched, place, raw)

    async def unreadable(self, place: Place, why: str, size: int) -> None:
        """Take note of an object that is there and was not read."""
        async with self._reports.alone(self._watched.name, place):
            await self._reports.fail(self._watched.name, place, why, size)

    async def gone(self, place: Place) -> None:
        """Forget an object."""
        async with self._reports.alone(self._watched.name, place):
            await self._reports.gone(self._watched.name, place)

    async def settled(self, state: KindState, message: str) -> None:
        """Take note of how the kind stands. Whether it is absent is for discovery to say."""
        if state == KindState.ABSENT:
            self._missing.set()
        else:
            await self._reports.writer.settle(self._watched.name, state, message)


def split(watched: Watched, raw: bytes | Raw) -> tuple[list[Part], str]:
    """Decode and split an object. Returns its parts and its uid."""
    try:
        decoded = msgspec.json.decode(raw)
        uid = msgspec.json.decode(raw, type=_Object).metadata.uid or ""
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise UnreadableError(f"not decodable: {exc}") from exc
    except RecursionError as exc:
        raise UnreadableError("nested too deep") from exc
    if watched.kind.group in redact.POLICY_GROUPS:
        redact.redact_results(decoded)
    return watched.source.split(decoded), uid


def reason(exc: Exception) -> str:
    """Say why an object has failed, to users."""
    if isinstance(exc, UnreadableError):
        return str(exc)
    return f"a fault of the agent: {type(exc).__name__}"


def _hold(name: str, place: Place, part: Part) -> Held:
    subject, one = part.subject, sys.intern  # of texts that repeat, one is held
    return Held(
        name,
        place,
        part.sub_key,
        canonical(
            Object(one(subject.group), one(subject.kind), one(subject.namespace), one(subject.name))
        ),
        one(part.source),
        one(part.container) if part.image else "",
        part.reported_at or 0,
    )


def _clean(text: str) -> str:
    """Make text that msgpack and Postgres can hold."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
