"""The balance is a replay: each event turns the account before it into the one after it."""

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
    account: Account | None = None
    for event in events:
        account = after(account, event)
    if account is None:
        raise ValueError("a history without events")
    return account


def after(account: Account | None, event: object) -> Account:
    """The account after one more event."""
    if isinstance(event, AccountOpened):
        if account is not None:
            raise ValueError("opened twice")
        return Account(Decimal(0), event.overdraft, 1)
    if account is None:
        raise ValueError(f"{event} before the account was opened")
    match event:
        case Deposited(amount):
            balance = account.balance + amount
        case Withdrawn(amount):
            balance = account.balance - amount
        case _:
            raise TypeError(f"an event of an unknown kind: {event!r}")
    return Account(balance, account.overdraft, account.version + 1)


def withdraw(account: Account, amount: Decimal) -> Withdrawn:
    """The event of a withdrawal; ValueError when it isn't allowed."""
    if amount <= 0:
        raise ValueError(f"a withdrawal of {amount}")
    if amount > account.balance + account.overdraft:
        raise ValueError(f"{amount} is more than there is")
    return Withdrawn(amount)
