"""Secrets among the arguments of commands that say `-p` and mean a password."""

import re

from agent.redact import MARK

_ARGUMENT = r"(?:\"[^\"]++|'[^']++|[^\s\"'][^\s]*+)"
_START = r"(?:(?<![^\s\"'(;|&`/])|(?<=command=)|(?<=cmdline=))"
# Where a command ends, and where Falco's next field begins
_END = re.compile(
    r"\s[|;&<>]+|[|;&]+\s|\n"
    r"|\s(?:terminal|exe_flags|container\w*|k8s\w*|evt_\w+|user_\w+|proc_\w+|g+parent)="
)


def _option(flags: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<keep>(?<!\S){flags})(?!-){_ARGUMENT}")


_SPACED = r"(?:\s{1,4}|=)"
_ATTACHED = _option(r"-[A-Za-z]{0,4}?p(?=\S)")
_CAPITAL = _option(r"-P\s{0,4}")
# A word to look for first, the command, and its option with the secret
_OPTIONS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("mysql", r"mysql[\w-]{0,20}", _ATTACHED),
    ("mariadb", r"mariadb[\w-]{0,20}", _ATTACHED),
    ("sshpass", r"sshpass", _option(r"-p\s{0,4}")),
    ("redis-cli", r"redis-cli", _option(rf"(?:-a|--pass){_SPACED}")),
    ("mongo", r"mongo[a-z]{0,10}", _option(rf"-p{_SPACED}")),
    ("ldap", r"ldap[a-z]{1,10}", _option(r"-w\s{0,4}")),
    ("sqlcmd", r"sqlcmd", _CAPITAL),
    ("mosquitto", r"mosquitto_[a-z]{3}", _CAPITAL),
    (
        "curl",
        r"curl",
        re.compile(
            r"(?P<keep>(?<!\S)(?:-[A-Za-z]{0,4}?[uU]\s{0,4}|--(?:proxy-)?user(?:\s{1,4}|=))[\"']?(?!\w{1,16}://)[^\s:\"']{0,128}:)"
            r"[^\s\"']++"
        ),
    ),
    ("curl", r"curl", _option(r"--(?:oauth2-bearer|pass|proxy-pass)(?:\s{1,4}|=)")),
)
_LOGIN = re.compile(rf"{_START}(?:[\w.-]{{1,32}}\s+)(?:[\w-]{{1,32}}\s+){{0,3}}login(?!\S)")
_LOGIN_OPTION = _option(r"-p\s{0,4}")
_TOOLS = tuple(
    (word, re.compile(rf"{_START}{tool}(?=\s)"), option) for word, tool, option in _OPTIONS
)
# As it stands in text and in JSON; every event of Falco has a "user_loginuid".
_LOGIN_WORDS = tuple(f"{space}login" for space in (" ", "\t", "\n", "\r", "\\t", "\\n", "\\r"))
TOOL_WORDS = (*dict.fromkeys(word for word, _, _ in _OPTIONS), *_LOGIN_WORDS, "htpasswd")
_HTPASSWD = re.compile(rf"{_START}htpasswd(?=\s)")


def hide_arguments(text: str) -> str:
    """Hide the passwords that known commands take as arguments."""
    if not any(word in text for word in TOOL_WORDS):
        return text
    parts: list[str] = []
    position = 0
    for end in _END.finditer(text):
        parts += [_hide_in_command(text[position : end.start()]), end[0]]
        position = end.end()
    return "".join((*parts, _hide_in_command(text[position:])))


def _hide_in_command(command: str) -> str:
    for word, tool, option in _TOOLS:
        if word in command and (found := tool.search(command)):
            command = command[: found.end()] + option.sub(
                rf"\g<keep>{MARK}", command[found.end() :]
            )
    if "login" in command and (found := _LOGIN.search(command)):
        command = command[: found.end()] + _LOGIN_OPTION.sub(
            rf"\g<keep>{MARK}", command[found.end() :]
        )
    if "htpasswd" in command and (found := _HTPASSWD.search(command)):
        command = command[: found.end()] + _hide_htpasswd(command[found.end() :])
    return command


def _hide_htpasswd(arguments: str) -> str:
    """Hide the last argument, which is the password if it is given on the command line: -b."""
    words = list(re.finditer(r"\S+", arguments))
    flags = "".join(word[0] for word in words if word[0].startswith("-"))
    if "b" not in flags or not words or words[-1][0].startswith("-"):
        return arguments
    last = words[-1]
    return arguments[: last.start()] + MARK + arguments[last.end() :]
