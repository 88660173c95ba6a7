"""Where Alembic's migrations run: in the connection they are given, else in the course's database.

Lessons and tests put a connection into `Config.attributes` and commit themselves. On the command
line `-x schema=NAME` chooses the schema (shop_profile unless told), which is made if it is missing.
"""

import logging

from alembic import context
from shop_profile.database import make_engine
from shop_profile.models import Base
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from course import connect


def run_in(connection: Connection) -> None:
    """Run the wanted migrations; PostgreSQL keeps all of them or none."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


def print_sql() -> None:
    """Print what would run, without a database."""
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_on_the_command_line() -> None:
    """Run them in a schema of the course's database, and tell."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("alembic").setLevel(logging.INFO)
    schema = context.get_x_argument(as_dictionary=True).get("schema", "shop_profile")
    engine = make_engine(connect.url("postgres"), schema, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(CreateSchema(schema, if_not_exists=True))
        run_in(connection)


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    print_sql()
elif given is not None:
    run_in(given)
else:
    run_on_the_command_line()
