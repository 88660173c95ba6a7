"""A repository in memory.

A repository keeps customers, and the rest of the program doesn't know how. This one keeps them in
memory: it is fast, and right for tests. Write its four methods. The first customer gets id 1, the
next 2, and so on; an id is never given twice, also when its customer was removed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Customer:
    """A customer; the id is None until a repository has given one."""

    name: str
    email: str
    id: int | None = None


class InMemoryRepository:
    """Keeps customers in a dictionary.

    `dataclasses.replace(customer, id=7)` makes a copy with an id.
    """

    def add(self, customer: Customer) -> Customer:
        """The customer with the id it got; ValueError when the email is taken (in any case)."""
        raise NotImplementedError("TODO: keep the customer")

    def get(self, customer_id: int) -> Customer:
        """The customer with that id; LookupError when there is none."""
        raise NotImplementedError("TODO: find the customer")

    def get_all(self) -> list[Customer]:
        """All customers, the first added first."""
        raise NotImplementedError("TODO: list the customers")

    def remove(self, customer_id: int) -> None:
        """Forget the customer; LookupError when there is none."""
        raise NotImplementedError("TODO: remove the customer")
