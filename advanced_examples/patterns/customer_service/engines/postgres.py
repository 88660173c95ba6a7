"""Customers in PostgreSQL: the engine that keeps every promise of the port, between machines."""

from collections.abc import Sequence

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Identifier

from customer_service.domain import AlreadyStored, ConcurrentChange, Customer, DuplicateEmail
from customer_service.engines.base import PATIENCE
from customer_service.engines.sql import TABLE, SqlStore
from customer_service.ports import StoreUnavailable


class PostgresCustomerRepository(SqlStore):
    """A repository over one connection, which no other thread may use meanwhile.

    The connection commits each statement by itself; `begin` opens a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.autocommit = True

    @classmethod
    def open(cls, url: str, namespace: str) -> "PostgresCustomerRepository":
        """Connect, and make the schema and its table where they are missing."""
        options = f"-c search_path={namespace} -c lock_timeout={PATIENCE:.0f}s"
        try:
            connection = psycopg2.connect(url, options=options, connect_timeout=int(PATIENCE))
        except psycopg2.OperationalError as error:
            raise StoreUnavailable(f"PostgreSQL does not answer: {error}") from error
        with connection, connection.cursor() as cursor:
            # Two programs that start together would both see no table, and one would fail.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"make {namespace}",))
            cursor.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(namespace)))
            cursor.execute(TABLE)
        return cls(connection)

    def close(self) -> None:
        self._connection.close()

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description else []

    def _rollback(self) -> None:
        if not self._connection.closed:  # a lost connection was rolled back by the server
            self._run("ROLLBACK")

    def _translated(self, error: Exception, customer: Customer | None) -> Exception | None:
        if isinstance(error, errors.UniqueViolation) and customer:
            if error.diag.constraint_name == "one_account_per_email":
                return DuplicateEmail(customer.email)
            return AlreadyStored(customer.customer_id)
        if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
            return ConcurrentChange()
        if isinstance(error, errors.LockNotAvailable):
            return StoreUnavailable("another unit of work holds the customers for too long")
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            return StoreUnavailable(f"the connection to PostgreSQL is lost: {error}")
        return None
