"""A search that anybody can break into.

`find` pastes what the user typed into the SQL text. A customer called O'Brien breaks it, and
somebody who types a little SQL reads, or deletes, whatever they like. Repair it: the user's text
must only ever be a value. The sort column can't be a value (a name is not one): allow the columns
in `SORTABLE`, and raise `ValueError` for all others.
"""

from psycopg2.extensions import connection as Connection  # noqa: N812

SORTABLE = ("name", "city", "registration_date")


def find(connection: Connection, city: str, sort: str = "name") -> list[str]:
    """The names of the customers in `city`, sorted by the column `sort`."""
    # TODO: never paste a user's text into SQL.
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM customers WHERE city = '{city}' ORDER BY {sort}")
        return [name for (name,) in cursor.fetchall()]
