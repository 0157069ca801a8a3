"""Runtime events by day, their gaps and their counts by hour."""

import re
from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

# A statement ends at a semicolon that ends a line, unless it stands in a function's $$ body.
STATEMENT_END = r";\s*\n(?=(?:[^$]*\$\$[^$]*\$\$)*[^$]*\Z)"


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text()
    for statement in re.split(STATEMENT_END, script):  # asyncpg prepares one at a time
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute(
        "DROP TABLE runtime_event, runtime_event_hour, runtime_event_fleet_hour, runtime_event_fleet_day,"
        " event_spool, event_gap"
    )
    op.execute(
        "ALTER TABLE agent_session DROP COLUMN events_day, DROP COLUMN events_today,"
        " DROP COLUMN spool_events, DROP COLUMN spool_oldest_at"
    )
    op.execute("DROP FUNCTION runtime_event_make_partitions, runtime_event_partition")
    op.execute("DROP SEQUENCE runtime_event_id")
    op.execute("DROP TYPE event_priority")
