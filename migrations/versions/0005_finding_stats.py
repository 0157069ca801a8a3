"""Counts by rule, package and image over the fleet."""

from alembic import op

from migrations import script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    script.run(__file__)


def downgrade() -> None:
    op.execute("DROP TABLE rule_stat, package_stat, image_stat, image_spread, finding_stats_taken")
