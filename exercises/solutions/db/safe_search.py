"""A search that nobody breaks into: values travel as parameters, names come from a list."""

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Identifier

SORTABLE = ("name", "city", "registration_date")
SEARCH = SQL("SELECT name FROM customers WHERE city = %s ORDER BY {}")


def find(connection: Connection, city: str, sort: str = "name") -> list[str]:
    """The names of the customers in `city`, sorted by the column `sort`."""
    if sort not in SORTABLE:
        raise ValueError(f"can't sort by {sort!r}: choose one of {', '.join(SORTABLE)}")
    with connection.cursor() as cursor:
        cursor.execute(SEARCH.format(Identifier(sort)), (city,))
        return [name for (name,) in cursor.fetchall()]
