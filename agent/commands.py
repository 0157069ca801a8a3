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
_OPTIONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (r"(?:mysql|mariadb)[\w-]{0,20}", _option(r"-[A-Za-z]{0,4}?p(?=\S)")),
    (r"sshpass", _option(r"-p\s{0,4}")),
    (r"redis-cli", _option(rf"(?:-a|--pass){_SPACED}")),
    (r"mongo[a-z]{0,10}", _option(rf"-p{_SPACED}")),
    (r"ldap[a-z]{1,10}", _option(r"-w\s{0,4}")),
    (r"(?:sqlcmd|mosquitto_[a-z]{3})", _option(r"-P\s{0,4}")),
    (
        r"(?:curl|wget)",
        re.compile(
            r"(?P<keep>(?<!\S)(?:-[A-Za-z]{0,4}?[uU]\s{0,4}|--(?:proxy-)?user(?:\s{1,4}|=))[\"']?[^\s:\"']{0,128}:)"
            r"[^\s\"']++"
        ),
    ),
    (r"(?:curl|wget)", _option(r"--(?:oauth2-bearer|pass|proxy-pass)(?:\s{1,4}|=)")),
)
_LOGIN = re.compile(rf"{_START}(?:[\w.-]{{1,32}}\s+)(?:[\w-]{{1,32}}\s+){{0,3}}login(?!\S)")
_LOGIN_OPTION = _option(r"-p\s{0,4}")
_TOOLS = tuple(
    (tool, re.compile(rf"{_START}{tool}(?=\s)"), option) for tool, option in _OPTIONS
)
_ALL = "|".join(dict.fromkeys(tool for tool, _ in _OPTIONS))
_ANY = re.compile(rf"(?:{_ALL}|htpasswd|login)(?!\w)")
_HTPASSWD = re.compile(rf"{_START}htpasswd(?=\s)")


def hide_arguments(text: str) -> str:
    """Hide the passwords that known commands take as arguments."""
    if not _ANY.search(text):
        return text
    parts: list[str] = []
    position = 0
    for end in _END.finditer(text):
        parts += [_hide_in_command(text[position : end.start()]), end[0]]
        position = end.end()
    return "".join((*parts, _hide_in_command(text[position:])))


def _hide_in_command(command: str) -> str:
    for _, tool, option in _TOOLS:
        if found := tool.search(command):
            command = command[: found.end()] + option.sub(
                rf"\g<keep>{MARK}", command[found.end() :]
            )
    if found := _LOGIN.search(command):
        command = command[: found.end()] + _LOGIN_OPTION.sub(
            rf"\g<keep>{MARK}", command[found.end() :]
        )
    if found := _HTPASSWD.search(command):
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
