"""What a session wants done: frames to send, questions to the database, the end."""

from collections.abc import Generator
from typing import Any

from msgspec import Struct

from protocol import messages as m


class Send(Struct, frozen=True):
    """Send a frame to the agent."""

    frame: m.FromAggregator


class Close(Struct, frozen=True):
    """Send this last frame, if any, and end the session."""

    goodbye: m.Goodbye | None = None


class Settle(Struct, frozen=True):
    """Answered, with nothing, once all that is pending is committed."""


class AskKnown(Struct, frozen=True):
    """Answered with the set of those contents that are stored."""

    names: tuple[bytes, ...]


class AskRoots(Struct, frozen=True):
    """Answered with kind → (entries, root); kinds that are not held are left out."""

    kinds: tuple[str, ...]


class AskBuckets(Struct, frozen=True):
    """Answered with the 256 bucket fingerprints held of a kind."""

    kind: str


class AskEntries(Struct, frozen=True):
    """Answered with key → fingerprint of what is held in these buckets."""

    kind: str
    buckets: tuple[int, ...]


class Alive(Struct, frozen=True):
    """The agent was heard; `news` is how fresh each kind is, and events wait in its spool."""

    clock: int  # the agent's, ms since 1970
    news: tuple[m.KindNews, ...]
    waiting: int = 0
    oldest: int | None = None  # when the first of those was received, ms by the agent's clock


Effect = Send | Close | Settle | AskKnown | AskRoots | AskBuckets | AskEntries | Alive
Steps = Generator[Effect, Any, None]
