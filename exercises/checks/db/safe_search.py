"""A city with an apostrophe, a thief, and a sort column that isn't one."""

from contextlib import closing

import psycopg2

from course import connect
from course.exercises import expect, expect_error, require

TABLE = """
    CREATE TEMP TABLE customers (name text, city text, registration_date date);
    INSERT INTO customers VALUES
        ('Zoe', 'Cork', '2025-01-01'), ('Ann', 'Cork', '2025-02-01'), ('Bob', 'Kyiv', '2025-03-01'),
        ('Una', 'O''Brien''s Bridge', '2025-04-01');
"""


def found(their, *arguments):
    """What `find` finds in a table of its own."""
    with closing(connect.postgres()) as connection:
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
        return their.find(connection, *arguments)


def check_search(their):
    """Customers are found, sorted"""
    expect(found(their, "Cork"), ["Ann", "Zoe"], "Sorted by name unless told otherwise.")
    expect(found(their, "Cork", "registration_date"), ["Zoe", "Ann"], "Sorted by date.")


def check_apostrophe(their):
    """An apostrophe is just a letter"""
    try:
        names = found(their, "O'Brien's Bridge")
    except psycopg2.Error:
        names = "an SQL error"
    expect(names, ["Una"], "Pass the city as a parameter: %s in the text, the value beside it.")


def check_thief(their):
    """SQL in the city finds nobody"""
    expect(found(their, "x' OR 'a' = 'a"), [], "This text made the condition true for everybody.")


def check_sort(their):
    """Only the named columns sort"""
    for sort in ("name; DROP TABLE customers", "phone", ""):
        with expect_error(ValueError, f"sort={sort!r} is not in SORTABLE."):
            found(their, "Cork", sort)
    require("name" in their.SORTABLE, "SORTABLE lost its names")
