"""Split the address line into street and postcode."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add both columns empty, fill them, then demand them: a line that has no postcode is refused.

    The postcode is what follows the last comma.
    """
    op.add_column("addresses", sa.Column("street", sa.Text))
    op.add_column("addresses", sa.Column("postcode", sa.Text))
    op.execute("""
        UPDATE addresses SET street = substring(line FROM '^(.+), [^,]+$'),
                             postcode = substring(line FROM '^.+, ([^,]+)$')
    """)
    op.alter_column("addresses", "street", nullable=False)
    op.alter_column("addresses", "postcode", nullable=False)
    op.drop_column("addresses", "line")


def downgrade() -> None:
    """Join them to one line again: nothing is lost."""
    op.add_column("addresses", sa.Column("line", sa.Text))
    op.execute("UPDATE addresses SET line = street || ', ' || postcode")
    op.alter_column("addresses", "line", nullable=False)
    op.drop_column("addresses", "street")
    op.drop_column("addresses", "postcode")
