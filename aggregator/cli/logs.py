"""Logs go to standard error, a line an event, as text for people or as JSON for machines."""

import json
import logging
import sys
import time
from typing import Literal

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
# uvicorn says each start and stop at length; its own access log would show query strings. While
# Postgres is away, which we say in a line, asyncpg's pools say so by a traceback each.
QUIET = {
    "uvicorn.error": logging.WARNING,
    "alembic.runtime.migration": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncpg.pool": logging.ERROR,
}


def configure(*, level: str, style: Format) -> None:
    """Send all records to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        for name, least in QUIET.items():
            logging.getLogger(name).setLevel(least)


def _moment(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """One line: time, level, logger, message. Control characters from outside are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; a traceback follows on lines of its own."""
        message = "".join(
            character if character.isprintable() else ascii(character)[1:-1]
            for character in record.getMessage()
        )
        line = f"{_moment(record)} {record.levelname:<7} {record.name}: {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record with its traceback, if any, as a field."""
        fields = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)
