"""The use cases: what people do with customers, in the order in which it is done."""

from collections.abc import Callable

from customer_service.domain import (
    AccountClosed,
    Customer,
    CustomerRegistered,
    CustomersMerged,
    Email,
    EmailChanged,
    Event,
    ForbiddenChange,
    PointsAwarded,
    UnknownCustomer,
)
from customer_service.ports import ICustomerRepository, ignore


# S (single responsibility): it changes when a use case changes. Rules about one customer stand in
# the domain, tables in the engines, what happens afterwards in the listeners.
class CustomerService:
    """What one can do with customers; `record` is told each event."""

    def __init__(
        self, repository: ICustomerRepository, record: Callable[[Event], None] = ignore
    ) -> None:
        self.repository = repository
        self._record = record

    def register_customer(self, name: str, email: str) -> Customer:
        """Open an account; InvalidName, InvalidEmail or DuplicateEmail if that can't be.

        Nobody looks first whether the address is free: another process could take it between the
        look and the write. The one who keeps the customers decides.
        """
        customer = Customer(name=name, email=email)
        self.repository.add(customer)
        self._record(CustomerRegistered(customer))
        return customer

    def find(self, email: str) -> Customer:
        """The customer with this address; UnknownCustomer if there is none."""
        address = Email(email)
        customer = self.repository.find_by_email(address)
        if customer is None:
            raise UnknownCustomer(address)
        return customer

    def change_email(self, customer_id: str, email: str) -> Customer:
        """Another address for the same customer; the same one again changes nothing."""
        customer, address = self.repository.get(customer_id), Email(email)
        if address == customer.email and not customer.closed:
            return customer
        changed = self.repository.update(customer.changed(email=address))
        self._record(EmailChanged(changed, old=customer.email))
        return changed

    def award_points(self, customer_id: str, points: int) -> Customer:
        """Add points, at least one, to an open account."""
        if points < 1:
            raise ForbiddenChange(f"only points above 0 can be awarded, not {points}")
        customer = self.repository.get(customer_id)
        changed = self.repository.update(customer.changed(points=customer.points + points))
        self._record(PointsAwarded(changed, points))
        return changed

    def close_account(self, customer_id: str) -> Customer:
        """Close an account for good; ForbiddenChange while there are points on it."""
        customer = self.repository.get(customer_id)
        if customer.points:
            raise ForbiddenChange(f"{customer.email} still has points: spend or merge them first")
        closed = self.repository.update(customer.changed(closed=True))
        self._record(AccountClosed(closed))
        return closed

    def merge_customers(self, kept_id: str, other_id: str) -> Customer:
        """Give `kept_id` the points of `other_id`, and close that account.

        These are two writes: between them the points would be nowhere. Call it within a unit of
        work.
        """
        if kept_id == other_id:
            raise ForbiddenChange("an account can't be merged with itself")
        kept, other = self.repository.get(kept_id), self.repository.get(other_id)
        closed = self.repository.update(other.changed(points=0, closed=True))
        merged = self.repository.update(kept.changed(points=kept.points + other.points))
        self._record(CustomersMerged(merged, closed))
        return merged
