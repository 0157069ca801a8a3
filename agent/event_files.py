"""Events from files: JSON lines, or whatever Falco's HTTP output would send, pushed once.

The name of the spool's epoch is the hash of the events, and an event's offset its place among them.
So the same file pushed twice changes nothing.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

from agent import alerts
from agent.errors import FatalError
from agent.event_table import Entry
from agent.intake import Intake, now
from agent.inventory import Inventory
from agent.redaction import Redactor, redact_event
from agent.spool import Spool
from sources import falco
from sources.report import UnreadableError

WHOLE_BYTES = 64 * 2**20  # of a file that is one JSON value
LIMIT = 2**60  # bytes: the spool of a push ends with it
BATCH = 1_000  # events put in together


class EventFiles:
    """The events of some files, in a spool of their own."""

    def __init__(self, intake: Intake, total: int, failures: list[str]) -> None:
        self.intake = intake
        self.total = total
        self.failures = failures  # lines that could not be read, and why


@contextmanager
def reading(paths: Iterable[Path], redactor: Redactor) -> Iterator[EventFiles]:
    """Yield the events of the files. Raises `FatalError` where a file cannot be read."""
    inventory = Inventory()  # of nothing: a file's pods are not looked up
    failures: list[str] = []
    digest = hashlib.sha256()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetwatch-events-")))
        spool = Spool(folder / "reading", limit=LIMIT)
        batch: list[Entry] = []
        for where, line in _lines(paths):
            digest.update(line + b"\n")
            try:
                found = falco.read(line)
            except UnreadableError as error:
                failures.append(f"{where}: {error}")
                continue
            batch += [
                alerts.entry(redact_event(one, redactor), inventory, sender=where, now=now())
                for one in found
                if isinstance(one, falco.Alert)
            ]
            if len(batch) >= BATCH:
                spool.append(batch)
                batch = []
        spool.append(batch)
        spool.name_epoch(f"push-{digest.hexdigest()[:32]}")
        total = spool.waiting
        intake = Intake(lambda: spool, inventory)
        yield EventFiles(intake, total, failures)


def _lines(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield each line with where it stands; a file that is one JSON value is one line."""
    for path in paths:
        name = "standard input" if str(path) == "-" else str(path)
        try:
            with ExitStack() as stack:
                file = (
                    sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
                )
                first = file.readline(WHOLE_BYTES)
                if _whole(first):
                    for number, line in enumerate(chain((first,), file), 1):
                        if line.strip():
                            yield f"{name}:{number}", line.strip()
                else:
                    yield name, (first + file.read(WHOLE_BYTES)).strip()
        except OSError as error:
            raise FatalError(f"{name} cannot be read: {error.strerror or error}") from error


def _whole(line: bytes) -> bool:
    """Whether a first line is an event of its own, not the beginning of an indented one."""
    text = line.strip()
    return not text or text.endswith((b"}", b"]")) or not text.startswith((b"{", b"["))
