"""A pool that leaks.

The report works all morning. In the afternoon it stops with `PoolError: connection pool exhausted`,
although nobody uses it. Each time somebody asked for a customer that isn't there, the pool lost a
connection. Repair `name_of`: whatever happens, the connection goes back, and it goes back clean: no
transaction may be left open on it.
"""

from psycopg2.pool import AbstractConnectionPool


def name_of(pool: AbstractConnectionPool, customer_id: int) -> str:
    """The customer's name; LookupError when there is none."""
    # TODO: on one of the ways out the connection doesn't go back.
    connection = pool.getconn()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM customers WHERE customer_id = %s", (customer_id,))
        row = cursor.fetchone()
    if row is None:
        raise LookupError(f"there is no customer {customer_id}")
    pool.putconn(connection)
    return row[0]
