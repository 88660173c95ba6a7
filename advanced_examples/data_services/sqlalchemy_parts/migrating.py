"""The part on Alembic: the migrations themselves stand in shop_profile/migrations/versions."""

import textwrap
from io import StringIO

from alembic import command
from alembic.config import Config
from shop_profile.database import make_engine
from shop_profile.models import Address, User
from sqlalchemy import Connection, Engine, NullPool, Row, select, text
from sqlalchemy.exc import IntegrityError

from course import connect
from course.lesson import Lesson
from course.workspace import own_schema

SCHEMA = "data_01_migrated"
OLD_FORM = """
    INSERT INTO countries SELECT * FROM {0}.countries;
    INSERT INTO cities SELECT * FROM {0}.cities;
    INSERT INTO addresses SELECT address_id, street || ', ' || postcode, city_id FROM {0}.addresses;
    INSERT INTO users SELECT user_id, name, email, registered_on, segment, points, address_id
    FROM {0}.users
"""


def alembic(connection: Connection | None = None, told: StringIO | None = None) -> Config:
    """Alembic's settings: its files, the connection it works in and where it prints."""
    config = Config(output_buffer=told, stdout=told or StringIO())
    config.set_main_option("script_location", "shop_profile:migrations")
    config.attributes["connection"] = connection
    return config


def lines(connection: Connection) -> list[Row]:
    """Who lives where, in the old form."""
    sql = "SELECT users.name, line FROM users JOIN addresses USING (address_id) ORDER BY user_id"
    return list(connection.execute(text(sql)))


def addresses(connection: Connection) -> list[Row]:
    """Who lives where, in the new form."""
    query = select(User.name, Address.street, Address.postcode).join(User.address)
    return list(connection.execute(query.order_by(User.user_id)))


def migrations(lesson: Lesson, engine: Engine) -> None:
    """Alembic: change tables that hold data, up and down.

    `create_all` makes tables and never changes one. A migration is a file with `upgrade` and
    `downgrade`: see `shop_profile/migrations/versions`. This one splits an address line into street
    and postcode: add the columns empty, fill them, demand them, drop the line. PostgreSQL keeps
    all of it or nothing, so a row that doesn't fit stops it and harms none. `alembic check` holds
    the tables against the models.
    """
    sql = StringIO()
    command.upgrade(alembic(told=sql), "0001:0002", sql=True)
    for change in sql.getvalue().split("\n\n"):
        if not change.startswith("--"):
            print(textwrap.indent(textwrap.fill(" ".join(change.split()), 76), "    "))
    with engine.connect() as connection:
        old = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        expected = addresses(connection)
    migrated = make_engine(connect.url("postgres"), SCHEMA, poolclass=NullPool)
    with own_schema(SCHEMA):
        with migrated.begin() as connection:
            command.upgrade(alembic(connection), "0001")
            connection.execute(text(OLD_FORM.format(old)))
            before = lines(connection)
            connection.execute(text("UPDATE addresses SET line = 'nowhere' WHERE address_id = 7"))
        with lesson.expected_error(IntegrityError), migrated.begin() as connection:
            command.upgrade(alembic(connection), "head")
        up_and_down(lesson, migrated, before, expected)


def up_and_down(lesson: Lesson, engine: Engine, before: list[Row], expected: list[Row]) -> None:
    """Mend the row that was refused, then migrate up and down again; look at every row."""
    right = text("UPDATE addresses SET line = :line WHERE address_id = 7")
    with engine.begin() as connection:
        untouched = sum(row in before for row in lines(connection))
        lesson.check("refused: the old form stands as it was", untouched == len(before) - 1)
        connection.execute(right, {"line": before[6].line})
    with engine.begin() as connection:
        command.upgrade(alembic(connection), "head")
        after = addresses(connection)
        command.check(alembic(connection))  # raises when a table differs from its model
        lesson.check("up: all are there, street and postcode right", after == expected)
        lesson.table([before[6], (after[6].name, after[6].street + " | " + after[6].postcode)],
                     ["user 7", "address"], "Before and after")  # fmt: skip
        command.downgrade(alembic(connection), "0001")
        lesson.check("down: every line is what it was", lines(connection) == before)
        command.upgrade(alembic(connection), "head")
        lesson.check("up again: the same", addresses(connection) == expected)
