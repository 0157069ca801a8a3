"""Indexes for walks by namespace, by score, and over checks that passed."""

from alembic import op

from migrations import script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    script.run(__file__)


def downgrade() -> None:
    op.execute("DROP INDEX usage_namespace, finding_passed, finding_score")
