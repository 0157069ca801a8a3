"""Contents that nothing shows, and clusters that are being removed."""

from alembic import op

from migrations import script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    script.run(__file__)


def downgrade() -> None:
    op.execute("DROP TABLE unused_content")
    op.execute("ALTER TABLE cluster DROP COLUMN removed_at")
