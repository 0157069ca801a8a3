"""Fleet, sync state, contents, findings, history and counts."""

from alembic import op

from migrations import script

revision = "0001"
down_revision = None


def upgrade() -> None:
    script.run(__file__)


def downgrade() -> None:
    op.execute("DROP SCHEMA public CASCADE")
    op.execute("CREATE SCHEMA public")
