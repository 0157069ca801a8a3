"""What secrets look like in the text of events, and which of the looks are worth a try.

Most texts hold nothing of the kind. One pass over a text finds the telling words in it; only the
patterns of which a word is there are tried. Every pattern takes time in proportion to the text.
"""

import re
from collections.abc import Callable

import ahocorasick_rs

from agent.commands import TOOL_WORDS, hide_arguments
from agent.redact import MARK

SCAN_CHARACTERS = 32_768  # above it, words are looked for one by one, however often they are there

KEY_NAMES = r"(?:api|access|private|secret|account|auth|client|encryption|signing|master)[_-]?key"
# A value on a command line or in a list of assignments, to its end.
_ARGUMENT = r"""(?:"[^"\\]++|'[^'\\]++|\\++"[^"\\]++|[^\s"'\\][^\s"']*+(?:["'](?![\s,}\]:)]|\Z)[^\s"']*+)*+)"""
_VALUE = r"""(?:[^\s"'\\&;,]|[&;,](?![\s\w.-]{0,64}=)(?![\s"']|\Z))++"""
_NAME = rf"(?:pass(?:word|wd|phrase)|secret|token|{KEY_NAMES})"
_ABSENT = r"(?!<NA>|\[REDACTED\](?:[\s\"'\\&;,)}\]]|\Z))"
_IN_QUOTES = r"[\w.$/-]{0,64}"

_BEFORE = r"(?:\b|(?<=_))"
_GITLAB = "pat|ptt|dt|rt|cbt|ft|soat|agent|oas|imt"

# Words in lower case of which one has to be there, and what is then looked for.
_SOURCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("-----begin",),
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
            rf"(?i)(?P<keep>(?:pass(?:word|wd|phrase)|(?<=[\w.?&;=-])secret|token|{KEY_NAMES}|[_-]pwd|(?-i:\bPwd))"
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
        ("echo",),
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
# Formats that cannot be mistaken.
_TOKENS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("eyj",), r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{4,}+\.[\w-]*+(?:\.[\w-]++)*+"),
    (("akia", "asia"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    (("aiza",), r"\bAIza[\w-]{35}"),
    (("sg.",), r"\bSG\.[\w-]{16,}+\.[\w-]{16,}+"),
    (("gocspx-",), r"\bGOCSPX-[\w-]{20,}+"),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), rf"{_BEFORE}gh[pousr]_[A-Za-z0-9]{{36,}}+"),
    (("github_pat_",), rf"{_BEFORE}github_pat_[A-Za-z0-9_]{{22,}}+"),
    (("npm_",), rf"{_BEFORE}npm_[A-Za-z0-9]{{36}}"),
    (("k_live_", "k_test_"), rf"{_BEFORE}[rsp]k_(?:live|test)_[A-Za-z0-9]{{16,}}+"),
    (("doo_v1_", "dop_v1_", "dor_v1_"), rf"{_BEFORE}do[opr]_v1_[a-f0-9]{{40,}}+"),
    (("hf_",), rf"{_BEFORE}hf_[A-Za-z0-9]{{30,}}+"),
    (("whsec_",), rf"{_BEFORE}whsec_[A-Za-z0-9]{{24,}}+"),
    (
        ("shpat_", "shpca_", "shppa_", "shpss_"),
        rf"{_BEFORE}shp(?:at|ca|pa|ss)_[a-fA-F0-9]{{32,}}+",
    ),
    (("dckr_",), r"\bdckr_(?:pat|oat)_[\w-]{20,}+"),
    (
        tuple(f"gl{kind}-" for kind in _GITLAB.split("|")),
        rf"\bgl(?:{_GITLAB})-[\w-]{{20,}}+",
    ),
    (("xox",), r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}+"),
    (
        ("hooks.slack.com/",),
        r"(?P<keep>hooks\.slack\.com/(?:services|workflows)/)[\w/]{16,}+",
    ),
    (("xapp-",), r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}+"),
    (("ya29.",), r"\bya29\.[\w-]{20,}+"),
    (("pypi-",), r"\bpypi-[\w-]{16,}+"),
    (("hvs.", "hvb.", "hvr."), r"\bhv[sbr]\.[\w-]{20,}+"),
    (
        ("sk-",),
        r"\bsk-(?:(?:proj|ant|svcacct|admin|or|lf)-[\w-]{20,}+|[A-Za-z0-9]{32,}+)",
    ),
)
_SECRET_KIND = re.compile(r"kind\\*[\"']?\s{0,4}:\s{0,4}\\*[\"']?Secret\b")
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


Hider = Callable[[str], str]


def _replacing(pattern: str) -> Hider:
    compiled = re.compile(pattern)
    kept = rf"\g<keep>{MARK}" if "keep" in compiled.groupindex else MARK
    return lambda text: compiled.sub(kept, text)


_HIDERS = tuple((frozenset(words), _replacing(pattern)) for words, pattern in _SOURCES)
_TOKEN_HIDERS = tuple((frozenset(words), _replacing(pattern)) for words, pattern in _TOKENS)
# A word only counts as a name, "pass=", where something is assigned to it.
_ASSIGNED = {
    word: re.compile(
        rf"{word}(?:word|wd|phrase|-data)?[\"'\\0-9_\]]{{0,64}}(?:\s|\\+[nrt]){{0,8}}[=:]"
    )
    for word in ("pass", "secret", "token", "key", "pwd")
}
_NAMES = frozenset({*_ASSIGNED, "authorization", "bearer", "rediscli_auth"})
_IS_OPTION = re.compile(
    r"-[a-z0-9_-]{0,40}?(?:pass(?:word|wd|phrase)?|secret|token|key)(?:=|\s|\\[nrt])"
)
_MADE = frozenset({"option", *(f"{word}=" for word in _ASSIGNED)})  # of other words
_COMMANDS = frozenset(TOOL_WORDS)
_WORDS = sorted(
    _NAMES.union(_COMMANDS, *(words for words, _ in (*_HIDERS, *_TOKEN_HIDERS))) - _MADE
)
_find = ahocorasick_rs.AhoCorasick(_WORDS).find_matches_as_indexes


def hiders(text: str) -> tuple[Hider, ...]:
    """Choose the patterns that may find something in a text; none for most."""
    low = text.lower()
    words = _words(low)
    if not words:
        return ()
    found: list[Hider] = []
    if not words.isdisjoint(_NAMES):
        words |= {
            f"{word}=" for word, name in _ASSIGNED.items() if word in words and name.search(low)
        }
        if _IS_OPTION.search(low):
            words.add("option")
        if "secret" in words and _SECRET_KIND.search(text):
            found.append(_hide_secret_maps)
    found += [hide for these, hide in _HIDERS if not words.isdisjoint(these)]
    found += [hide for these, hide in _TOKEN_HIDERS if not words.isdisjoint(these)]
    if not words.isdisjoint(_COMMANDS):
        found.append(hide_arguments)
    return tuple(found)


def _words(low: str) -> set[str]:
    if len(low) > SCAN_CHARACTERS:
        return {word for word in _WORDS if word in low}
    return {_WORDS[which] for which, _, _ in _find(low, overlapping=True)}


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
