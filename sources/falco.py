"""Falco's events, as Falco itself, falcosidekick and log pipelines write them in JSON.

An event is taken whole: what has no column of its own stands in `fields`, and so does, under
`event.<key>`, every value that its column cannot hold as it was given. Only an event without a
rule is refused, for then it is none of Falco's; a priority that nobody knows counts as Notice,
Falco's commonest.
"""

import json
import math
import re
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sources import falco_subject, falco_time, text
from sources.report import ImageRef, Ref, UnreadableError

DEEPEST = 64  # levels of nesting; Falco itself writes two
LONGEST_INTEGER = 4_000  # digits; Python refuses to read longer ones
NESTED = frozenset({dict, list})
SOURCE_UNNAMED = "syscall"  # the only source there was before events named theirs
PRIORITY_UNKNOWN = 5  # Notice

PRIORITIES = (
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "informational",
    "debug",
)
_PRIORITIES = {name: number for number, name in enumerate(PRIORITIES)}
_ALIASES = {
    "emerg": 0,
    "panic": 0,
    "crit": 2,
    "err": 3,
    "warn": 4,
    "info": 6,
} | {str(number): number for number in range(len(PRIORITIES))}

_TEST_RULE = "Test rule"  # falcosidekick's
_SYSTEM_CALL_DROPS = ("n_drops", "falco.n_drops", "scap.n_drops")
_ALERT_DROPS = ("falco.outputs_queue_num_drops", "outputs_queue_num_drops")

_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(r"[ \t\r\n]*")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_decode = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class _BadEventError(Exception):
    """An event that cannot be read; `read` adds which one it is."""


class Alert(Struct, frozen=True):
    """An event that a rule made. Texts that it does not have are ""."""

    time_ns: int | None  # since 1970, by the event's own word
    rule: str
    priority: int  # 0 Emergency … 7 Debug
    source: str
    output: str
    hostname: str
    tags: tuple[str, ...]
    namespace: str
    pod: str
    container: str
    subject: Ref | None  # what an audit event is about, unless that is a pod
    image: ImageRef | None
    fields: str  # a JSON object


class _Usual(Struct, forbid_unknown_fields=True):
    """An event as Falco and falcosidekick write it, of which every value fits its column."""

    rule: str
    output: str
    priority: str
    time: str
    output_fields: dict[str, Any]
    source: str = SOURCE_UNNAMED
    hostname: str = ""
    tags: tuple[str, ...] = ()
    uuid: str | UnsetType = UNSET  # falcosidekick's


_decode_usual = msgspec.json.Decoder(_Usual).decode
_decode_usuals = msgspec.json.Decoder(list[_Usual]).decode


class Internal(Struct, frozen=True):
    """What Falco says of itself: the health of its sensor, no alert.

    The drops are those of the last second in "syscall event drop", and those since Falco's start
    in "metrics snapshot".
    """

    time_ns: int | None
    rule: str
    priority: int
    hostname: str
    output: str
    fields: dict[str, int | float | str]
    system_calls_dropped: int | None  # each may have been an event
    alerts_dropped: int | None


def read(body: bytes) -> list[Alert | Internal]:
    """Read one event, a JSON array of events, or events one after the other.

    `UnreadableError` says what is wrong where; nothing of the body is taken then.
    """
    events: list[Alert | Internal] = []
    body = text.without_nul(body.removeprefix(_BOM))
    if (usual := _read_usual(body)) is not None:
        return usual
    try:
        for item in _items(body):
            events.append(_event(item))  # noqa: PERF401 - their number is told
    except _BadEventError as error:
        raise UnreadableError(f"event {len(events) + 1}: {error}") from error
    except RecursionError:
        raise UnreadableError("the JSON is nested too deeply") from None
    return events


def _read_usual(body: bytes) -> list[Alert | Internal] | None:
    """Read what is written as nearly all is, in a fraction of the time; None where anything is not."""
    try:
        given = _decode_usuals(body) if body.startswith(b"[") else (_decode_usual(body),)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    events: list[Alert | Internal] = []
    for event in given:
        priority = _PRIORITIES.get(event.priority.lower())
        time_ns, whole = falco_time.instant(event.time)
        internal = event.source == "internal" or event.rule.startswith("Falco internal:")
        if priority is None or time_ns is None or not whole or not event.rule or internal:
            return None
        fields = event.output_fields
        if event.uuid is not UNSET and "uuid" in fields:
            return None
        about = falco_subject.about(falco_subject.flat(fields))
        if event.uuid is not UNSET:
            fields["uuid"] = event.uuid
        try:
            _check_depth(fields)
        except _BadEventError:
            return None  # which one it is, is found out there
        events.append(
            Alert(
                time_ns=time_ns,
                rule=event.rule,
                priority=priority,
                source=event.source or SOURCE_UNNAMED,
                output=event.output,
                hostname=event.hostname,
                tags=event.tags,
                namespace=about.namespace,
                pod=about.pod,
                container=about.container,
                subject=about.subject,
                image=about.image,
                fields=_encode(fields).decode(),
            )
        )
    return events


def _items(body: bytes) -> list[Any]:
    """Decode a body, quickly where nothing is the matter with it."""
    try:
        item = _decode.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    else:
        return item if type(item) is list else [item]
    try:
        if items := _decode.decode_lines(body):
            return items
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return _items_to_mend(body.decode(errors="replace"))


def _items_to_mend(body: str) -> list[Any]:
    """Decode what holds text that is none, or numbers that are no floats; say what is wrong."""
    items: list[Any] = []
    position = _end_of_blank(body, 0)
    if position == len(body):
        raise UnreadableError("the body is empty")
    while position < len(body):
        try:
            item, position = _mending.raw_decode(body, position)
        except json.JSONDecodeError as error:
            raise UnreadableError(
                f"this is not JSON at character {error.pos} of the body ({error.msg}), "
                f"after {len(items)} whole items; Falco needs json_output: true"
            ) from None
        items.append(_mended(item, 0))
        position = _end_of_blank(body, position)
    if len(items) == 1 and type(items[0]) is list:
        only: list[Any] = items[0]
        return only
    return items


def _end_of_blank(body: str, position: int) -> int:
    blank = _BLANK.match(body, position)
    return blank.end() if blank else position


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST_INTEGER else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _no_number(name: str) -> NoReturn:
    raise UnreadableError(f"{name} is not JSON")


_mending = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_no_number)


def _mended(value: Any, depth: int) -> Any:
    """Replace what UTF-8 and Postgres cannot hold."""
    if depth > 2 * DEEPEST:
        raise UnreadableError("the JSON is nested too deeply")
    if type(value) is str:
        return _HALF_PAIR.sub(text.REPLACEMENT, value)
    if type(value) is list:
        return [_mended(one, depth + 1) for one in value]
    if type(value) is dict:
        return {
            _HALF_PAIR.sub(text.REPLACEMENT, key): _mended(one, depth + 1)
            for key, one in value.items()
        }
    return value


def _event(event: Any) -> Alert | Internal:
    """Read one event; its dict is used up."""
    if type(event) is not dict:
        raise _BadEventError(f"a JSON object was expected, not {_kind(event)}")
    fields = event.pop("output_fields", None)
    unheld: dict[str, Any] = {}  # what the columns cannot hold as it was given
    if type(fields) is not dict:
        if fields is not None:
            unheld["event.output_fields"] = fields
        fields = {}
    rule = _text(event, "rule", unheld)
    if not rule:
        raise _BadEventError("it has no rule, so it is not an event of Falco")
    source = _text(event, "source", unheld) or SOURCE_UNNAMED
    output = _text(event, "output", unheld)
    hostname = _text(event, "hostname", unheld)
    priority = _priority(event, unheld)
    tags = _tags(event, unheld)
    time = event.pop("time", None)
    time_ns, whole = falco_time.instant(time)
    if not whole:
        unheld["event.time"] = time
    look = falco_subject.flat(fields)
    if time_ns is None:
        time_ns = falco_time.of_fields(look)

    if (source == "internal" or rule.startswith("Falco internal:")) and rule != _TEST_RULE:
        return _internal(
            time_ns=time_ns,
            rule=rule,
            priority=priority,
            hostname=hostname,
            output=output,
            look={**event, **look},
        )
    about = falco_subject.about(look)
    for key, value in (*event.items(), *unheld.items()):
        name = key
        while name in fields:
            name = f"event.{name}"
        fields[name] = value
    _check_depth(fields)
    return Alert(
        time_ns=time_ns,
        rule=rule,
        priority=priority,
        source=source,
        output=output,
        hostname=hostname,
        tags=tags,
        namespace=about.namespace,
        pod=about.pod,
        container=about.container,
        subject=about.subject,
        image=about.image,
        fields=_encode(fields).decode(),
    )


def _text(event: dict[str, Any], key: str, unheld: dict[str, Any]) -> str:
    value = event.pop(key, None)
    if type(value) is str:
        return value
    if value is None:
        return ""
    unheld[f"event.{key}"] = value
    _check_depth(value)
    return _encode(value).decode()


def _priority(event: dict[str, Any], unheld: dict[str, Any]) -> int:
    """Read a priority; its eight names are held whole, other spellings are kept besides."""
    value = event.pop("priority", None)
    if value is None:
        return PRIORITY_UNKNOWN
    if type(value) is str:
        spelling = value.strip().lower()
        if (known := _PRIORITIES.get(spelling)) is not None:
            return known
        unheld["event.priority"] = value
        return _ALIASES.get(spelling, PRIORITY_UNKNOWN)
    unheld["event.priority"] = value
    if type(value) in (int, float) and value in range(len(PRIORITIES)):
        return int(value)
    return PRIORITY_UNKNOWN


def _tags(event: dict[str, Any], unheld: dict[str, Any]) -> tuple[str, ...]:
    value = event.pop("tags", None)
    if value is None:
        return ()
    if type(value) is list and all(type(tag) is str for tag in value):
        return tuple(value)
    unheld["event.tags"] = value
    if type(value) is str:
        return tuple(tag for part in value.split(",") if (tag := part.strip()))
    return tuple(tag for tag in value if type(tag) is str) if type(value) is list else ()


def _internal(
    *,
    time_ns: int | None,
    rule: str,
    priority: int,
    hostname: str,
    output: str,
    look: dict[str, Any],
) -> Internal:
    fields = {key: value for key, value in look.items() if type(value) in (int, float, str)}
    return Internal(
        time_ns=time_ns,
        rule=rule,
        priority=priority,
        hostname=hostname,
        output=output,
        fields=fields,
        system_calls_dropped=_count(fields, _SYSTEM_CALL_DROPS),
        alerts_dropped=_count(fields, _ALERT_DROPS),
    )


def _count(fields: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """Return the first of these fields that is a count; old releases wrote theirs as text."""
    for name in names:
        value: Any = fields.get(name)
        if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - digits of 64 bits
            value = int(value)
        if type(value) in (int, float) and 0 <= value < falco_time.LATEST:
            return int(value)
    return None


def _check_depth(value: Any, depth: int = 0) -> None:
    if type(value) is dict and NESTED.isdisjoint(map(type, value.values())):
        return
    if depth > DEEPEST:
        raise _BadEventError(f"the JSON is nested deeper than {DEEPEST} levels")
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return
    for one in value:
        if type(one) is dict or type(one) is list:
            _check_depth(one, depth + 1)


def _kind(item: Any) -> str:
    if item is None:
        return "null"
    return {list: "an array", str: "a text", bool: "true or false"}.get(type(item), "a number")
