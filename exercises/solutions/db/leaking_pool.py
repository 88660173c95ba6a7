"""A pool that does not leak: `finally` runs on every way out.

`with connection` ends the transaction, so what goes back is clean.
"""

from psycopg2.pool import AbstractConnectionPool


def name_of(pool: AbstractConnectionPool, customer_id: int) -> str:
    """The customer's name; LookupError when there is none."""
    connection = pool.getconn()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM customers WHERE customer_id = %s", (customer_id,))
            row = cursor.fetchone()
    finally:
        pool.putconn(connection)
    if row is None:
        raise LookupError(f"there is no customer {customer_id}")
    return row[0]
