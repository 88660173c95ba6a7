"""Double entry: what an event moves, and between which accounts.

Each event becomes entries (debit, credit, amount): the amount is taken from one account and given
to another. So debits and credits are equal after every event; money is moved, never made.

A credit counts as positive, a debit as negative. A customer's account is what the bank owes him, so
a deposit credits it. The other side, cash in the till, is debited: the bank has more of it, and its
balance here goes down. The balances of all accounts together are always zero.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ledger import events
from ledger.events import Event

Entries = tuple[tuple[str, str, Decimal], ...]

CASH, CLEARING = "bank:cash", "bank:clearing"
FEES, INTEREST = "bank:fee-income", "bank:interest-expense"
BANK_ACCOUNTS = (CASH, CLEARING, FEES, INTEREST)
# Where the other side of a payment stands: notes in the till, or owed between us and other banks.
CHANNELS = {"cash": CASH, "card": CLEARING, "wire": CLEARING}


def _deposit(event: events.Deposit) -> Entries:
    return ((CHANNELS[event.channel], event.account, event.amount),)


def _withdrawal(event: events.Withdrawal) -> Entries:
    payment = (event.account, CHANNELS[event.channel], event.amount)
    return (payment, (event.account, FEES, event.fee)) if event.fee else (payment,)


def _transfer(event: events.Transfer) -> Entries:
    payment = (event.account, event.to, event.amount)
    return (payment, (event.account, FEES, event.fee)) if event.fee else (payment,)


def _hold_posted(event: events.HoldPosted) -> Entries:
    payment = (event.account, event.to or CHANNELS[event.channel], event.amount)
    return (payment, (event.account, FEES, event.fee)) if event.fee else (payment,)


def _interest(event: events.InterestPaid) -> Entries:
    return ((INTEREST, event.account, event.amount),)


def _fee(event: events.FeeCharged) -> Entries:
    return ((event.account, FEES, event.amount),)


def _reversed(event: events.TransactionReversed) -> Entries:
    return event.entries


def _nothing(_event: Event) -> Entries:
    return ()


ENTRIES: dict[type, Callable[[Any], Entries]] = dict.fromkeys(events.KINDS.values(), _nothing) | {
    events.Deposit: _deposit,
    events.Withdrawal: _withdrawal,
    events.Transfer: _transfer,
    events.HoldPosted: _hold_posted,
    events.InterestPaid: _interest,
    events.FeeCharged: _fee,
    events.TransactionReversed: _reversed,
}


def entries(event: Event) -> Entries:
    """The entries that `event` makes; () for one that moves no money."""
    return ENTRIES[type(event)](event)
