"""What PostgreSQL and DuckDB share: the table and the statements. Each runs them its own way."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from customer_service.domain import Customer, Email, UnknownCustomer
from customer_service.engines.base import Store

# The database decides who has an e-mail address: no program between two others can.
TABLE = """
    CREATE TABLE IF NOT EXISTS customers (
        customer_id text PRIMARY KEY,
        name        text NOT NULL,
        email       text NOT NULL CONSTRAINT one_account_per_email UNIQUE,
        points      bigint NOT NULL CHECK (points >= 0),
        closed      boolean NOT NULL,
        version     integer NOT NULL
    )
"""
# In the order of Customer's fields.
SELECT = "SELECT name, email, points, closed, customer_id, version FROM customers"
INSERT = """
    INSERT INTO customers (name, email, points, closed, customer_id, version)
    VALUES (?, ?, ?, ?, ?, ?)
"""
UPDATE = """
    UPDATE customers SET name = ?, email = ?, points = ?, closed = ?, version = version + 1
    WHERE customer_id = ? AND version = ?
    RETURNING version
"""


class SqlStore(Store):
    """A repository over a connection that speaks SQL."""

    def get(self, customer_id: str) -> Customer:
        with self._talking():
            found = self._run(f"{SELECT} WHERE customer_id = ?", [customer_id])
        if not found:
            raise UnknownCustomer(customer_id)
        return Customer(*found[0])

    def find_by_email(self, email: Email) -> Customer | None:
        with self._talking():
            found = self._run(f"{SELECT} WHERE email = ?", [email])
        return Customer(*found[0]) if found else None

    def get_all(self) -> list[Customer]:
        with self._talking():
            return [Customer(*row) for row in self._run(f'{SELECT} ORDER BY email COLLATE "C"')]

    def add(self, customer: Customer) -> None:
        with self._talking(customer):
            self._run(INSERT, values_of(customer))

    def update(self, customer: Customer) -> Customer:
        with self._talking(customer):
            if not self._run(UPDATE, values_of(customer)):
                self._refuse_update(customer)
        return replace(customer, version=customer.version + 1)

    def _begin(self) -> None:
        self._run("BEGIN")

    def _commit(self) -> None:
        self._run("COMMIT")

    @abstractmethod
    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        """Execute a statement with `?` for each value; its rows, if it has any."""


def values_of(customer: Customer) -> list[object]:
    """A customer as the values of INSERT and of UPDATE."""
    values = (customer.name, customer.email, customer.points, customer.closed)
    return [*values, customer.customer_id, customer.version]
