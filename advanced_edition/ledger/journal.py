"""Double entry: what an event moves, and between which accounts.

Each event becomes entries (account, amount). A credit is positive, a debit negative, and the
entries of one event always add up to zero: money is moved, never made. A customer's account is what
the bank owes him, a liability, so a deposit credits it. The bank's own accounts stand on the other
side: cash in its tills is an asset, and a deposit of cash debits it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ledger import events
from ledger.events import Event

Entries = tuple[tuple[str, Decimal], ...]

CASH, CLEARING = "bank:cash", "bank:clearing"
FEES, INTEREST = "bank:fee-income", "bank:interest-expense"
BANK_ACCOUNTS = (CASH, CLEARING, FEES, INTEREST)
# Where the other side of a payment stands: notes in the till, or owed between us and other banks.
CHANNELS = {"cash": CASH, "card": CLEARING, "wire": CLEARING}


def _deposit(event: events.Deposit) -> Entries:
    amount = event.amount
    return (CHANNELS[event.channel], -amount), (event.account, amount)


def _withdrawal(event: events.Withdrawal) -> Entries:
    amount, fee = event.amount, event.fee
    if not fee:
        return (event.account, -amount), (CHANNELS[event.channel], amount)
    return (event.account, -amount - fee), (CHANNELS[event.channel], amount), (FEES, fee)


def _transfer(event: events.Transfer) -> Entries:
    amount, fee = event.amount, event.fee
    if not fee:
        return (event.account, -amount), (event.to, amount)
    return (event.account, -amount - fee), (event.to, amount), (FEES, fee)


def _hold_posted(event: events.HoldPosted) -> Entries:
    amount, fee = event.amount, event.fee
    other = event.to or CHANNELS[event.channel]
    return (event.account, -amount - fee), (other, amount), (FEES, fee)


def _interest(event: events.InterestPaid) -> Entries:
    return (INTEREST, -event.amount), (event.account, event.amount)


def _fee(event: events.FeeCharged) -> Entries:
    return (event.account, -event.amount), (FEES, event.amount)


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
