"""The ports: what the inside asks of the outside, in the words of the domain."""

# ruff: noqa: N818  (errors are named by what happened)
from abc import ABC, abstractmethod

from customer_service.domain import Customer, Email, Event


class StoreError(Exception):
    """Not a broken rule: the place where customers are kept has a problem."""


class StoreUnavailable(StoreError):
    """It can't be reached, or somebody holds it for too long."""


class WorkFailed(StoreError):
    """A refused write ended this unit of work."""

    def __init__(self) -> None:
        super().__init__("a write was refused, so this unit of work is over: begin a new one")


# I (interface segregation): three small promises, so that nobody depends on more than they use. A
# report takes a reader, and a read-only view of another table can be one without a fake `add`.
class ICustomerReader(ABC):
    """Look, don't touch."""

    @abstractmethod
    def get(self, customer_id: str) -> Customer:
        """The customer with this identity; UnknownCustomer if there is none."""

    @abstractmethod
    def find_by_email(self, email: Email) -> Customer | None:
        """The customer with this address, or None."""

    @abstractmethod
    def get_all(self) -> list[Customer]:
        """Every customer, by e-mail."""


class ICustomerWriter(ABC):
    """Keep what changed."""

    @abstractmethod
    def add(self, customer: Customer) -> None:
        """Keep a new customer; DuplicateEmail or AlreadyStored if that can't be."""

    @abstractmethod
    def update(self, customer: Customer) -> Customer:
        """Keep a change; the result has the next version.

        UnknownCustomer if it was never added, ConcurrentChange if the stored version is another
        one, DuplicateEmail if the new address is taken.
        """


# D (dependency inversion): the service and the engines both depend on this class, which belongs to
# the inside. No import leads from here to a driver.
class ICustomerRepository(ICustomerReader, ICustomerWriter):
    """Customers as if they were a collection in memory: what the service needs."""


class ICustomerStore(ICustomerRepository):
    """A repository with transactions, which belongs to the one who opened it.

    What is done between `begin` and `commit` is kept together or not at all; outside of it, each
    write is kept at once. A refused write ends the transaction: then only `rollback` is left.
    """

    @abstractmethod
    def begin(self) -> None:
        """From now on, keep nothing before `commit`."""

    @abstractmethod
    def commit(self) -> None:
        """Keep everything since `begin`; DuplicateEmail if another one was faster.

        StoreUnavailable while committing means that nobody knows whether it was kept: look before
        you repeat it.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Forget everything since `begin`."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections and files."""


def ignore(_event: Event) -> None:
    """Where nobody listens."""
