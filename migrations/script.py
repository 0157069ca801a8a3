"""The SQL that stands beside a version."""

import re
from pathlib import Path

from alembic import op

# A statement ends at a semicolon that ends a line, unless it stands in a function's $$ body.
STATEMENT_END = r";\s*\n(?=(?:[^$]*\$\$[^$]*\$\$)*[^$]*\Z)"


def run(version: str) -> None:
    """Run the script of a version, whose `__file__` is given; asyncpg prepares one at a time."""
    for statement in re.split(STATEMENT_END, Path(version).with_suffix(".sql").read_text()):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
