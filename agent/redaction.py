"""Secrets in runtime events stay in the cluster.

An event quotes command lines, environments and API requests as they were, credentials included.
What looks like one is replaced by `MARK` wherever the event has text, and the event says where.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.redact import MARK
from agent.secret_patterns import KEY_NAMES, hiders
from sources.falco import Alert

LISTING = "fleetwatch.redacted"  # the field that names what was changed
LONGEST_NAME = 256  # characters of a path that are of interest: its end
DEEPEST = 80  # levels of nesting; what lies deeper is hidden unseen
ROUNDS = 4  # what one pattern leaves may be another's
SHORTEST_REPEATED = 3  # characters of a hidden value that is looked for in the output, too

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_SPEAKING = re.compile(
    rf"(?:pass(?:word|wd|phrase)|secret|token|authorization|[_-]pwd|{KEY_NAMES}|key-data)$",
    re.IGNORECASE,
)
# Of an object: what is below a "secret" or "token" is often the name of one, in a pod's volumes say.
_HOLDS_SECRETS = re.compile(rf"(?:pass(?:word|wd|phrase)|[_-]pwd|{KEY_NAMES})$", re.IGNORECASE)
# Names that Falco itself gives; what stands in brackets is the event's own again.
_OF_FALCO = re.compile(r"(?:container|evt|falco|fleetwatch|k8s|k8smeta|ka|proc)\.")
_OF_SECRETS = '"ka.target.resource":"secrets"'
_SECRET_MAPS = ("data", "stringData", "binaryData")


class PatternError(ValueError):
    """A pattern of the user's own that cannot be used."""


@dataclass(frozen=True)
class Redactor:
    """Whether events are redacted, and what is hidden besides: regular expressions, whole match."""

    enabled: bool = True
    extra: tuple[str, ...] = ()
    _extra: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        patterns = []
        for written in self.extra:
            try:
                pattern = re.compile(written)
            except (re.error, RecursionError, OverflowError) as error:
                raise PatternError(f"The pattern {written!r} cannot be used: {error}") from error
            if pattern.search(""):
                raise PatternError(f"The pattern {written!r} cannot be used: it matches no text")
            patterns.append(pattern)
        object.__setattr__(self, "_extra", tuple(patterns))

    def hide(self, text: str) -> str:
        """Replace what looks like a secret in a text."""
        chosen = hiders(text) if self.enabled else ()
        if not chosen and not (self.enabled and self._extra):
            return text
        for _ in range(ROUNDS):
            before = text
            for hide in chosen:
                text = hide(text)
            for pattern in self._extra:
                text = MARK.join(pattern.sub(MARK, part) for part in text.split(MARK))
            if text == before:
                break
        return text


def redact_event(alert: Alert, redactor: Redactor) -> Alert:
    """Return an alert without the secrets of its output and fields, itself where it has none."""
    if not redactor.enabled:
        return alert
    suspicious = hiders(f"{alert.output}\n{alert.fields}")
    if not suspicious and not redactor.extra and _OF_SECRETS not in alert.fields:
        return alert
    walk = _Walk(redactor)
    fields: dict[str, Any] = _decode(alert.fields)
    listed = fields.get(LISTING)
    walk.about_secrets = fields.get("ka.target.resource") == "secrets"
    hidden = walk.object(fields, "", 0)
    output = walk.repeated(redactor.hide(alert.output))
    if output != alert.output:
        walk.changed.insert(0, "output")
    if not walk.changed:
        return alert
    before = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    hidden[LISTING] = list(dict.fromkeys((*before, *walk.changed)))
    return msgspec.structs.replace(alert, output=output, fields=_encode(hidden).decode())


class _Walk:
    """One way through an event's fields, and what was hidden on it."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.changed: list[str] = []
        self.values: set[str] = set()
        self.about_secrets = False
        self.names_of_falco = True

    def object(
        self, fields: dict[str, Any], path: str, depth: int, *, everything: bool = False
    ) -> dict[str, Any]:
        """Hide what is secret below an object; the names stay."""
        secret = self.about_secrets or fields.get("kind") == "Secret"
        hidden = {}
        for key, value in fields.items():
            name = f"{path}.{key}"[-LONGEST_NAME:] if path else key[-LONGEST_NAME:]
            whole = everything or (secret and key in _SECRET_MAPS)
            if not whole and self.about_secrets and not path:
                whole = "/data" in key or "/stringData" in key
            hidden[key] = self.value(value, name, depth + 1, everything=whole)
        return hidden

    def value(self, value: Any, name: str, depth: int, *, everything: bool) -> Any:
        """Hide a value that is secret, by its name or by itself."""
        if isinstance(value, str):
            if value and value != "<NA>" and (everything or self.speaks(name)):
                hidden = MARK
                self.values.add(value)
            else:
                hidden = self.text(value, depth)
            if hidden != value:
                self.changed.append(name)
            return hidden
        if isinstance(value, dict | list):
            if depth > DEEPEST:
                self.changed.append(name)
                return MARK
            if isinstance(value, dict):
                everything = everything or bool(_HOLDS_SECRETS.search(name) and self.speaks(name))
                return self.object(value, name, depth, everything=everything)
            everything = everything or self.speaks(name)
            return [
                self.value(one, f"{name}[{number}]", depth + 1, everything=everything)
                for number, one in enumerate(value)
            ]
        if isinstance(value, bool) or value is None or not (everything or self.speaks(name)):
            return value
        self.changed.append(name)
        return MARK

    def text(self, text: str, depth: int) -> str:
        """Hide what is secret in a text, which may be JSON itself."""
        if text[:1] in ("{", "[") and depth <= DEEPEST:
            try:
                inner = _decode(text)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return self.redactor.hide(text)
            walk = _Walk(self.redactor)
            walk.about_secrets, walk.names_of_falco = self.about_secrets, False
            hidden = walk.value({"": inner}, "", depth + 1, everything=False)
            self.values |= walk.values
            return _encode(hidden[""]).decode() if walk.changed else text
        return self.redactor.hide(text)

    def repeated(self, text: str) -> str:
        """Hide in a text what was hidden for its name."""
        for value in sorted(self.values, key=len, reverse=True):
            if len(value) >= SHORTEST_REPEATED and value != MARK and value in text:
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MARK, text)
        return text

    def speaks(self, name: str) -> bool:
        """Tell whether a name says that its value is a secret."""
        if name.endswith("]"):
            inner = name[:-1].rpartition("[")[2]
            return not name.startswith("evt.") and bool(_SPEAKING.search(inner))
        if not _SPEAKING.search(name):
            return False
        return not (self.names_of_falco and _OF_FALCO.match(name))
