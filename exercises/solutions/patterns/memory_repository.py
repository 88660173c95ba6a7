"""A repository in memory: a dictionary by id, and the next id."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Customer:
    """A customer; the id is None until a repository has given one."""

    name: str
    email: str
    id: int | None = None


class InMemoryRepository:
    """Keeps customers in a dictionary."""

    def __init__(self) -> None:
        self.customers: dict[int, Customer] = {}
        self.next_id = 1

    def add(self, customer: Customer) -> Customer:
        """The customer with the id it got; ValueError when the email is taken (in any case)."""
        if any(other.email.lower() == customer.email.lower() for other in self.get_all()):
            raise ValueError(f"{customer.email} is taken")
        added = replace(customer, id=self.next_id)
        self.customers[self.next_id] = added
        self.next_id += 1
        return added

    def get(self, customer_id: int) -> Customer:
        """The customer with that id; LookupError when there is none."""
        if customer_id not in self.customers:
            raise LookupError(f"there is no customer {customer_id}")
        return self.customers[customer_id]

    def get_all(self) -> list[Customer]:
        """All customers, the first added first."""
        return list(self.customers.values())

    def remove(self, customer_id: int) -> None:
        """Forget the customer; LookupError when there is none."""
        self.get(customer_id)
        del self.customers[customer_id]
