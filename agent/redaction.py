"""Secrets in runtime events stay in the cluster.

An event quotes command lines, environments and API requests as they were, credentials included.
What looks like one is replaced by `MARK` wherever the event has text, and the event says where.
Most events hold nothing of the kind: a look for a few telling words decides that, and only the
patterns whose word was found are tried. Every pattern takes time in proportion to the text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.commands import hide_arguments
from agent.redact import MARK
from sources.falco import Alert

LISTING = "fleetwatch.redacted"  # the field that names what was changed
DEEPEST = 80  # levels of nesting; what lies deeper is hidden unseen
ROUNDS = 4  # what one pattern leaves may be another's
SHORTEST_REPEATED = 3  # characters of a hidden value that is looked for in the output, too

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

# A value on a command line or in a list of assignments, to its end.
_ARGUMENT = r"""(?:"[^"\\]++|'[^'\\]++|\\++"[^"\\]++|[^\s"'\\][^\s"']*+(?:["'](?![\s,}\]:)]|\Z)[^\s"']*+)*+)"""
_VALUE = r"""(?:[^\s"'\\&;,]|[&;,](?![\s\w.-]{0,64}=)(?![\s"']|\Z))++"""
_KEYS = r"(?:api|access|private|secret|account|auth|client|encryption|signing|master)[_-]?key"
_NAME = rf"(?:pass(?:word|wd|phrase)|secret|token|{_KEYS})"
_ABSENT = r"(?!<NA>|\[REDACTED\](?:[\s\"'\\&;,)}\]]|\Z))"
_IN_QUOTES = r"[\w.$/-]{0,64}"

# Words in lower case of which one has to be there, and what is then looked for.
_SOURCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("private key",),
        (
            r"(?P<keep>)-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
    (("age-secret-key",), r"(?P<keep>)AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    # Names that speak for themselves: options, variables, assignments, JSON, YAML
    (
        ("option",),
        (
            rf"(?i)(?P<keep>(?<![\w-])--?[\w-]{{0,40}}?(?:{_NAME}|(?<=--)pass)(?:=|\s{{1,4}})[\"']?)"
            rf"{_ABSENT}(?!-){_ARGUMENT}"
        ),
    ),
    (
        ("pass=", "secret=", "token=", "key=", "pwd=", "rediscli_auth"),
        (
            r"(?P<keep>(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|(?<=[A-Z])_?KEY|_PWD|_PASS|REDISCLI_AUTH)"
            rf"[0-9_]{{0,4}}=[\"']?){_ABSENT}{_ARGUMENT}"
        ),
    ),
    (
        ("pass=", "secret=", "token=", "key=", "pwd="),
        (
            rf"(?i)(?P<keep>(?:pass(?:word|wd|phrase)|(?<=[\w.?&;=-])secret|token|{_KEYS}|[_-]pwd|(?-i:\bPwd))"
            rf"(?:=|\s=\s)\\*[\"']?){_ABSENT}{_VALUE}"
        ),
    ),
    (
        ("pass=", "secret=", "token=", "key=", "authorization"),
        (
            rf"(?i)(?P<keep>\"{_IN_QUOTES}(?:{_NAME}|key-data|authorization)\"\s{{0,8}}:\s{{0,8}}\")"
            r"(?:[^\"\\]|\\.)++"
        ),
    ),
    (
        ("pass=", "secret=", "token=", "key=", "authorization"),
        (
            rf"(?i)(?P<keep>(?<!\\)\\++\"{_IN_QUOTES}(?:{_NAME}|key-data|authorization)\\+\"\s{{0,8}}:\s{{0,8}}\\+\")"
            r"(?:[^\"\\]|\\\\\\\"|\\(?!\"))++"
        ),
    ),
    (
        ("pass=", "key="),
        (
            rf"(?i)(?P<keep>(?:pass(?:word|wd|phrase)|(?:api|access|secret|private)[_-]?key|key-data)"
            rf"\s{{0,3}}:\s{{1,3}}[\"']?)(?!\[){_ABSENT}[^\s\"',;&]{{6,}}+"
        ),
    ),
    (
        ("token=", "key=", "secret="),
        (
            rf"(?i)(?P<keep>(?:-(?:token|key|secret)\s?:\s{{0,2}}|\btoken:\s{{1,3}})[\"']?)"
            rf"{_ABSENT}(?=[^\s\"']*[0-9])[\w.~+/=-]{{12,}}+"
        ),
    ),
    (("pass=",), rf"(?P<keep>\bpass:){_ABSENT}[^\s\"']++"),
    (
        ("from-literal",),
        rf"(?P<keep>--from-literal[= ][\"']?[^\s=\"']{{1,253}}=){_ABSENT}{_ARGUMENT}",
    ),
    (
        ("echo ",),
        (
            rf"(?P<keep>\becho\s+(?:-\w+\s+)?){_ABSENT}{_ARGUMENT}"
            r"(?=\s{0,4}\|[^|\n]{0,80}(?:--[a-z-]{0,20}stdin|\bpasswd|chpasswd))"
        ),
    ),
    # Headers and URLs
    (
        ("authorization",),
        (
            r"(?i)(?P<keep>\bauthorization[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}"
            rf"(?:bearer|basic|token|negotiate|digest|apikey)\s{{1,4}}){_ABSENT}[^\s\"',;\\]++"
        ),
    ),
    (
        ("authorization",),
        r"(?i)(?P<keep>\bauthorization[\"'\\]{0,4}\s{0,4}:\s{0,4}[\"'\\]{0,4})[\w.~+/=-]{16,}+",
    ),
    (("bearer",), r"(?i)(?P<keep>\bbearer\s{1,4})(?=\S*[0-9])[\w.~+/-]{16,}+=*+"),
    (("@",), r"(?P<keep>://[^\s/:@\"'\\]{0,255}:)(?!\[REDACTED\]@)[^\s/?#\"'<>]+(?=@)"),
    (("@",), r"(?P<keep>://)[A-Za-z0-9_-]{20,}(?=@)"),
)
# Formats that cannot be mistaken. What is looked for first is cheap by its leading character.
_TOKENS: tuple[tuple[str | re.Pattern[str], str], ...] = (
    (re.compile(r"J(?<=eyJ)"), r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{4,}+\.[\w-]*+(?:\.[\w-]++)*+"),
    (re.compile(r"A[KS]IA[0-9A-Z]{16}"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    (re.compile(r"AIza"), r"\bAIza[\w-]{35}"),
    (re.compile(r"G(?<=SG)\."), r"\bSG\.[\w-]{16,}+\.[\w-]{16,}+"),
    (re.compile(r"GOCSPX-"), r"\bGOCSPX-[\w-]{20,}+"),
    (
        re.compile(r"_[A-Za-z0-9]{16}"),
        (
            r"(?:\b|(?<=_))(?:gh[pousr]_[A-Za-z0-9]{36,}+|github_pat_[A-Za-z0-9_]{22,}+|npm_[A-Za-z0-9]{36}"
            r"|[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}+|do[opr]_v1_[a-f0-9]{40,}+|hf_[A-Za-z0-9]{30,}+"
            r"|whsec_[A-Za-z0-9]{24,}+|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32,}+)"
        ),
    ),
    ("_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}+"),
    ("dckr_", r"\bdckr_(?:pat|oat)_[\w-]{20,}+"),
    (re.compile(r"gl[a-z]{2,5}-"), r"\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|oas|imt)-[\w-]{20,}+"),
    ("xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}+"),
    ("hooks.slack.com/", r"(?P<keep>hooks\.slack\.com/(?:services|workflows)/)[\w/]{16,}+"),
    ("xapp-", r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}+"),
    ("ya29.", r"\bya29\.[\w-]{20,}+"),
    ("pypi-", r"\bpypi-[\w-]{16,}+"),
    (re.compile(r"hv[sbr]\."), r"\bhv[sbr]\.[\w-]{20,}+"),
    ("sk-", r"\bsk-(?:(?:proj|ant|svcacct|admin|or|lf)-[\w-]{20,}+|[A-Za-z0-9]{32,}+)"),
)
_SPEAKING = re.compile(
    rf"(?:pass(?:word|wd|phrase)|secret|token|authorization|[_-]pwd|{_KEYS}|key-data)$",
    re.IGNORECASE,
)
_SPEAKING_WORDS = ("pass", "secret", "token", "authorization", "pwd", "key")
# Names that Falco itself gives; what stands in brackets is the event's own again.
_OF_FALCO = re.compile(r"(?:container|evt|falco|fleetwatch|k8s|k8smeta|ka|proc)\.")
_OF_SECRETS = '"ka.target.resource":"secrets"'
_SECRET_KIND = re.compile(r"kind\\*[\"']?\s{0,4}:\s{0,4}\\*[\"']?Secret\b")
_SECRET_MAPS = ("data", "stringData", "binaryData")
_MAP = re.compile(
    r"\"(?:data|stringData|binaryData)\"\s{0,8}:\s{0,8}\{"
    r"(?:\s{0,8}\"(?:[^\"\\]|\\.)*+\"\s{0,8}:\s{0,8}\"(?:[^\"\\]|\\.)*+\"?\s{0,8},?)*+"
)
_MAP_VALUE = re.compile(r"(?P<keep>\"\s{0,8}:\s{0,8}\")(?:[^\"\\]|\\.)++")
_QUOTED_MAP = re.compile(
    r"(?<!\\)\\++\"(?:data|stringData|binaryData)\\+\"\s{0,8}:\s{0,8}\{[^{}]*+"
)
_QUOTED_MAP_VALUE = re.compile(r"(?P<keep>(?<!\\)\\++\"\s{0,8}:\s{0,8}\\+\")[^\"\\]++")
_YAML_MAP = re.compile(
    r"^(?P<indent> *+)(?:data|stringData):[ \t]*\n(?P<lines>(?:(?P=indent) +\S[^\n]*(?:\n|\Z))++)",
    re.MULTILINE,
)
_YAML_VALUE = re.compile(r"^(?P<keep>\s*[\w.-]+:[ \t]+|\s*)\S.*$", re.MULTILINE)

_Hider = Callable[[str], str]


class PatternError(ValueError):
    """A pattern of the user's own that cannot be used."""


def _replacing(pattern: re.Pattern[str]) -> _Hider:
    groups = pattern.groupindex
    kept = rf"\g<keep>{MARK}" if "keep" in groups else MARK
    return lambda text: pattern.sub(kept, text)


_HIDERS: tuple[tuple[tuple[str, ...], _Hider], ...] = tuple(
    (words, _replacing(re.compile(pattern))) for words, pattern in _SOURCES
)
_TOKEN_HIDERS: tuple[tuple[str | Callable[[str], Any], _Hider], ...] = tuple(
    (sign if isinstance(sign, str) else sign.search, _replacing(re.compile(pattern)))
    for sign, pattern in _TOKENS
)
_NAME_WORDS = ("pass", "secret", "token", "key", "pwd", "authorization", "bearer", "rediscli_auth")
_OTHER_WORDS = ("@", "from-literal", "echo ", "age-secret-key", "private key")
_COMMAND_WORDS = (
    "mysql",
    "mariadb",
    "curl",
    "redis-cli",
    "mongo",
    "ldap",
    " login",
    "sqlcmd",
    "mosquitto",
)
# A word only counts as a name, "pass=", where something is assigned to it.
_ASSIGNED = {
    word: re.compile(rf"{word}(?:word|wd|phrase|-data)?[\"'\\0-9_\]]{{0,64}}\s{{0,8}}[=:]")
    for word in ("pass", "secret", "token", "key", "pwd")
}
_IS_OPTION = re.compile(
    r"-[a-z0-9_-]{0,40}?(?:pass(?:word|wd|phrase)?|secret|token|key)(?:=|\s|\\[nrt])"
)


def _hiders(text: str) -> tuple[_Hider, ...]:
    """Choose the patterns that may find something in a text; none for most."""
    low = text.lower()
    words = {word for word in _NAME_WORDS if word in low}
    found: list[_Hider] = []
    if words or "@" in low or "echo " in low:
        words |= {
            f"{word}=" for word, name in _ASSIGNED.items() if word in words and name.search(low)
        }
        words |= {word for word in _OTHER_WORDS if word in low}
        if _IS_OPTION.search(low):
            words.add("option")
        found += [hide for these, hide in _HIDERS if not words.isdisjoint(these)]
    if "secret" in words and _SECRET_KIND.search(text):
        found.insert(0, _hide_secret_maps)
    found += [
        hide
        for sign, hide in _TOKEN_HIDERS
        if (sign in text if isinstance(sign, str) else sign(text))
    ]
    if any(word in low for word in _COMMAND_WORDS) or (
        "pass" in words and ("sshpass" in low or "htpasswd" in low)
    ):
        found.append(hide_arguments)
    return tuple(found)


def _hide_secret_maps(text: str) -> str:
    """Hide the values of Secrets in JSON or YAML that stands amid other text or was cut off."""
    if not _SECRET_KIND.search(text):
        return text
    text = _MAP.sub(lambda found: _MAP_VALUE.sub(rf"\g<keep>{MARK}", found[0]), text)
    text = _QUOTED_MAP.sub(lambda found: _QUOTED_MAP_VALUE.sub(rf"\g<keep>{MARK}", found[0]), text)
    return _YAML_MAP.sub(
        lambda found: (
            found[0][: found.start("lines") - found.start()]
            + _YAML_VALUE.sub(rf"\g<keep>{MARK}", found["lines"])
        ),
        text,
    )


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
        return self.hide_by(_hiders(text), text) if self.enabled else text

    def hide_by(self, hiders: tuple[_Hider, ...], text: str) -> str:
        """Replace what these patterns and the user's own find."""
        for _ in range(ROUNDS):
            before = text
            for hide in hiders:
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
    hiders = _hiders(f"{alert.output}\n{alert.fields}")
    if not hiders and not redactor.extra and _OF_SECRETS not in alert.fields:
        return alert
    walk = _Walk(redactor, hiders)
    fields: dict[str, Any] = _decode(alert.fields)
    listed = fields.get(LISTING)
    walk.about_secrets = fields.get("ka.target.resource") == "secrets"
    hidden = walk.object(fields, "", 0)
    output = walk.repeated(redactor.hide_by(hiders, alert.output))
    if output != alert.output:
        walk.changed.insert(0, "output")
    if not walk.changed:
        return alert
    before = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    hidden[LISTING] = list(dict.fromkeys((*before, *walk.changed)))
    return msgspec.structs.replace(alert, output=output, fields=_encode(hidden).decode())


class _Walk:
    """One way through an event's fields, and what was hidden on it."""

    def __init__(self, redactor: Redactor, hiders: tuple[_Hider, ...]) -> None:
        self.redactor, self.hiders = redactor, hiders
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
            name = f"{path}.{key}" if path else key
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
                return self.object(value, name, depth, everything=everything)
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
                return self.redactor.hide_by(self.hiders, text)
            walk = _Walk(self.redactor, self.hiders)
            walk.about_secrets, walk.names_of_falco = self.about_secrets, False
            hidden = walk.value({"": inner}, "", depth + 1, everything=False)
            self.values |= walk.values
            return _encode(hidden[""]).decode() if walk.changed else text
        return self.redactor.hide_by(self.hiders, text)

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
