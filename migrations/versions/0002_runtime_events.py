"""Runtime events by day, their gaps and their counts by hour."""

from alembic import op

from migrations import script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    script.run(__file__)


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
