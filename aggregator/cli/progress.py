"""What takes a while says so, on a terminal only."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status


class Progress:
    """One line on standard error that tells the current step; nothing where no one watches."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.done()

    def step(self, text: str) -> None:
        """Tell what is being done now."""
        if not sys.stderr.isatty():
            return
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def done(self) -> None:
        """Take the line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
