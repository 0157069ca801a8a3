"""The scalars and enums of the API, named and printed as Postgres stores them."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

Long = NewType("Long", int)
DateTime = NewType("DateTime", datetime)
Json = NewType("Json", object)

LONG_MAX = 2**53


def _parse_time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise TypeError("DateTime must be a string such as 2026-01-31T12:00:00Z.")
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            f"DateTime must be RFC 3339, such as 2026-01-31T12:00:00Z, not {value!r}."
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _parse_long(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LONG_MAX:
        raise ValueError("Long must be an integer between -2^53 and 2^53.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long",
        description="An integer of up to 2^53, a JSON number.",
        serialize=int,
        parse_value=_parse_long,
    ),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A point in time: RFC 3339, UTC.",
        serialize=str,
        parse_value=_parse_time,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}


@strawberry.enum(description="How bad a finding is. UNKNOWN ranks below INFO.")
class Severity(Enum):
    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(description="The outcome of a check. FAIL, WARN and ERROR need attention.")
class FindingStatus(Enum):
    FAIL = "FAIL"
    WARN = "WARN"
    ERROR = "ERROR"
    SKIP = "SKIP"
    PASS = "PASS"  # noqa: S105 - a status


OPEN_STATUSES = (FindingStatus.FAIL, FindingStatus.WARN, FindingStatus.ERROR)


@strawberry.enum(description="What kind of check a finding comes from.")
class FindingCategory(Enum):
    VULNERABILITY = "VULNERABILITY"
    MISCONFIGURATION = "MISCONFIGURATION"
    SECRET = "SECRET"  # noqa: S105 - a category
    POLICY = "POLICY"
    BENCHMARK = "BENCHMARK"
    RBAC = "RBAC"
    INFRASTRUCTURE = "INFRASTRUCTURE"
    PROVENANCE = "PROVENANCE"
    NETWORK = "NETWORK"
    CLOUD = "CLOUD"


@strawberry.enum(description="How urgent a runtime event is: Falco's priorities.")
class Priority(Enum):
    EMERGENCY = "EMERGENCY"
    ALERT = "ALERT"
    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    NOTICE = "NOTICE"
    INFORMATIONAL = "INFORMATIONAL"
    DEBUG = "DEBUG"


@strawberry.enum(
    description=(
        "LIVE: what runs now. SUPERSEDED: of an old ReplicaSet that runs nothing. "
        "ABSENT: the report is gone but its subject still runs, within the grace period."
    )
)
class ReportState(Enum):
    LIVE = "LIVE"
    SUPERSEDED = "SUPERSEDED"
    ABSENT = "ABSENT"


@strawberry.enum(
    description=(
        "How fresh a cluster's data is. ONLINE, STALE and OFFLINE by when its agent was last "
        "seen; PUSHED clusters have no agent; NEVER_SEEN ones have sent nothing yet."
    )
)
class ClusterState(Enum):
    ONLINE = "ONLINE"
    STALE = "STALE"
    OFFLINE = "OFFLINE"
    PUSHED = "PUSHED"
    NEVER_SEEN = "NEVER_SEEN"


@strawberry.enum(description="What the agent knows of one kind of report in its cluster.")
class KindState(Enum):
    SYNCED = "SYNCED"
    LISTING = "LISTING"
    FORBIDDEN = "FORBIDDEN"
    ABSENT = "ABSENT"
    ERROR = "ERROR"


@strawberry.enum(description="Whether a count is exact or a lower bound.")
class CountRelation(Enum):
    EXACT = "EXACT"
    AT_LEAST = "AT_LEAST"


@strawberry.enum(description="Ascending or descending.")
class Direction(Enum):
    ASC = "ASC"
    DESC = "DESC"


@strawberry.enum(
    name="Role", description="What an API token may do: VIEWER asks, ADMIN also changes."
)
class TokenRole(Enum):
    VIEWER = "VIEWER"
    ADMIN = "ADMIN"
