"""Customers in a DuckDB file: an engine for analysis, in place of a warehouse such as BigQuery.

Only one process at a time may have the file open for writing; others wait for their turn.
BigQuery itself takes PRIMARY KEY as a hint that nobody enforces, so it could not keep this port's
promise alone.
"""

import re
import time
from collections.abc import Sequence
from contextlib import suppress

import duckdb

from customer_service.domain import AlreadyStored, ConcurrentChange, Customer, DuplicateEmail
from customer_service.engines.base import PATIENCE
from customer_service.engines.sql import TABLE, SqlStore
from customer_service.ports import StoreUnavailable

LOOK_AGAIN = 0.02  # seconds
# What DuckDB says when another process has the file, or another thread makes the same table.
HELD = re.compile("lock on file|used by another process|conflict", re.IGNORECASE)

DUPLICATE = re.compile("duplicate key", re.IGNORECASE)


class DuckDBCustomerRepository(SqlStore):
    """A repository over one connection to a file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: str, patience: float = PATIENCE) -> "DuckDBCustomerRepository":
        """Open the file, made where it is missing; wait `patience` seconds for other processes."""
        deadline = time.monotonic() + patience
        while True:
            try:
                connection = duckdb.connect(path)
                connection.execute(TABLE)
                return cls(connection)
            except (duckdb.IOException, duckdb.TransactionException) as error:
                if time.monotonic() > deadline or not HELD.search(str(error)):
                    raise StoreUnavailable(f"DuckDB can't open {path}: {error}") from error
                time.sleep(LOOK_AGAIN)

    def close(self) -> None:
        self._connection.close()

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        return self._connection.execute(statement, values).fetchall()

    def _rollback(self) -> None:
        with suppress(duckdb.TransactionException):  # a failed commit has rolled back already
            self._run("ROLLBACK")

    def _translated(self, error: Exception, customer: Customer | None) -> Exception | None:
        words = str(error)
        if isinstance(error, duckdb.ConstraintException) and customer and DUPLICATE.search(words):
            # Against a row of the same transaction DuckDB names the value, but no column.
            if '"email: ' in words or f'"{customer.email}"' in words:
                return DuplicateEmail(customer.email)
            return AlreadyStored(customer.customer_id)
        # DuckDB lets transactions run side by side and looks for conflicts at the end.
        if isinstance(error, duckdb.TransactionException):
            _, found, value = words.partition('duplicate key "')
            return DuplicateEmail(value.rstrip('"')) if found else ConcurrentChange()
        if isinstance(error, duckdb.IOException | duckdb.ConnectionException):
            return StoreUnavailable(f"DuckDB has lost its file: {error}")
        return None
