"""The balance is a replay of what happened.

A bank keeps no balance, it keeps events, and never changes one. Write `replay`: it goes through
the events from the first one on, and returns the account as it is after the last. Write
`withdraw`: it decides, on the account as it is, and returns the new event, or refuses with a
ValueError. It changes nothing: the event becomes true when it is appended to the others.

- The first event is AccountOpened, and there is no second one: otherwise a ValueError.
- A withdrawal must be more than 0, and not more than the balance plus the overdraft.
- `version` counts the events. An event of an unknown kind is a TypeError: who skips what they don't
  know gets a wrong balance.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class AccountOpened:
    """An account, and by how much it may go below zero."""

    overdraft: Decimal = Decimal(0)


@dataclass(frozen=True)
class Deposited:
    """Money came in."""

    amount: Decimal


@dataclass(frozen=True)
class Withdrawn:
    """Money went out."""

    amount: Decimal


@dataclass(frozen=True)
class Account:
    """What the events come to."""

    balance: Decimal
    overdraft: Decimal
    version: int


def replay(events: Iterable[object]) -> Account:
    """The account after all events."""
    raise NotImplementedError("TODO: apply one event after another")


def withdraw(account: Account, amount: Decimal) -> Withdrawn:
    """The event of a withdrawal; ValueError when it isn't allowed."""
    raise NotImplementedError("TODO: decide")
