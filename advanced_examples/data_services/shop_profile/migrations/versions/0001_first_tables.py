"""The first tables: an address is one line of text."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the four tables."""
    op.create_table(
        "countries",
        sa.Column("country_id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("country_id", name="countries_pkey"),
        sa.UniqueConstraint("name", name="countries_name_key"),
    )
    op.create_table(
        "cities",
        sa.Column("city_id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("country_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("city_id", name="cities_pkey"),
        sa.ForeignKeyConstraint(
            ["country_id"], ["countries.country_id"], name="cities_country_id_fkey"
        ),
        sa.UniqueConstraint("country_id", "name", name="cities_country_id_name_key"),
    )
    op.create_table(
        "addresses",
        sa.Column("address_id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("city_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("address_id", name="addresses_pkey"),
        sa.ForeignKeyConstraint(["city_id"], ["cities.city_id"], name="addresses_city_id_fkey"),
    )
    op.create_index("addresses_city_id_idx", "addresses", ["city_id"])
    op.create_table(
        "users",
        sa.Column("user_id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("registered_on", sa.Date, nullable=False),
        sa.Column("segment", sa.Text),
        sa.Column("points", sa.Integer, server_default="0", nullable=False),
        sa.Column("address_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
        sa.ForeignKeyConstraint(
            ["address_id"], ["addresses.address_id"], name="users_address_id_fkey"
        ),
        # op.f: the name is complete, and the models' rule for names must not lengthen it.
        sa.CheckConstraint(
            "segment IN ('dormant', 'active', 'vip', 'at risk')", name=op.f("users_segment_check")
        ),
        sa.CheckConstraint("points >= 0", name=op.f("users_points_check")),
    )
    op.create_index("users_address_id_idx", "users", ["address_id"])


def downgrade() -> None:
    """Drop them, with all they hold."""
    for table in ("users", "addresses", "cities", "countries"):
        op.drop_table(table)
