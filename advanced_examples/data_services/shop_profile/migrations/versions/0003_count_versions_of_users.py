"""Count the versions of users, for optimistic locking."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the counter: PostgreSQL gives every row the default without writing the table anew."""
    op.add_column("users", sa.Column("version", sa.Integer, server_default="1", nullable=False))


def downgrade() -> None:
    """Drop the counter: the numbers are lost, and no row needs them afterwards."""
    op.drop_column("users", "version")
