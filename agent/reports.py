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
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from agent import redact
from agent.entries import Writer, Written
from agent.inventory import Inventory, canonical
from agent.outline import Outline, Outlined, outline, stamp_of
from agent.resource import Resource
from agent.state import Payload, Place
from agent.subjects import Held, Subjects
from protocol.messages import Body, Failure, Image, KindState, Object, Report
from sources.report import ImageRef, Kind, Part, Source, UnreadableError

if TYPE_CHECKING:
    from agent.memory import Memory

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
    maker: bytes = b""  # what outlines of it depend on beside the object (`agent.outline`)


class Reports:
    """All reports of the cluster, as context pointing at content."""

    def __init__(
        self,
        inventory: Inventory,
        writer: Writer,
        *,
        memory: "Memory | None" = None,  # None remembers nothing
    ) -> None:
        self.writer = writer
        self.subjects = Subjects(inventory)
        self._inventory = inventory
        self._memory = memory
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
            outlined = Outlined(uid, tuple(map(outline, parts)))
            held, concerned = self._hold(watched.name, place, outlined)
            bodies = self._compose(outlined, held)
        except Exception as exc:
            unreadable = isinstance(exc, UnreadableError)
            if not unreadable:
                log.exception("%s %s/%s: a fault of the agent", watched.name, *place)
            why, size = reason(exc), len(memoryview(raw))
            await self.fail(watched.name, place, why, size, again=again)
            if unreadable:
                self._remember(watched, place, raw, Outlined("", failure=failure(why, size)))
            return
        self._freshen(watched.name, outlined)
        written = _with_contents(bodies, parts, outlined)
        await self.writer.put(watched.name, place, written, again=again)
        self._remember(watched, place, raw, outlined)
        self._inventory.touch(*concerned)

    def restore(self, watched: Watched, place: Place, outlined: Outlined) -> set[Object]:
        """Take an object as it was when it was last read, and send nothing.

        Returns the subjects whose other reports may change, for the caller to touch.
        """
        held, concerned = self._hold(watched.name, place, outlined)
        bodies: dict[str, Body] = {**self._compose(outlined, held)}
        if outlined.failure is not None:
            bodies[""] = outlined.failure
        self._freshen(watched.name, outlined)
        self.writer.restore(watched.name, place, bodies)
        return concerned

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
        self._forget(name, place)
        await self.writer.put(name, place, {"": (failure(why, size), None)}, again=again)
        self._inventory.touch(*concerned)

    async def gone(self, name: str, place: Place) -> None:
        """Delete the entries of an object."""
        concerned = self.subjects.put(name, place, ())
        self._forget(name, place)
        await self.writer.put(name, place, {})
        self._inventory.touch(*concerned)

    async def let_go(self, name: str, message: str) -> None:
        """Forget a kind that the cluster does not serve, with all its entries."""
        concerned = self.subjects.forget(name)
        kind = self.writer.state.kind(name)
        kind.newest_report_at, kind.scanner = None, ""
        if self._memory is not None:
            await self._memory.forget_kind(name)
        await self.writer.clear(name)
        await self.writer.settle(name, KindState.ABSENT, message)
        self._inventory.touch(*concerned)

    def touch(self, subjects: Iterable[Object]) -> None:
        """Have the reports on these subjects looked at again."""
        self._inventory.touch(*subjects)

    def unchanged(self, watched: Watched, place: Place, raw: bytes | Raw) -> Written:
        """Describe an object, if that gives what the state has of it; else nothing."""
        try:
            parts, uid = split(watched, raw)
            outlined = Outlined(uid, tuple(map(outline, parts)))
            held = tuple(_at_rest(watched.name, place, one) for one in outlined.outlines)
            written = _with_contents(self._compose(outlined, held), parts, outlined)
        except Exception as exc:  # noqa: BLE001 - whatever it is, `put` will show it
            log.debug("%s %s/%s: %s", watched.name, *place, exc)
            return {}
        return written if self.writer.knows(watched.name, place, written) else {}

    def _hold(
        self, name: str, place: Place, outlined: Outlined
    ) -> tuple[tuple[Held, ...], set[Object]]:
        """Put an object's reports at rest. Returns them, and whose other reports may change."""
        held = tuple(_at_rest(name, place, one) for one in outlined.outlines)
        concerned = self.subjects.put(name, place, held)
        for one in held:
            one.context = self.subjects.contextualise(one)
        return held, concerned

    def _compose(self, outlined: Outlined, held: tuple[Held, ...]) -> dict[str, Report]:
        """Describe an object's reports as they are sent."""
        bodies: dict[str, Report] = {}
        for one, rest in zip(outlined.outlines, held, strict=True):
            body = self._body(one, rest, outlined.uid)
            msgspec.msgpack.encode((one.sub_key, body))  # a lone surrogate fails here, not later
            bodies[one.sub_key] = body
        return bodies

    def _body(self, one: Outline, held: Held, uid: str) -> Report:
        owner, resolved = self._inventory.resolve(held.subject)
        return Report(
            content=one.content,
            source=one.source,
            subject=owner,
            resolved=resolved,
            superseded=self.subjects.superseded(held),
            container=one.container,
            image=self._image(one.image, held) if one.image else None,
            scanner=one.scanner,
            scanner_version=one.scanner_version,
            reported_at=one.reported_at,
            uid=uid,
            labels=one.labels,
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

    def _freshen(self, name: str, outlined: Outlined) -> None:
        """Keep when the newest report of the kind was made, and by what."""
        kind = self.writer.state.kind(name)
        for one in outlined.outlines:
            newer = (one.reported_at or 0) >= (kind.newest_report_at or 0)
            if one.reported_at is not None and newer:
                kind.newest_report_at = one.reported_at
            if one.scanner and (newer or not kind.scanner):
                kind.scanner = f"{one.scanner} {one.scanner_version}".strip()

    def _remember(
        self, watched: Watched, place: Place, raw: bytes | Raw, outlined: Outlined
    ) -> None:
        stamp = stamp_of(raw, watched.maker) if self._memory is not None else None
        if self._memory is not None and stamp is not None:
            self._memory.put(watched.name, place, stamp, outlined)

    def _forget(self, name: str, place: Place) -> None:
        if self._memory is not None:
            self._memory.forget(name, place)


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


def failure(why: str, size: int) -> Failure:
    """Say that an object of so many bytes, 0 if unknown, cannot be read."""
    return Failure(_clean(why)[:REASON_CHARACTERS], size or None)


def _with_contents(bodies: dict[str, Report], parts: list[Part], outlined: Outlined) -> Written:
    """Put each report's content beside it."""
    return {
        part.sub_key: (
            bodies[part.sub_key],
            Payload(one.content, part.content_kind, part.format, part.content),
        )
        for part, one in zip(parts, outlined.outlines, strict=True)
    }


def _at_rest(name: str, place: Place, outlined: Outline) -> Held:
    subject, one = outlined.subject, sys.intern  # of texts that repeat, one is held
    return Held(
        name,
        place,
        outlined.sub_key,
        canonical(
            Object(one(subject.group), one(subject.kind), one(subject.namespace), one(subject.name))
        ),
        one(outlined.source),
        one(outlined.container) if outlined.image else "",
        outlined.reported_at or 0,
    )


def _clean(text: str) -> str:
    """Make text that msgpack and Postgres can hold."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
