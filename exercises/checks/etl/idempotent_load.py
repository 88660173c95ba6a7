"""New, again, older, twice in one file, and a file that is broken at its end."""

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import psycopg2

from course import connect
from course.exercises import expect, expect_error
from course.workspace import own_schema

SCHEMA = "exercise_idempotent_load"
TABLE = """
    CREATE TABLE weather (city text PRIMARY KEY, observed_at timestamptz NOT NULL,
                          celsius numeric NOT NULL);
"""


def at(hour: int, city: str, celsius: int):
    return city, datetime(2025, 10, 26, hour, tzinfo=UTC), Decimal(celsius)


def connected():
    """A connection to the schema of this exercise."""
    return closing(connect.postgres(options=f"-c search_path={SCHEMA}"))


FILE = [at(8, "Kyiv", 9), at(8, "Lviv", 7)]


def load(their, *files):
    """What `load` said of each file, and what is in the table afterwards."""
    with own_schema(SCHEMA, TABLE):
        with connected() as connection:
            said = [their.load(connection, file) for file in files]
        return said, stored()


def stored() -> dict[str, Decimal]:
    """What another connection sees."""
    with connected() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT city, celsius FROM weather ORDER BY city")
        return dict(cursor.fetchall())


def check_new(their):
    """New cities come in, and are committed"""
    said, table = load(their, FILE)
    expect(table, {"Kyiv": Decimal(9), "Lviv": Decimal(7)}, "As another connection sees it.")
    expect(said, [2], "Two rows were written.")


def check_again(their):
    """The same file twice changes nothing"""
    said, table = load(their, FILE, FILE)
    expect(table, {"Kyiv": Decimal(9), "Lviv": Decimal(7)})
    expect(said, [2, 0], "The second time no row is written: nothing in it is newer.")


def check_late(their):
    """An older observation that comes late is left alone, a newer one replaces"""
    said, table = load(their, FILE, [at(6, "Kyiv", 3), at(9, "Lviv", 11)])
    expect(table, {"Kyiv": Decimal(9), "Lviv": Decimal(11)}, "Compare observed_at before updating.")
    expect(said, [2, 1], "Only Lviv was written the second time.")


def check_twice_in_a_file(their):
    """A city twice in one file: the latest counts"""
    _, table = load(their, [at(9, "Kyiv", 12), at(8, "Kyiv", 9)])
    expect(table, {"Kyiv": Decimal(12)}, "One row at a time, or the latest of each city first.")


def check_broken(their):
    """A file that breaks at its end leaves nothing behind"""
    broken = [at(8, "Kyiv", 9), ("Lviv", None, Decimal(7))]
    with own_schema(SCHEMA, TABLE), connected() as connection:
        with expect_error(psycopg2.Error, "observed_at may not be NULL: let the error out."):
            their.load(connection, broken)
        expect(stored(), {}, "All rows of a file belong to one transaction.")
        expect(their.load(connection, FILE), 2, "After the error the connection works again.")
