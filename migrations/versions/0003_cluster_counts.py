"""Counts by cluster, without namespaces."""

from alembic import op

from migrations import script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    script.run(__file__)


def downgrade() -> None:
    for name in ("added", "changed", "removed"):
        op.execute(f"DROP TRIGGER {name} ON severity_count")
        op.execute(f"DROP FUNCTION severity_count_{name}")
    op.execute("DROP TABLE cluster_severity_count")
