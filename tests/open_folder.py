"""A folder for the data of an embedded Postgres, gone afterwards.

pytest's own are closed to others, so a server that root starts as another user would have its data
elsewhere, for ever.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield an empty folder that every user of the machine can reach."""
    folder = Path(tempfile.mkdtemp(prefix="fleetwatch-tests-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
