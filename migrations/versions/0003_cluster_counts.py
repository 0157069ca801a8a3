"""Counts by cluster, without namespaces."""

import re
from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

# A statement ends at a semicolon that ends a line, unless it stands in a function's $$ body.
STATEMENT_END = r";\s*\n(?=(?:[^$]*\$\$[^$]*\$\$)*[^$]*\Z)"


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text()
    for statement in re.split(STATEMENT_END, script):  # asyncpg prepares one at a time
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for name in ("added", "changed", "removed"):
        op.execute(f"DROP TRIGGER {name} ON severity_count")
        op.execute(f"DROP FUNCTION severity_count_{name}")
    op.execute("DROP TABLE cluster_severity_count")
