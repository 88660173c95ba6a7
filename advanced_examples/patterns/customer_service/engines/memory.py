"""Customers in a dictionary: for tests, for trying out, and as the plainest reading of the port."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

from customer_service.domain import (
    AlreadyStored,
    Customer,
    DuplicateEmail,
    Email,
    UnknownCustomer,
)
from customer_service.engines.base import PATIENCE, Store
from customer_service.ports import StoreUnavailable


@dataclass
class Rows:
    """Customers by identity, and identities by e-mail."""

    by_id: dict[str, Customer] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def put(self, customer: Customer) -> None:
        """Keep `customer` in place of the one with its identity."""
        if self.ids.get(customer.email, customer.customer_id) != customer.customer_id:
            raise DuplicateEmail(customer.email)
        before = self.by_id.get(customer.customer_id)
        if before:
            del self.ids[before.email]
        self.by_id[customer.customer_id] = customer
        self.ids[customer.email] = customer.customer_id


@dataclass
class Shelf:
    """What several repositories may share; one writes at a time."""

    rows: Rows = field(default_factory=Rows)
    lock: Lock = field(default_factory=Lock)


class InMemoryRepository(Store):
    """Customers that are gone when the program ends.

    A unit of work writes to a copy of its own, which takes the place of the shelf's rows at the
    commit. Until then nobody else sees it.
    """

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._shelf = shelf or Shelf()
        self._copy: Rows | None = None

    @property
    def _rows(self) -> Rows:
        return self._copy or self._shelf.rows

    def get(self, customer_id: str) -> Customer:
        with self._talking():
            customer = self._rows.by_id.get(customer_id)
        if customer is None:
            raise UnknownCustomer(customer_id)
        return customer

    def find_by_email(self, email: Email) -> Customer | None:
        with self._talking():
            rows = self._rows
            return rows.by_id.get(rows.ids.get(email, ""))

    def get_all(self) -> list[Customer]:
        with self._talking():
            return sorted(self._rows.by_id.copy().values(), key=lambda customer: customer.email)

    def add(self, customer: Customer) -> None:
        with self._talking(), self._writing():
            if customer.customer_id in self._rows.by_id:
                raise AlreadyStored(customer.customer_id)
            self._rows.put(customer)

    def update(self, customer: Customer) -> Customer:
        changed = replace(customer, version=customer.version + 1)
        with self._talking(), self._writing():
            stored = self._rows.by_id.get(customer.customer_id)
            if stored is None or stored.version != customer.version:
                self._refuse_update(customer)
            self._rows.put(changed)
        return changed

    def close(self) -> None:
        self.rollback()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Have the lock; a unit of work has it already."""
        if self._open:
            yield
            return
        self._lock()
        try:
            yield
        finally:
            self._shelf.lock.release()

    def _lock(self) -> None:
        if not self._shelf.lock.acquire(timeout=PATIENCE):
            raise StoreUnavailable("another unit of work holds the customers for too long")

    def _begin(self) -> None:
        self._lock()
        rows = self._shelf.rows
        self._copy = Rows(rows.by_id.copy(), rows.ids.copy())

    def _commit(self) -> None:
        self._shelf.rows = self._rows
        self._rollback()

    def _rollback(self) -> None:
        self._copy = None
        self._shelf.lock.release()

    def _translated(self, error: Exception, customer: Customer | None) -> None:
        return None


InMemoryCustomerRepository = InMemoryRepository
