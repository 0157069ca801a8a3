"""What a client is told when an operation fails; a failure is whole, `data` is null.

    GraphError    a code, a message, where known the path and the locations
    InvalidError  several of them: validation tells all it finds

The codes are part of the contract: docs/graphql.md lists them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
BAD_REQUEST = "BAD_REQUEST"
BAD_INPUT = "BAD_INPUT"
LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
TOO_MANY = "TOO_MANY_REQUESTS"
TOO_BROAD = "TOO_BROAD"
FORBIDDEN = "FORBIDDEN"
NOT_FOUND = "NOT_FOUND"
CONFLICT = "CONFLICT"
CURSOR_EXPIRED = "CURSOR_EXPIRED"
TIMEOUT = "TIMEOUT"
UNAVAILABLE = "UNAVAILABLE"
INTERNAL = "INTERNAL"

CODES = (
    PARSE_FAILED,
    VALIDATION_FAILED,
    BAD_REQUEST,
    BAD_INPUT,
    LIMIT_EXCEEDED,
    TOO_MANY,
    TOO_BROAD,
    FORBIDDEN,
    NOT_FOUND,
    CONFLICT,
    CURSOR_EXPIRED,
    TIMEOUT,
    UNAVAILABLE,
    INTERNAL,
)

# Malformed requests are HTTP errors; an operation that was understood answers 200.
_STATUS = {
    PARSE_FAILED: 400,
    VALIDATION_FAILED: 400,
    BAD_REQUEST: 400,
    LIMIT_EXCEEDED: 400,
    TOO_MANY: 429,
    UNAVAILABLE: 503,
}


class GraphError(Exception):
    """The operation could not be answered."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        path: Sequence[str | int] | None = None,  # None where it concerns the whole request
        locations: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.locations = locations

    def entry(self) -> dict[str, Any]:
        """Return the error as the response shows it."""
        entry: dict[str, Any] = {"message": self.message}
        if self.locations:
            entry["locations"] = [{"line": line, "column": col} for line, col in self.locations]
        if self.path is not None:
            entry["path"] = list(self.path)
        entry["extensions"] = {"code": self.code}
        return entry


class InvalidError(Exception):
    """The operation could not be answered for several reasons."""

    def __init__(self, errors: Sequence[GraphError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


def status_of(errors: Sequence[GraphError]) -> int:
    """Return the HTTP status for a failed operation."""
    return max((_STATUS.get(error.code, 200) for error in errors), default=200)


def failure(errors: Sequence[GraphError]) -> bytes:
    """Return the body for a failed operation."""
    return msgspec.json.encode({"errors": [error.entry() for error in errors], "data": None})
